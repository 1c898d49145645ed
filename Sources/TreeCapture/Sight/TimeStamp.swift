internal import Kernel
internal import LinuxABI

/// One instant on the host's clocks: when the whole tree had stopped. No task has seen a later time.
///
/// Every deadline of the image is kept as what was left of it at this instant, however long it takes to look at the tree
/// afterwards.
struct TimeStamp: Codable, Sendable {
    var realtime: Int64
    var monotonic: Int64
    var boottime: Int64
    var internationalAtomic: Int64

    /// Now.
    init() {
        realtime = SystemClock.realtime.now()
        monotonic = SystemClock.monotonic.now()
        boottime = SystemClock.boottime.now()
        internationalAtomic = SystemClock.tai.now()
    }

    /// Nanoseconds; nil for a clock that does not go by itself (CPU time).
    private func time(on clock: SystemClock) -> Int64? {
        switch clock {
        case .realtime, .realtimeAlarm: realtime
        case .monotonic: monotonic
        case .boottime, .boottimeAlarm: boottime
        case .tai: internationalAtomic
        case .processTime, .threadTime, .monotonicRaw: nil
        }
    }

    /// Nanoseconds. For a clock that does not go by itself: 0.
    func now(on clock: SystemClock) -> Int64 { time(on: clock) ?? 0 }

    /// Nanoseconds from this instant to `deadline` on one of the host's clocks; 0 if it has passed.
    func left(until deadline: Int64, on clock: SystemClock) -> UInt64 { UInt64(max(0, deadline -| now(on: clock))) }

    /// The same for what was `remaining` at `instant` of the monotonic clock, on a clock by its number; 0 stays
    /// 0, and so does CPU time, of which none goes by meanwhile.
    func left(of remaining: UInt64, clock: Int32, at instant: Int64 = SystemClock.monotonic.now()) -> UInt64 {
        guard remaining != 0, let clock = SystemClock(rawValue: clock), let then = time(on: clock) else { return remaining }
        let running: SystemClock =
            switch clock {
            case .realtimeAlarm: .realtime
            case .boottimeAlarm: .boottime
            default: clock
            }
        let since = SystemClock.monotonic.now() - instant
        return min(remaining +| UInt64(max(0, running.now() - since - then)), UInt64(Int64.max))
    }
}
