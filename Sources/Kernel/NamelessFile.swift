internal import CKernel
internal import Glibc
internal import LinuxABI

/// Files that have no name: memfd, and files that have been unlinked.
package enum NamelessFile {
    /// memfd_create(2).
    ///
    /// - Parameter name: of any bytes; with the `/memfd:` that the kernel shows before it, or without.
    @inline(never)
    package static func memory(named name: [UInt8]) throws(SystemError) -> Descriptor {
        try FaultPoint.makeMemfd.pass("memfd_create")
        let prefix = Array("/memfd:".utf8)
        let result = withPath(name.starts(with: prefix) ? Array(name.dropFirst(prefix.count)) : name) { pointer in
            ckernel_syscall(Int(SYS_memfd_create), pointer, Int(Memfd.MFD_CLOEXEC), 0, 0, 0, 0)
        }
        return Descriptor(owning: Int32(try SystemError.check(result, "memfd_create")))
    }

    package static func memory(named name: String) throws(SystemError) -> Descriptor { try memory(named: Array(name.utf8)) }

    /// A file in the directory where the old one was. It has the old name, too, if that is free.
    @inline(never)
    package static func unlinked(like path: [UInt8], mode: UInt32) throws(SystemError) -> Descriptor {
        try FaultPoint.makeUnlinkedFile.pass("open \(printable(path))")
        do throws(SystemError) {
            let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: mode)
            _ = withPath(path) { ckernel_syscall(Int(SYS_unlinkat), Int(AT_FDCWD), $0, 0, 0, 0, 0) }
            return file
        } catch {
            guard error.number == EEXIST, let slash = path.lastIndex(of: UInt8(ascii: "/")) else { throw error }
            let directory = slash == 0 ? [UInt8(ascii: "/")] : Array(path[..<slash])
            return try Descriptor.open(directory, O_RDWR | Int32(OpenFlag.O_TMPFILE), mode: mode)
        }
    }

    package static func unlinked(like path: String, mode: UInt32) throws(SystemError) -> Descriptor {
        try unlinked(like: Array(path.utf8), mode: mode)
    }

    package static func prepare(
        _ file: borrowing Descriptor, size: UInt64, mode: UInt32, owner: UInt32, group: UInt32
    ) throws(SystemError) {
        try setSize(file.number, size)
        _ = fchown(file.number, owner, group)
        _ = fchmod(file.number, mode)
    }

    package static func setSize(_ number: Int32, _ size: UInt64) throws(SystemError) {
        try FaultPoint.setFileSize.pass("ftruncate")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_ftruncate), Int(number), Int(size), 0, 0, 0, 0), "ftruncate")
    }

    @inline(never)
    package static func write(_ bytes: [UInt8], to number: Int32, at offset: UInt64) throws(SystemError) {
        try FaultPoint.writeFilePages.pass("pwrite")
        var done = 0
        while done < bytes.count {
            let result = unsafe bytes.withUnsafeBytes { buffer in
                ckernel_syscall(
                    Int(SYS_pwrite64), Int(number), Int(bitPattern: buffer.baseAddress) + done, bytes.count - done,
                    Int(bitPattern: UInt(offset)) + done, 0, 0)
            }
            if result == -Int(EINTR) { continue }
            done += try SystemError.check(result, "pwrite")
        }
    }
}

extension Processes {
    package static var secureBits: UInt32 { UInt32(max(0, ckernel_prctl(Int(Prctl.PR_GET_SECUREBITS), 0, 0, 0, 0))) }
}

/// Descriptors moved to fixed numbers.
package enum DescriptorTable {
    /// dup3(2) with close-on-exec.
    package static func duplicate(_ from: Int32, to number: UInt32) throws(SystemError) {
        try FaultPoint.duplicate.pass("dup3")
        _ = try SystemError.check(
            ckernel_syscall(Int(SYS_dup3), Int(from), Int(number), Int(O_CLOEXEC), 0, 0, 0), "dup3")
    }

    package static func isOpen(_ number: Int32) -> Bool {
        ckernel_syscall(Int(SYS_fcntl), Int(number), Int(F_GETFD), 0, 0, 0, 0) >= 0
    }

    package static func close(_ number: Int32) { _ = ckernel_syscall(Int(SYS_close), Int(number), 0, 0, 0, 0, 0) }

    /// Closes all numbers from `first` on.
    package static func closeAll(from first: UInt32) {
        _ = ckernel_syscall(Int(SYS_close_range), Int(first), Int(UInt32.max), 0, 0, 0, 0)
    }

    /// A pipe, close-on-exec.
    @inline(never)
    package static func pipe() throws(SystemError) -> (read: Int32, write: Int32) {
        try FaultPoint.makePipe.pass("pipe2")
        var ends: [Int32] = [0, 0]
        guard unsafe pipe2(&ends, Int32(O_CLOEXEC)) == 0 else { throw SystemError(errno, in: "pipe2") }
        return (ends[0], ends[1])
    }
}
