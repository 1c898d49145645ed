internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// Locks of connections of trees that are files: what `--locks` lists and `--unlock` removes.
package enum ConnectionLocks {
    package struct Entry: Sendable {
        /// Names it where its image has no name.
        package var id: String
        /// Bytes of the path of the image; empty: it was written to a pipe.
        package var image: [UInt8]
        package var connections: Int
        /// Seconds.
        package var age: Int64
        package var imageExists: Bool
    }

    /// The oldest first.
    package static func all() throws(CaptureError) -> [Entry] {
        let now = SystemClock.boottime.now() / 1_000_000_000
        return try found().map { lock in
            Entry(
                id: lock.id, image: lock.path, connections: lock.connections, age: max(0, now - lock.seconds),
                imageExists: !lock.path.isEmpty && (try? FileStatus(of: lock.path)) != nil)
        }
    }

    /// Removes those of an image.
    ///
    /// - Parameter name: the path of the image, as it was or as it is, or the id of a lock.
    /// - Returns: how many connections are not locked any more.
    package static func remove(_ name: String) throws(CaptureError) -> Int {
        let locks = try found()
        let path = absolutePath(Array(name.utf8))
        var chosen = locks.filter { $0.id == name || $0.path == path }
        if chosen.isEmpty, let id = lockID(ofImage: name) { chosen = locks.filter { $0.id == id } }
        if chosen.isEmpty {
            throw CaptureError("cannot unlock \(printable(Array(name.utf8))): ENOENT (no connections are locked for it; crcheckpoint --locks lists all locks)")
        }
        var count = 0
        for lock in chosen {
            do throws(PacketFilter.Failure) { if try lock.remove() != nil { count += lock.connections } } catch { throw cannot("unlock \(printable(Array(name.utf8)))", error) }
        }
        return count
    }

    private static func found() throws(CaptureError) -> [ConnectionLock] {
        do throws(PacketFilter.Failure) { return try ConnectionLock.all() } catch { throw cannot("list the locks of connections", error) }
    }

    private static func cannot(_ what: String, _ failure: PacketFilter.Failure) -> CaptureError {
        CaptureError("cannot \(what): \(failure.reason)\(failure.help.isEmpty ? "" : " (\(failure.help))")")
    }

    /// Of an image that has been moved.
    private static func lockID(ofImage path: String) -> String? {
        guard case .file(let file)? = try? ImageInput(path, .none), let image = try? CheckpointImage(reading: file), image.header.hasLock else { return nil }
        return image.header.lock.id
    }
}

/// A path from the root directory. Links in it are not followed.
func absolutePath(_ path: [UInt8]) -> [UInt8] {
    let slash = UInt8(ascii: "/")
    if path.first == slash { return path }
    let here = (try? readLink("/proc/self/cwd")) ?? [slash]
    let plain = path.starts(with: Array("./".utf8)) ? path.dropFirst(2) : path[...]
    return (here == [slash] ? here : here + [slash]) + plain
}
