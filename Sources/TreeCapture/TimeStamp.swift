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

    /// The same for what was `remaining` at `instant` of the monotonic clock, on a clock by its number; 0 stays
    /// 0, and so does CPU time, of which none goes by meanwhile.
    func left(of remaining: UInt64, clock: Int32, at instant: Int64 = SystemClock.monotonic.now()) -> UInt64 {
        guard remaining != 0, let clock = SystemClock(rawValue: clock), let then = times[clock] else { return remaining }
        let running: SystemClock =
            switch clock {
            case .realtimeAlarm: .realtime
            case .boottimeAlarm: .boottime
            default: clock
            }
        let since = SystemClock.monotonic.now() - instant
        return remaining &+ UInt64(max(0, running.now() - since - then))
    }
}
