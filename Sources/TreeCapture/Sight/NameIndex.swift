internal import HostProbe
internal import Kernel
internal import LinuxABI

/// What names lead to, each looked up once.
struct NameIndex {
    private(set) var all: [NameSight] = []
    private var places: [ByteKey: Int] = [:]
    /// By directory: its names by inode number.
    private var listings: [[UInt8]: [UInt64: [UInt8]]] = [:]

    /// What a path leads to, links followed; nil: nothing, or it is no path.
    @discardableResult
    mutating func look(_ path: [UInt8]) -> FileStatus? {
        guard path.first == UInt8(ascii: "/") else { return nil }
        let key = ByteKey(path)
        if let known = places[key] { return all[known].status }
        places[key] = all.count
        var name = NameSight(path: RawText(path))
        do throws(SystemError) { name.status = try FileStatus(of: path) } catch {
            if error.number == Errno.EACCES { name.isRefused = true }
        }
        all.append(name)
        return all[all.count - 1].status
    }

    /// Another name of a file that has lost one, if it is in the same directory. A library that makes a file under a
    /// temporary name and links it to its final one leaves such files (sem_open(3)).
    ///
    /// - Parameter device: nil: not known.
    mutating func otherName(of inode: UInt64, on device: UInt64?, besides path: [UInt8]) -> [UInt8]? {
        guard path.first == UInt8(ascii: "/"), let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let directory = Array(path[...slash])
        if listings[directory] == nil { listings[directory] = (try? namesByInode(in: directory)) ?? [:] }
        guard let name = listings[directory]?[inode], let found = look(directory + name), found.inode == inode,
            device == nil || found.device == device
        else { return nil }
        return directory + name
    }

    /// Mapped files without a build-id are recognised by their contents, too.
    mutating func lookAtContents(of path: [UInt8]) {
        guard let place = places[ByteKey(path)], all[place].contents == nil, all[place].buildID?.bytes.isEmpty != false,
            all[place].status?.kind == .regular
        else { return }
        all[place].contents = (try? FileContents.checksum(of: path)) ?? nil
    }

    /// Programs and libraries are recognised by their build-id, too.
    mutating func lookAtBuildID(of path: [UInt8]) {
        guard let place = places[ByteKey(path)], all[place].buildID == nil, all[place].status != nil else { return }
        all[place].buildID = RawText(((try? BuildID.read(from: path)) ?? nil) ?? [])
    }
}
