internal import CKernel
internal import Glibc
internal import LinuxABI

extension Descriptor {
    /// Opens a path in which no symbolic link is followed. `O_CLOEXEC` is added.
    ///
    /// - Errors: `ELOOP`: there is one.
    /// - Source: openat2(2), `RESOLVE_NO_SYMLINKS`.
    @inline(never)
    package static func openWithoutLinks(_ path: [UInt8], _ flags: UInt32, mode: UInt32 = 0) throws(SystemError) -> Descriptor {
        try FaultPoint.open.pass("open \(printable(path))")
        // struct open_how
        let how = [UInt64(flags | OpenFlag.O_CLOEXEC), UInt64(mode), Resolve.RESOLVE_NO_SYMLINKS]
        let result = unsafe how.withUnsafeBytes { how in
            withPath(path) { text in
                ckernel_syscall(Int(SYS_openat2), Int(AT_FDCWD), text, Int(bitPattern: how.baseAddress), how.count, 0, 0)
            }
        }
        return Descriptor(owning: Int32(try SystemError.check(result, "open \(printable(path))")))
    }

    /// Opens a file of a program to copy it, without the program seeing that in the file's times, if that is allowed.
    ///
    /// - Source: open(2), `O_NOATIME`.
    package static func openToCopy(_ path: [UInt8]) throws(SystemError) -> Descriptor {
        do throws(SystemError) { return try open(path, O_RDONLY | Int32(OpenFlag.O_NOATIME)) } catch {
            guard error.number == EPERM else { throw error }
            return try open(path)
        }
    }
}

extension FileAccess {
    /// Why this thread may not, or cannot come there without following a symbolic link (`ELOOP`); nil: it can and may.
    ///
    /// - Parameter isLink: the path names a link.
    /// - Source: faccessat2(2), `AT_EMPTY_PATH`.
    package func refusalWithoutLinks(of path: [UInt8], isLink: Bool) -> SystemError? {
        do throws(SystemError) { return try answer(of: path, isLink: isLink).refusal(of: path) } catch { return error }
    }

    private func answer(of path: [UInt8], isLink: Bool) throws(SystemError) -> Int {
        let file = try Descriptor.openWithoutLinks(path, OpenFlag.O_PATH | (isLink ? OpenFlag.O_NOFOLLOW : 0))
        if rawValue == 0 { return 0 }
        let number = Int(file.number)
        return withPath([]) { empty in
            ckernel_syscall(
                Int(SYS_faccessat2), number, empty, rawValue, Int(At.AT_EACCESS | At.AT_EMPTY_PATH), 0, 0)
        }
    }
}

extension Int {
    /// What faccessat2(2) gave, where it refuses. Other errors mean that the kernel does not say.
    func refusal(of path: [UInt8]) -> SystemError? {
        let number = Int32(truncatingIfNeeded: -self)
        guard [EACCES, EROFS, EPERM].contains(number) else { return nil }
        return SystemError(number, in: "access \(printable(path))")
    }
}
