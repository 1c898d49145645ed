package import CheckpointImage
internal import LinuxABI

/// Whether the time between checkpoint and restart counts for the tree.
package enum TimeModel: String, Sendable, CaseIterable {
    /// It does not count: sleeps and timers go on with the time that they had left, and the tree's clocks continue from the
    /// checkpoint.
    case relative
    /// It counts: deadlines stay where they were, and those that have passed meanwhile take effect at once.
    case absolute
}

/// The clocks of a restarted tree, and the time that is left until its deadlines.
///
/// The tree's monotonic and boot-time clocks show at the release what they showed when it was stopped, plus the time since
/// then if that counts. So a deadline that the kernel keeps on one of these clocks has the same value as before in both
/// models, on this host, after a reboot, or on another host.
///
/// The time since the stop is exact on the clocks of the same boot. After a reboot or on another host it is taken from the
/// real-time clocks.
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
    /// The tree's clocks minus those of that host.
    package let monotonicOffset: Int64
    package let boottimeOffset: Int64
    package let isSameBoot: Bool
    /// Whether the tree gets a time namespace.
    package let usesNamespace: Bool

    /// - Parameters:
    ///   - offsets: the tree's clocks minus those of the host that it was on, nanoseconds.
    ///   - mayMakeNamespace: whether a time namespace can be made here. Without one the tree sees the host's clocks.
    package init(
        _ header: ImageHeader, offsets: (monotonic: Int64, boottime: Int64) = (0, 0), model: TimeModel, bootID: String,
        mayMakeNamespace: Bool
    ) {
        self.model = model
        stopped = Instant(
            realtime: header.begin.realtime, monotonic: header.begin.monotonic, boottime: header.begin.boottime)
        monotonicOffset = offsets.monotonic
        boottimeOffset = offsets.boottime
        isSameBoot = !bootID.isEmpty && header.bootID == bootID
        let isHosts = monotonicOffset == 0 && boottimeOffset == 0
        usesNamespace = mayMakeNamespace && !(model == .absolute && isSameBoot && isHosts)
    }

    /// The nanoseconds since the stop that count, on each clock, at a release at `now`.
    package func counted(at now: Instant) -> Instant {
        if model == .relative { return Instant() }
        let real = max(0, now.realtime -| stopped.realtime)
        if !isSameBoot { return Instant(realtime: real, monotonic: real, boottime: real) }
        return Instant(
            realtime: real, monotonic: max(0, now.monotonic -| stopped.monotonic),
            boottime: max(0, now.boottime -| stopped.boottime))
    }

    /// The tree's clocks minus this host's, if it is released at `now`. Limited to 146 years: no kernel accepts so much, so
    /// it makes no difference if an image asks for more.
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

    /// The latest time that is given to a kernel, 146 years in nanoseconds: in a time namespace with an offset below zero a
    /// later one overflows, and its wait ends at once.
    ///
    /// - Source: Linux, kernel/time/namespace.c, `do_timens_ktime_to_host`.
    package static let farthest: Int64 = 1 << 62

    /// Whether no kernel would set the tree's clocks as they have to be at a release at `now`: below zero, or later than
    /// 146 years.
    ///
    /// - Source: Linux, kernel/time/namespace.c, `proc_timens_set_offset`.
    package func isBeyondClocks(at now: Instant) -> Bool {
        guard usesNamespace else { return false }
        let counted = counted(at: now)
        let latest: Int64 = 4_611_686_018_000_000_000
        let shown = [
            stopped.monotonic +| monotonicOffset +| counted.monotonic, stopped.boottime +| boottimeOffset +| counted.boottime,
        ]
        return !shown.allSatisfy { (0...latest).contains($0) }
    }

    /// The nanoseconds that are left at a release at `now`, of the nanoseconds that were `left` when the tree stopped; 0: the
    /// deadline has passed. `clock` is a number of clock_gettime(2). CPU time does not pass while the tree does not exist.
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

    /// The time on the tree's clock `left` nanoseconds after the stop: a deadline as a task of the tree would give it to the
    /// kernel. Nil for clocks that the tree shares with the host.
    package func deadline(left: UInt64, clock: UInt32) -> Int64? {
        guard usesNamespace else { return nil }
        switch clock {
        case 1: return stopped.monotonic +| monotonicOffset +| Int64(clamping: left)
        case 7, 9: return stopped.boottime +| boottimeOffset +| Int64(clamping: left)
        default: return nil
        }
    }
}

/// A time that the monitor writes into the launchpad when it has chosen the instant of the release. Steps after "go" read
/// it.
package struct ReleaseTime: Sendable, Equatable {
    package enum Unit: Sendable { case microseconds, nanoseconds }

    /// The address of its two words: seconds, and the rest in `unit`.
    package var address: UInt64
    package var unit: Unit
    /// The nanoseconds that were left when the tree stopped, and the clock.
    package var left: UInt64
    package var clock: UInt32

    /// The words, to be used `untilRelease` nanoseconds before a release at `now`. Never zero, which would disarm the timer.
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
