/// `l_type` of a record lock, and what a lease is taken for.
///
/// - Source: asm-generic/fcntl.h.
package enum LockType {
    package static let F_RDLCK: Int16 = 0
    package static let F_WRLCK: Int16 = 1
    package static let F_UNLCK: Int16 = 2
}

/// Operations of flock(2).
///
/// - Source: asm-generic/fcntl.h.
package enum Flock {
    package static let LOCK_SH: UInt64 = 1
    package static let LOCK_EX: UInt64 = 2
    package static let LOCK_NB: UInt64 = 4
    package static let LOCK_UN: UInt64 = 8
}
