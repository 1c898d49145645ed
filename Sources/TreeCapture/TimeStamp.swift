internal import Kernel

/// One instant on the host's clocks: when the whole tree had stopped. No task has seen a later time.
///
/// Every deadline of the image is kept as what was left of it at this instant, however long the collecting
/// takes.
struct TimeStamp {
    private let times: [SystemClock: Int64]

    init() {
        var times: [SystemClock: Int64] = [:]
        for clock in [SystemClock.realtime, .monotonic, .boottime, .tai] { times[clock] = clock.now() }
        times[.realtimeAlarm] = times[.realtime]
        times[.boottimeAlarm] = times[.boottime]
        self.times = times
    }

    /// Nanoseconds. For a clock that does not go by itself (CPU time): 0.
    func now(on clock: SystemClock) -> Int64 { times[clock] ?? 0 }

    /// Nanoseconds from this instant to `deadline` on one of the host's clocks; 0 if it has passed.
    func left(until deadline: Int64, on clock: SystemClock) -> UInt64 { UInt64(max(0, deadline - now(on: clock))) }
}
