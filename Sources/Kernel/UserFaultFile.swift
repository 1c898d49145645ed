internal import CKernel
internal import Glibc
internal import LinuxABI

/// A descriptor of userfaultfd(2), which serves the memory of the process that made it: what it is agreed on, and for which memory.
///
/// - Source: userfaultfd(2), ioctl_userfaultfd(2).
package enum UserFaultFile {
    /// What one is for.
    package struct Use: Sendable {
        /// UFFD_FEATURE_*: without these the kernel refuses the descriptor.
        fileprivate var features: UInt64
        /// UFFDIO_REGISTER_MODE_*
        fileprivate var mode: UInt64

        /// Missing pages are brought by another process, which is told of what happens to the memory: ``PageFaults``.
        package static let missingPages = Use(
            features: Userfault.UFFD_FEATURE_EVENT_FORK | Userfault.UFFD_FEATURE_EVENT_REMAP | Userfault.UFFD_FEATURE_EVENT_REMOVE
                | Userfault.UFFD_FEATURE_EVENT_UNMAP, mode: Userfault.UFFDIO_REGISTER_MODE_MISSING)
        /// Write protection that the kernel lifts by itself at the first write: ``WriteTracking``.
        package static let trackedWrites = Use(features: Userfault.UFFD_FEATURE_WP_ASYNC, mode: Userfault.UFFDIO_REGISTER_MODE_WP)
    }

    /// What the link in `/proc/PID/fd` says.
    package static let link = "anon_inode:[userfaultfd]"

    /// Agrees with the kernel on a use. Once for each descriptor.
    ///
    /// - Errors: `EINVAL`: the kernel has none of this; `EPERM`: without CAP_SYS_PTRACE forks are not told.
    package static func begin(_ use: Use, _ number: Int32) throws(SystemError) {
        var words = [Userfault.UFFD_API, use.features, 0]
        _ = try SystemError.check(request(number, Ioctl.UFFDIO_API, &words), "ioctl(UFFDIO_API)")
    }

    /// From now on it serves this memory: whole mappings, or pages of them.
    ///
    /// - Errors: `EBUSY`: another descriptor serves it; `EINVAL`: it is none that can be served; `ESRCH`: the process has ended, or runs
    ///   another program.
    package static func register(_ range: Range<UInt64>, for use: Use, _ number: Int32) throws(SystemError) {
        var words = [range.lowerBound, UInt64(range.count), use.mode, 0]
        _ = try SystemError.check(request(number, Ioctl.UFFDIO_REGISTER, &words), "ioctl(UFFDIO_REGISTER)")
    }

    /// - Parameter words: the structure of the request, which the kernel reads and writes.
    @inline(never)
    static func request(_ number: Int32, _ request: UInt64, _ words: inout [UInt64]) -> Int {
        unsafe words.withUnsafeMutableBytes { buffer in
            // As many words as the structure of the request has.
            ckernel_syscall(Int(SYS_ioctl), Int(number), Int(request), Int(bitPattern: buffer.baseAddress), 0, 0, 0)
        }
    }
}
