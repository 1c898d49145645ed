/// Modes, operations and flags of seccomp(2).
///
/// - Source: linux/seccomp.h.
package enum Seccomp {
    package static let SECCOMP_MODE_DISABLED: UInt64 = 0
    package static let SECCOMP_MODE_STRICT: UInt64 = 1
    package static let SECCOMP_MODE_FILTER: UInt64 = 2
    package static let SECCOMP_SET_MODE_STRICT: UInt64 = 0
    package static let SECCOMP_SET_MODE_FILTER: UInt64 = 1
    package static let SECCOMP_GET_ACTION_AVAIL: UInt64 = 2
    package static let SECCOMP_GET_NOTIF_SIZES: UInt64 = 3
    package static let SECCOMP_FILTER_FLAG_TSYNC: UInt64 = 1
    package static let SECCOMP_FILTER_FLAG_LOG: UInt64 = 2
    package static let SECCOMP_FILTER_FLAG_SPEC_ALLOW: UInt64 = 4
    package static let SECCOMP_FILTER_FLAG_NEW_LISTENER: UInt64 = 8
    package static let SECCOMP_FILTER_FLAG_TSYNC_ESRCH: UInt64 = 16
    package static let SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: UInt64 = 32
}

/// What a filter answers; the lower half is data.
///
/// - Source: linux/seccomp.h.
package enum SeccompAction {
    package static let SECCOMP_RET_KILL_PROCESS: UInt32 = 0x8000_0000
    package static let SECCOMP_RET_KILL_THREAD: UInt32 = 0
    package static let SECCOMP_RET_TRAP: UInt32 = 0x3_0000
    package static let SECCOMP_RET_ERRNO: UInt32 = 0x5_0000
    package static let SECCOMP_RET_USER_NOTIF: UInt32 = 0x7fc0_0000
    package static let SECCOMP_RET_TRACE: UInt32 = 0x7ff0_0000
    package static let SECCOMP_RET_LOG: UInt32 = 0x7ffc_0000
    package static let SECCOMP_RET_ALLOW: UInt32 = 0x7fff_0000
    package static let SECCOMP_RET_ACTION_FULL: UInt32 = 0xffff_0000
    package static let SECCOMP_RET_DATA: UInt32 = 0xffff
}
