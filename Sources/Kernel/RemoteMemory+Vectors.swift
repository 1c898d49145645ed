internal import CKernel
internal import Glibc

extension RemoteMemory {
    /// process_vm_writev(2) takes no more vectors (UIO_MAXIOV).
    private static let mostVectors = 1024

    /// Writes consecutive bytes to several places, and respects the protection of the mappings.
    ///
    /// - Parameter places: addresses and byte counts, together as many as there are bytes.
    /// - Errors: `EFAULT`: not all of it is mapped and writable. What came before it has been written.
    @inline(never)
    package static func write(_ task: Int32, _ places: [(start: UInt64, byteCount: UInt64)], _ bytes: [UInt8])
        throws(SystemError)
    {
        precondition(places.reduce(0) { $0 + $1.byteCount } == UInt64(bytes.count), "each byte has a place")
        var failure: SystemError?
        unsafe bytes.withUnsafeBytes { buffer in
            var done = 0
            var next = 0
            while next < places.count && failure == nil {
                let some = places[next..<min(next + mostVectors, places.count)]
                let count = Int(some.reduce(0) { $0 + $1.byteCount })
                let remote = unsafe some.map {
                    unsafe iovec(iov_base: UnsafeMutableRawPointer(bitPattern: UInt($0.start)), iov_len: Int($0.byteCount))
                }
                // In bounds: the places are as long together as the bytes; the kernel only reads them.
                var local = unsafe iovec(iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress.map { unsafe $0 + done }), iov_len: count)
                let result = unsafe process_vm_writev(pid_t(task), &local, 1, remote, UInt(remote.count), 0)
                if result < 0 { failure = SystemError(errno, in: "process_vm_writev") }
                if result >= 0 && result < count { failure = SystemError(EFAULT, in: "process_vm_writev") }
                done += count
                next += some.count
            }
        }
        if let failure { throw failure }
    }
}
