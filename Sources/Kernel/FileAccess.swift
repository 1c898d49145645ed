internal import CKernel
internal import Glibc
internal import LinuxABI

/// What is to be done with a file: bits of access(2).
package struct FileAccess: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// Execute a file, search a directory.
    package static let execute = FileAccess(rawValue: 1)
    package static let write = FileAccess(rawValue: 2)
    package static let read = FileAccess(rawValue: 4)

    /// Why this process may not, `EACCES` or `EROFS`; nil: it may, or the kernel does not say (before 5.8).
    ///
    /// - Source: faccessat2(2), `AT_EACCESS`.
    @inline(never)
    package func refusal(of path: [UInt8]) -> SystemError? {
        let result = withPath(path) { text in
            ckernel_syscall(Int(SYS_faccessat2), Int(AT_FDCWD), text, rawValue, Int(At.AT_EACCESS), 0, 0)
        }
        guard result == -Int(EACCES) || result == -Int(EROFS) else { return nil }
        return SystemError(Int32(-result), in: "access \(printable(path))")
    }

    /// The same with a path of text.
    package func refusal(of path: String) -> SystemError? { refusal(of: Array(path.utf8)) }
}
