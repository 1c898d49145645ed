internal import CheckpointImage
internal import Kernel

/// File locks: those of open files go with these, POSIX locks with the table of the process that took them.
///
/// Details of a file: `lockSharer`, a process outside of the tree that has the open file itself.
extension FileRecorder {
    /// Records the locks that belong to an open file.
    ///
    /// - Returns: why they cannot be saved, if so.
    func recordLocks(_ file: OpenFileSight, _ id: Int, in record: inout ImageOpenFile) -> Refusal? {
        let name = file.target.shown
        var seen: Set<FileLockState> = []
        for place in places[id - 1] {
            for text in place.locks {
                guard let lock = FileLockState(parsing: text.bytes) else {
                    return Refusal("has a lock on \(name) that is not known: \(text.shown)", help: "let the program give it up")
                }
                // The same from each descriptor.
                guard seen.insert(lock).inserted else { continue }
                if let refusal = refusal(of: lock, on: name, file, record) { return refusal }
                if lock.kind == .posix { continue }
                record.locks.append(ImageFileLock(lock))
            }
        }
        return nil
    }

    private func refusal(of lock: FileLockState, on name: String, _ file: OpenFileSight, _ record: ImageOpenFile) -> Refusal? {
        let words = ImageFileLock(lock).words
        switch lock.kind {
        case .delegation:
            return Refusal("holds a delegation (nfsd) of \(name), which cannot be saved", help: "checkpoint a tree without the file server")
        case .lease where lock.isBreaking:
            return Refusal("holds a lease on \(name) that another process has asked it to give up", help: "try again when it has")
        default: break
        }
        switch record.object {
        case .named?, .nameless?, .fifo?, .pipeEnd?, .device?: break
        default: return Refusal("holds \(words) on \(name), which a restart could not take", help: "let the program unlock it")
        }
        if lock.kind != .posix, let sharer = file.details["lockSharer"] {
            return Refusal(
                "holds \(words) on \(name) together with \(sharer.shown), which is outside of the tree and would keep it",
                help: "checkpoint a tree that holds both, or start the program without this descriptor: \(file.number)>&-")
        }
        return nil
    }

    /// The POSIX locks of a descriptor table.
    func posixLocks(of table: TableSight, saved: Set<Int>) -> [ImageFileLock] {
        var seen: Set<FileLockState> = []
        var locks: [ImageFileLock] = []
        for descriptor in table.descriptors where saved.contains(descriptor.file) {
            for text in descriptor.locks {
                guard let lock = FileLockState(parsing: text.bytes), lock.kind == .posix, seen.insert(lock).inserted else { continue }
                var record = ImageFileLock(lock)
                record.file = UInt32(descriptor.file)
                locks.append(record)
            }
        }
        return locks
    }
}

extension ImageFileLock {
    init(_ lock: FileLockState) {
        self.init()
        kind =
            switch lock.kind {
            case .flock: .flock
            case .openFile: .openFile
            case .lease, .delegation: .lease
            case .posix: .posix
            }
        write = lock.isWrite
        if [.posix, .openFile].contains(lock.kind) {
            start = lock.start
            length = lock.last.map { $0 &- lock.start &+ 1 } ?? 0
        }
    }
}
