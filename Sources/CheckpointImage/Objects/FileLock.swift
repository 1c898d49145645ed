internal import LinuxABI

/// Locks of files. They are taken at a restart by the open file or the table that had them.
extension ImageFileLock {
    /// e.g. `an exclusive lock (F_SETLK, bytes 10 to 19)`
    package var words: String {
        if kind == .lease { return "a lease for \(write ? "writing" : "reading") (F_SETLEASE)" }
        let name = "\(write ? "an exclusive" : "a shared") lock"
        let range =
            start == 0 && length == 0 ? "" : ", " + (length == 1 ? "byte \(start)" : "bytes \(start) to \(length == 0 ? "the end" : "\(start &+ (length &- 1))")")
        return switch kind {
        case .flock: name + " (flock)"
        case .openFile: name + " (F_OFD_SETLK\(range))"
        default: name + " (F_SETLK\(range))"
        }
    }

    /// The last locked byte; the largest number where there is no end.
    package var last: UInt64 { length == 0 ? .max : start &+ (length &- 1) }
}

extension ImageLookup {
    func validate(_ locks: [ImageFileLock], of file: ImageOpenFile) throws(ImageError) {
        for lock in locks {
            try require(lock.kind != .posix && lock.file == 0, .lockKind, "open file \(file.id)")
            try validate(lock, on: file)
        }
        guard !locks.isEmpty else { return }
        let takesLocks =
            switch file.object {
            case .named?, .nameless?, .fifo?, .pipeEnd?, .device?: file.flags & OpenFlag.O_PATH == 0
            default: false
            }
        try require(takesLocks, .lockFile, "open file \(file.id)")
    }

    /// - Precondition: the descriptors have been validated.
    func validatePosixLocks(of table: ImageFileTable, _ records: ImageRecords) throws(ImageError) {
        if table.locks.isEmpty { return }
        let held = Set(table.descriptors.map(\.file))
        for lock in table.locks {
            try require(lock.kind == .posix, .lockKind, "file table \(table.id)")
            guard held.contains(lock.file), let place = openFile[lock.file] else { throw .rule(.lockFile, "file table \(table.id)") }
            try validate(lock, on: records.openFiles[place])
        }
    }

    private func validate(_ lock: ImageFileLock, on file: ImageOpenFile) throws(ImageError) {
        let subject = { "a lock of open file \(file.id)" }
        if case .UNRECOGNIZED = lock.kind { throw .rule(.lockKind, subject()) }
        if lock.kind == .flock || lock.kind == .lease {
            return try require(lock.start == 0 && lock.length == 0, .lockRange, subject())
        }
        let most = UInt64(Int64.max)
        try require(lock.start <= most && lock.length <= most - lock.start, .lockRange, subject())
        let access = file.flags & OpenFlag.O_ACCMODE
        let wanted = lock.write ? OpenFlag.O_WRONLY : OpenFlag.O_RDONLY
        try require(access == wanted || access == OpenFlag.O_RDWR, .lockFile, subject())
    }
}
