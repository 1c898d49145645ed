internal import CKernel
internal import Glibc
internal import LinuxABI

/// What statx(2) says about a file and stat(2) does not.
package struct FileAttributes: Sendable {
    /// No user may write to it (`chattr +i`).
    package let isImmutable: Bool
    /// It can be written at its end only (`chattr +a`).
    package let isAppendOnly: Bool

    /// - Parameter path: links are followed.
    @inline(never)
    package init(of path: String) throws(SystemError) {
        var bytes = [UInt8](repeating: 0, count: Statx.size)
        let result = unsafe bytes.withUnsafeMutableBytes { buffer in
            withPath(path) { text in
                ckernel_syscall(Int(SYS_statx), Int(AT_FDCWD), text, 0, Int(Statx.STATX_INO), Int(bitPattern: buffer.baseAddress), 0)
            }
        }
        _ = try SystemError.check(result, "statx \(path)")
        let attributes = bytes[Statx.attributes..<Statx.attributes + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        isImmutable = attributes & Statx.STATX_ATTR_IMMUTABLE != 0
        isAppendOnly = attributes & Statx.STATX_ATTR_APPEND != 0
    }
}
