internal import CKernel
internal import Glibc
internal import LinuxABI

/// How an image gets its name: it never replaces anything but what was there when the checkpoint began.
extension OutputFile {
    /// Gives the image a name that nothing has.
    func name(_ target: String) throws(SystemError) {
        do throws(SystemError) {
            if let temporary {
                try FaultPoint.renameImage.pass("rename")
                try rename(temporary, to: target, RenameFlag.RENAME_NOREPLACE)
            } else {
                try link(to: target)
            }
        } catch { throw error.number == EEXIST ? Self.taken : error }
    }

    /// Takes the place of a file, if it is still the same. At every instant the name leads to one of the two.
    func replace(_ former: FileStatus, at target: String) throws(SystemError) {
        guard let now = try? FileStatus(of: target, followingLinks: false) else { return try name(target) }
        guard now.isUnchanged(since: former) else { throw Self.taken }
        if temporary == nil {
            let aside = PartialName.new(for: path, in: directory)
            try link(to: aside)
            temporary = aside
        }
        guard let temporary else { return }
        try FaultPoint.renameImage.pass("rename")
        do throws(SystemError) { try rename(temporary, to: target, RenameFlag.RENAME_EXCHANGE) } catch {
            // Not every file system can exchange names.
            guard error.number == EINVAL || error.number == ENOSYS else { throw error }
            return try rename(temporary, to: target, 0)
        }
        // What stood there stands aside now.
        guard let taken = try? FileStatus(of: temporary, followingLinks: false), taken.isUnchanged(since: former) else {
            try rename(temporary, to: target, RenameFlag.RENAME_EXCHANGE)
            throw Self.taken
        }
        _ = unsafe unlink(temporary)
    }

    /// Removes images aside that killed checkpoints onto the same path have left. Looks through the whole directory.
    package func removeLeftovers() {
        if isStream { return }
        let mark = Array(PartialName.beginning(for: path).utf8)
        for name in (try? entryNames(of: directory)) ?? [] where name.starts(with: mark) && name.suffix(8).elementsEqual(".partial".utf8) {
            guard let pid = PartialName.pid(in: name.dropFirst(mark.count)), !Processes.exists(pid) else { continue }
            let whole = Array(directory.utf8) + [UInt8(ascii: "/")] + name
            guard let file = try? Descriptor.open(whole, O_RDWR | O_NOFOLLOW | O_NONBLOCK),
                (try? file.regularFileSize()) != nil, FileLock.take(file.number)
            else { continue }
            _ = withPath(whole) { ckernel_syscall(Int(SYS_unlinkat), Int(AT_FDCWD), $0, 0, 0, 0, 0) }
        }
    }

    /// Removes the name that the image has just got, if it is still its own.
    func takeNameBack() {
        guard let own = try? FileStatus(ofNumber: descriptorNumber), let there = try? FileStatus(of: path, followingLinks: false),
            there.isSameFile(as: own)
        else { return }
        _ = withPath(path) { ckernel_syscall(Int(SYS_unlinkat), Int(AT_FDCWD), $0, 0, 0, 0, 0) }
    }

    private static var taken: SystemError {
        SystemError(EEXIST, in: "another file has got this name meanwhile, and is left as it is")
    }

    @inline(never)
    private func rename(_ from: String, to target: String, _ flags: UInt64) throws(SystemError) {
        let result = withPath(from) { from in
            withPath(target) { ckernel_syscall(Int(SYS_renameat2), Int(AT_FDCWD), from, Int(AT_FDCWD), $0, Int(flags), 0) }
        }
        _ = try SystemError.check(result, "rename")
    }

    @inline(never)
    private func link(to target: String) throws(SystemError) {
        try FaultPoint.linkImage.pass("link")
        let result = withPath(ownPath) { from in
            withPath(target) { ckernel_syscall(Int(SYS_linkat), Int(AT_FDCWD), from, Int(AT_FDCWD), $0, Int(At.AT_SYMLINK_FOLLOW), 0) }
        }
        _ = try SystemError.check(result, "link")
    }
}

extension FileStatus {
    /// It is the same file, and has not been written to.
    func isUnchanged(since other: FileStatus) -> Bool {
        kind == .regular && isSameFile(as: other) && size == other.size && modificationTime == other.modificationTime
    }
}

/// The name of an image that has none of its own yet: `.NAME.PID.TIME.partial`.
enum PartialName {
    static func new(for path: String, in directory: String) -> String {
        "\(directory)/\(beginning(for: path))\(getpid()).\(SystemClock.monotonic.now()).partial"
    }

    /// The part before the pid. Long names are cut, so that the whole fits into the 255 bytes of a name.
    static func beginning(for path: String) -> String {
        var base = path.split(separator: "/").last.map(String.init) ?? "image"
        while base.utf8.count > 200 { base.removeLast() }
        return ".\(base)."
    }

    /// The pid in what follows that.
    static func pid(in rest: some Collection<UInt8>) -> Int32? { Int32(String(decoding: rest.prefix { $0 != UInt8(ascii: ".") }, as: UTF8.self)) }
}

/// flock(2): held until the open file is closed.
enum FileLock {
    /// False: another process holds it, or the file system has no locks.
    @inline(never)
    static func take(_ number: Int32) -> Bool {
        ckernel_syscall(Int(SYS_flock), Int(number), Int(LOCK_EX | LOCK_NB), 0, 0, 0, 0) == 0
    }
}

/// One checkpoint after the other gives its image a name in a directory.
enum DirectoryLock {
    /// Every user who may read a directory can lock it, so the wait is two seconds at most: without the lock, three
    /// that change the same name within microseconds could lose the oldest of them.
    static func with(_ directory: String, _ body: () throws(SystemError) -> Void) throws(SystemError) {
        let open = try Descriptor.open(directory, O_RDONLY | O_DIRECTORY).release()
        defer { DescriptorTable.close(open) }
        let deadline = SystemClock.monotonic.now() + 2_000_000_000
        while !FileLock.take(open), SystemClock.monotonic.now() < deadline { Waiting.pause(atMost: 2_000_000) }
        try body()
    }
}
