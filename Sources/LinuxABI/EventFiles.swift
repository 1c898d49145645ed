/// Flags of timerfd_create(2) and timerfd_settime(2).
///
/// - Source: linux/timerfd.h.
package enum TimerFD {
    package static let TFD_TIMER_ABSTIME: UInt64 = 0o1
    package static let TFD_TIMER_CANCEL_ON_SET: UInt64 = 0o2
    package static let TFD_CLOEXEC: UInt64 = 0o2000000
    package static let TFD_NONBLOCK: UInt64 = 0o4000
}

/// Flags of eventfd2(2).
///
/// - Source: linux/eventfd.h.
package enum EventFD {
    package static let EFD_SEMAPHORE: UInt64 = 0o1
    package static let EFD_CLOEXEC: UInt64 = 0o2000000
    package static let EFD_NONBLOCK: UInt64 = 0o4000
}

/// Flags of signalfd4(2).
///
/// - Source: linux/signalfd.h.
package enum SignalFD {
    package static let SFD_CLOEXEC: UInt64 = 0o2000000
    package static let SFD_NONBLOCK: UInt64 = 0o4000
}

/// Operations of epoll_ctl(2), and the flag of epoll_create1(2).
///
/// - Source: linux/eventpoll.h.
package enum Epoll {
    package static let EPOLL_CTL_ADD: UInt64 = 1
    package static let EPOLL_CTL_DEL: UInt64 = 2
    package static let EPOLL_CTL_MOD: UInt64 = 3
    package static let EPOLL_CLOEXEC: UInt64 = 524288
}

/// Events of epoll(7). Those up to EPOLLRDHUP are also poll(2)'s.
///
/// - Source: linux/eventpoll.h.
package enum EpollEvent {
    package static let EPOLLIN: UInt32 = 1
    package static let EPOLLPRI: UInt32 = 2
    package static let EPOLLOUT: UInt32 = 4
    package static let EPOLLERR: UInt32 = 8
    package static let EPOLLHUP: UInt32 = 0x10
    package static let EPOLLNVAL: UInt32 = 0x20
    package static let EPOLLRDNORM: UInt32 = 0x40
    package static let EPOLLRDBAND: UInt32 = 0x80
    package static let EPOLLWRNORM: UInt32 = 0x100
    package static let EPOLLWRBAND: UInt32 = 0x200
    package static let EPOLLMSG: UInt32 = 0x400
    package static let EPOLLRDHUP: UInt32 = 0x2000
    package static let EPOLLEXCLUSIVE: UInt32 = 0x1000_0000
    package static let EPOLLWAKEUP: UInt32 = 0x2000_0000
    package static let EPOLLONESHOT: UInt32 = 0x4000_0000
    package static let EPOLLET: UInt32 = 0x8000_0000
}
