/// `sa_flags` of rt_sigaction(2).
///
/// - Source: asm-generic/signal.h.
package enum SignalActionFlag {
    package static let SA_NOCLDSTOP: UInt64 = 1
    package static let SA_NOCLDWAIT: UInt64 = 2
    package static let SA_SIGINFO: UInt64 = 4
    package static let SA_UNSUPPORTED: UInt64 = 0x400
    package static let SA_EXPOSE_TAGBITS: UInt64 = 0x800
    package static let SA_RESTORER: UInt64 = 0x400_0000
    package static let SA_ONSTACK: UInt64 = 0x800_0000
    package static let SA_RESTART: UInt64 = 0x1000_0000
    package static let SA_NODEFER: UInt64 = 0x4000_0000
    package static let SA_RESETHAND: UInt64 = 0x8000_0000
}

/// Handlers of rt_sigaction(2) that are no addresses of code.
///
/// - Source: asm-generic/signal-defs.h.
package enum SignalHandler {
    package static let SIG_DFL: UInt64 = 0
    package static let SIG_IGN: UInt64 = 1
}

/// What rt_sigprocmask(2) does with the set.
///
/// - Source: asm-generic/signal-defs.h.
package enum Sigprocmask {
    package static let SIG_BLOCK: UInt64 = 0
    package static let SIG_UNBLOCK: UInt64 = 1
    package static let SIG_SETMASK: UInt64 = 2
}

/// `ss_flags` of sigaltstack(2).
///
/// - Source: asm-generic/signal-defs.h, linux/signal.h.
package enum AlternateStack {
    package static let SS_ONSTACK: UInt32 = 1
    package static let SS_DISABLE: UInt32 = 2
    package static let SS_AUTODISARM: UInt32 = 0x8000_0000
}

/// `sigev_notify`: how a timer tells that it has expired.
///
/// - Source: asm-generic/siginfo.h.
package enum SignalEvent {
    package static let SIGEV_SIGNAL: UInt32 = 0
    package static let SIGEV_NONE: UInt32 = 1
    package static let SIGEV_THREAD: UInt32 = 2
    package static let SIGEV_THREAD_ID: UInt32 = 4
}
