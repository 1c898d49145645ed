/// Flags of open(2), also as F_GETFL and the `flags:` line of fdinfo tell them (there in octal).
///
/// - Source: asm-generic/fcntl.h; arm64: asm/fcntl.h.
package enum OpenFlag {
    package static let O_ACCMODE: UInt32 = 0o3
    package static let O_RDONLY: UInt32 = 0
    package static let O_WRONLY: UInt32 = 0o1
    package static let O_RDWR: UInt32 = 0o2
    package static let O_CREAT: UInt32 = 0o100
    package static let O_EXCL: UInt32 = 0o200
    package static let O_NOCTTY: UInt32 = 0o400
    package static let O_TRUNC: UInt32 = 0o1000
    package static let O_APPEND: UInt32 = 0o2000
    package static let O_NONBLOCK: UInt32 = 0o4000
    package static let O_DSYNC: UInt32 = 0o10000
    package static let FASYNC: UInt32 = 0o20000
    package static let O_NOATIME: UInt32 = 0o1000000
    package static let O_CLOEXEC: UInt32 = 0o2000000
    package static let O_SYNC: UInt32 = 0o4010000
    package static let O_PATH: UInt32 = 0o10000000
    #if arch(arm64)
        package static let O_DIRECT: UInt32 = 0o200000
        package static let O_LARGEFILE: UInt32 = 0o400000
        package static let O_DIRECTORY: UInt32 = 0o40000
        package static let O_NOFOLLOW: UInt32 = 0o100000
        package static let O_TMPFILE: UInt32 = 0o20040000
    #else
        package static let O_DIRECT: UInt32 = 0o40000
        package static let O_LARGEFILE: UInt32 = 0o100000
        package static let O_DIRECTORY: UInt32 = 0o200000
        package static let O_NOFOLLOW: UInt32 = 0o400000
        package static let O_TMPFILE: UInt32 = 0o20200000
    #endif
}

/// How openat2(2) follows a path: `resolve` of `struct open_how`.
///
/// - Source: linux/openat2.h.
package enum Resolve {
    package static let RESOLVE_NO_XDEV: UInt64 = 0x1
    package static let RESOLVE_NO_MAGICLINKS: UInt64 = 0x2
    package static let RESOLVE_NO_SYMLINKS: UInt64 = 0x4
    package static let RESOLVE_BENEATH: UInt64 = 0x8
    package static let RESOLVE_IN_ROOT: UInt64 = 0x10
    package static let RESOLVE_CACHED: UInt64 = 0x20
}
