/// Operations of fcntl(2) and the values that they take.
///
/// - Source: asm-generic/fcntl.h, linux/fcntl.h.
package enum Fcntl {
    package static let F_DUPFD: UInt64 = 0
    package static let F_GETFD: UInt64 = 1
    package static let F_SETFD: UInt64 = 2
    package static let F_GETFL: UInt64 = 3
    package static let F_SETFL: UInt64 = 4
    package static let F_GETLK: UInt64 = 5
    package static let F_SETLK: UInt64 = 6
    package static let F_SETLKW: UInt64 = 7
    package static let F_SETOWN: UInt64 = 8
    package static let F_GETOWN: UInt64 = 9
    package static let F_SETSIG: UInt64 = 10
    package static let F_GETSIG: UInt64 = 11
    package static let F_SETOWN_EX: UInt64 = 15
    package static let F_GETOWN_EX: UInt64 = 16
    package static let F_GETOWNER_UIDS: UInt64 = 17
    package static let F_OFD_GETLK: UInt64 = 36
    package static let F_OFD_SETLK: UInt64 = 37
    package static let F_OFD_SETLKW: UInt64 = 38
    package static let F_SETLEASE: UInt64 = 1024
    package static let F_GETLEASE: UInt64 = 1025
    package static let F_NOTIFY: UInt64 = 1026
    package static let F_DUPFD_QUERY: UInt64 = 1027
    package static let F_CREATED_QUERY: UInt64 = 1028
    package static let F_CANCELLK: UInt64 = 1029
    package static let F_DUPFD_CLOEXEC: UInt64 = 1030
    package static let F_SETPIPE_SZ: UInt64 = 1031
    package static let F_GETPIPE_SZ: UInt64 = 1032
    package static let F_ADD_SEALS: UInt64 = 1033
    package static let F_GET_SEALS: UInt64 = 1034
    package static let F_GET_RW_HINT: UInt64 = 1035
    package static let F_SET_RW_HINT: UInt64 = 1036
    package static let F_GET_FILE_RW_HINT: UInt64 = 1037
    package static let F_SET_FILE_RW_HINT: UInt64 = 1038
    package static let FD_CLOEXEC: UInt64 = 1
    package static let F_OWNER_TID: UInt64 = 0
    package static let F_OWNER_PID: UInt64 = 1
    package static let F_OWNER_PGRP: UInt64 = 2
}

/// Flags of close_range(2).
///
/// - Source: linux/close_range.h.
package enum CloseRange {
    package static let CLOSE_RANGE_UNSHARE: UInt64 = 2
    package static let CLOSE_RANGE_CLOEXEC: UInt64 = 4
}
