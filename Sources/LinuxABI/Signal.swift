/// Signals by number. A mask has signal N in bit N-1.
///
/// - Source: asm/signal.h; signal(7).
package enum Signal {
    package static let SIGHUP: Int32 = 1
    package static let SIGINT: Int32 = 2
    package static let SIGQUIT: Int32 = 3
    package static let SIGILL: Int32 = 4
    package static let SIGTRAP: Int32 = 5
    package static let SIGABRT: Int32 = 6
    package static let SIGBUS: Int32 = 7
    package static let SIGFPE: Int32 = 8
    package static let SIGKILL: Int32 = 9
    package static let SIGUSR1: Int32 = 10
    package static let SIGSEGV: Int32 = 11
    package static let SIGUSR2: Int32 = 12
    package static let SIGPIPE: Int32 = 13
    package static let SIGALRM: Int32 = 14
    package static let SIGTERM: Int32 = 15
    package static let SIGSTKFLT: Int32 = 16
    package static let SIGCHLD: Int32 = 17
    package static let SIGCONT: Int32 = 18
    package static let SIGSTOP: Int32 = 19
    package static let SIGTSTP: Int32 = 20
    package static let SIGTTIN: Int32 = 21
    package static let SIGTTOU: Int32 = 22
    package static let SIGURG: Int32 = 23
    package static let SIGXCPU: Int32 = 24
    package static let SIGXFSZ: Int32 = 25
    package static let SIGVTALRM: Int32 = 26
    package static let SIGPROF: Int32 = 27
    package static let SIGWINCH: Int32 = 28
    package static let SIGIO: Int32 = 29
    package static let SIGPWR: Int32 = 30
    package static let SIGSYS: Int32 = 31
    /// The kernel's; a C library keeps the first ones for itself.
    package static let SIGRTMIN: Int32 = 32
    package static let SIGRTMAX: Int32 = 64

    /// The mask of some signals: what sigprocmask(2) takes and `SigBlk` of `/proc/PID/status` shows.
    package static func mask(_ signals: Int32...) -> UInt64 {
        signals.reduce(0) { $0 | 1 << UInt64($1 - 1) }
    }
}
