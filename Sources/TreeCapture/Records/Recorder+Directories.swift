internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension Recorder {
    /// Working and root directories.
    mutating func recordDirectories() {
        var owners: [Int: (process: ProcessSight, thread: ThreadSight)] = [:]
        for (process, thread) in sight.threads where owners[thread.directories] == nil {
            owners[thread.directories] = (process, thread)
        }
        for (index, seen) in sight.directories.enumerated() {
            var record = ImageDirectories()
            record.id = UInt32(index + 1)
            record.working = identities.identity(of: seen.working, in: seen.mountNamespace)
            record.working.removed = seen.working.isDeleted
            record.root = identities.identity(of: seen.root, in: seen.mountNamespace)
            record.umask = seen.umask
            records.directories.append(record)
            guard let (process, thread) = owners[index + 1] else { continue }
            let isDoor = thread.tid == process.door.tid
            let suffix = isDoor ? "" : " of thread \(thread.tid)"
            check(seen.working, process.pid, "working directory" + suffix)
            check(seen.root, process.pid, "root directory" + suffix)
            if seen.root.isDeleted {
                find(
                    process.pid, "root directory" + suffix, "\(seen.root.path.shown) has been removed",
                    help: "end the program; it sees no file any more")
            }
            if !isDoor, seen.root.path != sight[directories: process.door.directories].root.path {
                find(process.pid, "thread \(thread.tid)", "has another root directory than its process, which cannot be saved yet")
            }
        }
    }

    /// Whether the path of a directory leads to it, as crcheckpoint sees it.
    private mutating func check(_ place: PlaceSight, _ pid: HostPid, _ object: String) {
        if place.isTooLong == true {
            find(pid, object, LostName.tooLong, help: LostName.tooLongHelp)
            return
        }
        // A container sees another /proc than crcheckpoint does.
        if place.isDeleted || place.path == "/proc" || place.path.bytes.starts(with: "/proc/".utf8) { return }
        guard let name = names[place.path.bytes], name.status?.isSameFile(as: place.status) != true else { return }
        let lost = LostName(place.path.bytes, inode: place.status.inode, isMounted: true, name: name)
        find(pid, object, lost.directoryReason, help: lost.directoryHelp)
    }
}

/// A file or directory that its name does not lead to, in words.
struct LostName {
    let path: [UInt8]
    let inode: UInt64
    /// Its file system is mounted somewhere still.
    let isMounted: Bool
    /// What the name leads to.
    let found: FileStatus?
    /// The user of crcheckpoint may not enter a directory of the path, so that nothing is known of the name.
    let isRefused: Bool

    init(_ path: [UInt8], inode: UInt64, isMounted: Bool, name: NameSight?) {
        self.path = path
        self.inode = inode
        self.isMounted = isMounted
        found = name?.status
        isRefused = name?.isRefused == true
    }

    static let tooLong = "has a path of more than 4096 bytes, which the kernel does not tell"
    static let tooLongHelp = "give a directory above it a shorter name, or move it up"

    private var directory: String {
        printable(path.lastIndex(of: UInt8(ascii: "/")).map { $0 == 0 ? [UInt8(ascii: "/")] : Array(path[..<$0]) } ?? path)
    }

    var reason: String {
        if !isMounted { return "leads to \(printable(path)) of a file system that is not mounted there any more" }
        if isRefused { return "leads to \(printable(path)), which the user of crcheckpoint may not reach (EACCES), so that no restart by this user could open it" }
        if found != nil { return "leads to a file that \(printable(path)) does not lead to any more: another file or mount is in its place" }
        return "leads to a file that has lost its name \(printable(path)) and has another one, which is not known (inode \(inode))"
    }
    var help: String {
        if !isMounted { return "let the program close it: it is reached by no name (umount -l leaves such files)" }
        if isRefused { return "start the program with another file there, be root, or make its directories passable" }
        if found != nil { return "move or unmount what is there now: findmnt -T \(printable(path))" }
        return "it is in none of the directories that the tree has in use: find the name by find \(directory) -xdev -inum \(inode), or in another directory of its file system, and link it to the old one again by ln"
    }
    var directoryReason: String {
        if isRefused { return "\(printable(path)) is a directory that the user of crcheckpoint may not reach (EACCES)" }
        return "\(printable(path)) is another directory now, or none: it was mounted over, unmounted (umount -l) or replaced"
    }
    var directoryHelp: String { "findmnt -T \(printable(path)) shows what is there; undo it, or let the program change its directory" }
}
