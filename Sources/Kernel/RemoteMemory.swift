internal import CKernel
internal import Glibc

/// Memory of another task, by address. Addresses are the task's, never pointers of ours.
///
/// - Source: process_vm_readv(2), proc(5) on /proc/PID/mem.
package enum RemoteMemory {
    /// Reads exactly `count` bytes, or throws (`EFAULT`: not all of it is mapped and readable).
    @inline(never)
    package static func read(_ task: Int32, at address: UInt64, count: Int) throws(SystemError) -> [UInt8] {
        try FaultPoint.readMemory.pass("process_vm_readv")
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            var local = unsafe iovec(iov_base: UnsafeMutableRawPointer(buffer.baseAddress), iov_len: count)
            var remote = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address)), iov_len: count)
            result = unsafe process_vm_readv(pid_t(task), &local, 1, &remote, 1, 0)
            if result < 0 { result = -Int(errno) }
            filled = max(result, 0)
        }
        if result < 0 { throw SystemError(Int32(-result), in: "process_vm_readv") }
        if result < count { throw SystemError(EFAULT, in: "process_vm_readv") }
        return bytes
    }

    /// Writes all bytes; respects the protection of the mapping.
    @inline(never)
    package static func write(_ task: Int32, at address: UInt64, _ bytes: [UInt8]) throws(SystemError) {
        try FaultPoint.writeMemory.pass("process_vm_writev")
        let result = unsafe bytes.withUnsafeBytes { buffer -> Int in
            var local = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress), iov_len: buffer.count)
            var remote = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(bitPattern: UInt(address)), iov_len: buffer.count)
            let result = unsafe process_vm_writev(pid_t(task), &local, 1, &remote, 1, 0)
            return result < 0 ? -Int(errno) : result
        }
        if result < 0 { throw SystemError(Int32(-result), in: "process_vm_writev") }
        if result < bytes.count { throw SystemError(EFAULT, in: "process_vm_writev") }
    }

    /// Writes through `/proc/PID/mem`, whatever the mapping's protection (a private copy is made).
    package static func force(_ task: Int32, at address: UInt64, _ bytes: [UInt8]) throws(SystemError) {
        try FaultPoint.forceMemory.pass("write /proc/\(task)/mem")
        let file = try Descriptor.open("/proc/\(task)/mem", O_RDWR)
        let result = unsafe bytes.withUnsafeBytes { buffer in
            ckernel_syscall(
                Int(SYS_pwrite64), Int(file.number), Int(bitPattern: buffer.baseAddress), buffer.count,
                Int(bitPattern: UInt(address)), 0, 0)
        }
        let written = try SystemError.check(result, "write /proc/\(task)/mem")
        if written < bytes.count { throw SystemError(EFAULT, in: "write /proc/\(task)/mem") }
    }

    /// One little-endian 32-bit word, or nil where nothing can be read.
    package static func word32(_ task: Int32, at address: UInt64) -> UInt32? {
        guard let bytes = try? read(task, at: address, count: 4) else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// One little-endian 64-bit word, or nil where nothing can be read.
    package static func word(_ task: Int32, at address: UInt64) -> UInt64? {
        guard let bytes = try? read(task, at: address, count: 8) else { return nil }
        return bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
