/// Clocks by their `clockid_t`. Negative numbers are clocks of processes and threads.
///
/// - Source: linux/time.h.
package enum Clock {
    package static let CLOCK_REALTIME: Int32 = 0
    package static let CLOCK_MONOTONIC: Int32 = 1
    package static let CLOCK_PROCESS_CPUTIME_ID: Int32 = 2
    package static let CLOCK_THREAD_CPUTIME_ID: Int32 = 3
    package static let CLOCK_MONOTONIC_RAW: Int32 = 4
    package static let CLOCK_REALTIME_COARSE: Int32 = 5
    package static let CLOCK_MONOTONIC_COARSE: Int32 = 6
    package static let CLOCK_BOOTTIME: Int32 = 7
    package static let CLOCK_REALTIME_ALARM: Int32 = 8
    package static let CLOCK_BOOTTIME_ALARM: Int32 = 9
    package static let CLOCK_TAI: Int32 = 11
}

/// Flags of timer_settime(2) and clock_nanosleep(2), and the timers of setitimer(2).
///
/// - Source: linux/time.h.
package enum TimerFlag {
    package static let TIMER_ABSTIME: UInt64 = 1
    package static let ITIMER_REAL: UInt64 = 0
    package static let ITIMER_VIRTUAL: UInt64 = 1
    package static let ITIMER_PROF: UInt64 = 2
}
