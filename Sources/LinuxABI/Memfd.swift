/// Seals of a memfd, F_ADD_SEALS of fcntl(2).
///
/// - Source: linux/fcntl.h.
package enum Seal {
    package static let F_SEAL_SEAL: UInt64 = 1
    package static let F_SEAL_SHRINK: UInt64 = 2
    package static let F_SEAL_GROW: UInt64 = 4
    package static let F_SEAL_WRITE: UInt64 = 8
    package static let F_SEAL_FUTURE_WRITE: UInt64 = 0x10
    package static let F_SEAL_EXEC: UInt64 = 0x20
}

/// Types of file systems, statfs(2).
///
/// - Source: linux/magic.h.
package enum FileSystemMagic {
    package static let HUGETLBFS_MAGIC: UInt32 = 0x9584_58f6
}

/// Flags of memfd_create(2).
///
/// - Source: linux/memfd.h.
package enum Memfd {
    package static let MFD_CLOEXEC: UInt64 = 1
    package static let MFD_ALLOW_SEALING: UInt64 = 2
    package static let MFD_HUGETLB: UInt64 = 4
    package static let MFD_NOEXEC_SEAL: UInt64 = 8
    package static let MFD_EXEC: UInt64 = 0x10
}
