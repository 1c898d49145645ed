/// The directory that stands for the working directory, and flags of calls that end in `at`.
///
/// - Source: linux/fcntl.h.
package enum At {
    /// -100, sign-extended as a step hands it over.
    package static let AT_FDCWD: UInt64 = 0xffff_ffff_ffff_ff9c
    package static let AT_SYMLINK_NOFOLLOW: UInt64 = 0x100
    package static let AT_EACCESS: UInt64 = 0x200
    package static let AT_REMOVEDIR: UInt64 = 0x200
    package static let AT_SYMLINK_FOLLOW: UInt64 = 0x400
    package static let AT_NO_AUTOMOUNT: UInt64 = 0x800
    package static let AT_EMPTY_PATH: UInt64 = 0x1000
    package static let AT_RECURSIVE: UInt64 = 0x8000
    package static let AT_STATX_SYNC_AS_STAT: UInt64 = 0
    package static let AT_STATX_FORCE_SYNC: UInt64 = 0x2000
    package static let AT_STATX_DONT_SYNC: UInt64 = 0x4000
}

/// Flags of renameat2(2).
///
/// - Source: linux/fs.h.
package enum RenameFlag {
    package static let RENAME_NOREPLACE: UInt64 = 1
    package static let RENAME_EXCHANGE: UInt64 = 2
    package static let RENAME_WHITEOUT: UInt64 = 4
}
