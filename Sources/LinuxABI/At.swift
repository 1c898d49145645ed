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

/// What statx(2) is asked for, and what it says of a file.
///
/// - Source: linux/stat.h.
package enum Statx {
    package static let STATX_INO: UInt32 = 0x100
    package static let STATX_MNT_ID: UInt32 = 0x1000
    package static let STATX_ATTR_IMMUTABLE: UInt64 = 0x10
    package static let STATX_ATTR_APPEND: UInt64 = 0x20

    /// Bytes of `struct statx`, and where its members lie.
    package static let size: Int = 256
    package static let attributes: Int = 8
    package static let inode: Int = 32
    package static let deviceMajor: Int = 136
    package static let deviceMinor: Int = 140
    package static let mount: Int = 144
}

/// Flags of renameat2(2).
///
/// - Source: linux/fs.h.
package enum RenameFlag {
    package static let RENAME_NOREPLACE: UInt64 = 1
    package static let RENAME_EXCHANGE: UInt64 = 2
    package static let RENAME_WHITEOUT: UInt64 = 4
}
