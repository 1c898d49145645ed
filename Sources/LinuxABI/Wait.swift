/// Options of wait4(2) and waitid(2).
///
/// - Source: linux/wait.h.
package enum WaitOption {
    package static let WNOHANG: UInt64 = 1
    package static let WUNTRACED: UInt64 = 2
    package static let WSTOPPED: UInt64 = 2
    package static let WEXITED: UInt64 = 4
    package static let WCONTINUED: UInt64 = 8
    package static let WNOWAIT: UInt64 = 0x100_0000
    package static let __WNOTHREAD: UInt64 = 0x2000_0000
    package static let __WALL: UInt64 = 0x4000_0000
    package static let __WCLONE: UInt64 = 0x8000_0000
}

/// What the first argument of waitid(2) says about the second.
///
/// - Source: linux/wait.h.
package enum WaitID {
    package static let P_ALL: UInt64 = 0
    package static let P_PID: UInt64 = 1
    package static let P_PGID: UInt64 = 2
    package static let P_PIDFD: UInt64 = 3
}

/// Flags of pidfd_open(2) and pidfd_send_signal(2).
///
/// - Source: linux/pidfd.h.
package enum Pidfd {
    package static let PIDFD_NONBLOCK: UInt64 = 0o4000
    package static let PIDFD_THREAD: UInt64 = 0o200
    package static let PIDFD_SIGNAL_THREAD: UInt64 = 0o1
    package static let PIDFD_SIGNAL_THREAD_GROUP: UInt64 = 0o2
    package static let PIDFD_SIGNAL_PROCESS_GROUP: UInt64 = 0o4
}
