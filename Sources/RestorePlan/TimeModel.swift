package import CheckpointImage

/// What the time that a tree spent as a file means to it.
package enum TimeModel: String, Sendable, CaseIterable {
    /// It does not count: sleeps and timers have left what they had, and the tree's clocks go on where they
    /// were.
    case relative
    /// It counts: deadlines came nearer, and what has passed meanwhile happens at once.
    case absolute
}

/// The clocks of a restarted tree: what they show, and what is left of its deadlines.
///
/// The tree's monotonic and boot-time clocks show at the release what they showed when it was stopped, plus
/// the time spent as a file where that counts. So a deadline of the kernel's on one of these clocks keeps its
/// number in either model, on this host, after a reboot, or on another one.
///
/// Only differences between two clocks of the same boot are exact. Between boots and hosts the real-time
/// clocks tell how long the tree was a file.
package struct TimePlan: Sendable, Equatable {
    /// One instant on a host's clocks, nanoseconds.
    package struct Instant: Sendable, Equatable {
        package var realtime: Int64
        package var monotonic: Int64
        package var boottime: Int64

        package init(realtime: Int64 = 0, monotonic: Int64 = 0, boottime: Int64 = 0) {
            self.realtime = realtime
            self.monotonic = monotonic
            self.boottime = boottime
        }
    }

    package let model: TimeModel
    /// When the tree had stopped, on the clocks of the host it was on.
    package let stopped: Instant
    /// Its clocks minus that host's.
    package let monotonicOffset: Int64
    package let boottimeOffset: Int64
    package let isSameBoot: Bool
    /// Whether the tree gets a time namespace.
    package let usesNamespace: Bool

    /// - Parameter mayMakeNamespace: as the host says. Without one the tree sees the host's clocks.
    package init(_ header: ImageHeader, model: TimeModel, bootID: String, mayMakeNamespace: Bool) {
        self.model = model
        stopped = Instant(
            realtime: header.begin.realtime, monotonic: header.begin.monotonic, boottime: header.begin.boottime)
        monotonicOffset = header.monotonicOffset
        boottimeOffset = header.boottimeOffset
        isSameBoot = !bootID.isEmpty && header.bootID == bootID
        let isHosts = monotonicOffset == 0 && boottimeOffset == 0
        usesNamespace = mayMakeNamespace && !(model == .absolute && isSameBoot && isHosts)
    }

    /// Nanoseconds of being a file that count, on each clock, at a release at `now`.
    package func counted(at now: Instant) -> Instant {
        if model == .relative { return Instant() }
        let real = max(0, now.realtime -| stopped.realtime)
        if !isSameBoot { return Instant(realtime: real, monotonic: real, boottime: real) }
        return Instant(
            realtime: real, monotonic: max(0, now.monotonic -| stopped.monotonic),
            boottime: max(0, now.boottime -| stopped.boottime))
    }

    /// What the tree's clocks have to show beyond this host's if it is released at `now`. At most 146 years, which no kernel
    /// takes: what an image states beyond that makes no difference.
    package func offsets(at now: Instant) -> (monotonic: Int64, boottime: Int64) {
        let counted = counted(at: now)
        func offset(_ shown: Int64, _ counted: Int64, _ now: Int64) -> Int64 {
            min(max(shown +| counted -| now, -Self.farthest), Self.farthest)
        }
        return (
            offset(stopped.monotonic +| monotonicOffset, counted.monotonic, now.monotonic),
            offset(stopped.boottime +| boottimeOffset, counted.boottime, now.boottime)
        )
    }

    private static let farthest: Int64 = 1 << 62

    /// Nanoseconds that are left at a release at `now` of what was `left` when the tree stopped, on a clock by
    /// its number (clock_gettime(2)); 0: it has passed. CPU time does not go by while there is no task.
    package func remaining(of left: UInt64, clock: UInt32, at now: Instant) -> UInt64 {
        let counted = counted(at: now)
        let passed: Int64 =
            switch clock {
            case 0, 5, 8, 11: counted.realtime
            case 1, 4, 6: counted.monotonic
            case 7, 9: counted.boottime
            default: 0
            }
        return left > UInt64(passed) ? left - UInt64(passed) : 0
    }

    /// What the tree's clock shows when `left` nanoseconds from its stop have passed: a deadline as the
    /// tree itself would give it. Nil for clocks that are the host's.
    package func deadline(left: UInt64, clock: UInt32) -> Int64? {
        guard usesNamespace else { return nil }
        switch clock {
        case 1: return stopped.monotonic +| monotonicOffset +| Int64(clamping: left)
        case 7, 9: return stopped.boottime +| boottimeOffset +| Int64(clamping: left)
        default: return nil
        }
    }
}

/// A time that the monitor writes into the launchpad when it knows the instant of the release: it is read by
/// steps that come after "go".
package struct ReleaseTime: Sendable, Equatable {
    package enum Unit: Sendable { case microseconds, nanoseconds }

    /// Where its two words lie: seconds, and the rest in `unit`.
    package var address: UInt64
    package var unit: Unit
    /// What was left when the tree stopped, and on which clock.
    package var left: UInt64
    package var clock: UInt32

    /// The words, `untilRelease` nanoseconds before a release at `now`. Never zero, which would disarm.
    package func words(_ plan: TimePlan, at now: TimePlan.Instant, untilRelease: UInt64) -> [UInt64] {
        let total = plan.remaining(of: left, clock: clock, at: now) +| untilRelease
        switch unit {
        case .nanoseconds:
            let time = max(1, total)
            return [time / 1_000_000_000, time % 1_000_000_000]
        case .microseconds:
            let time = max(1, total / 1000)
            return [time / 1_000_000, time % 1_000_000]
        }
    }
}
