internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// The instant at which the tree shall go on, chosen when every process has loaded.
///
/// Deadlines and clocks are set for it beforehand, so what the monitor still has to do does not count for the
/// tree. It waits for the instant if it is done early; if it is late, the tree has been away for that long.
struct ReleaseInstant {
    let instant: TimePlan.Instant
    /// The tree's CLOCK_MONOTONIC minus this host's.
    let monotonicOffset: Int64
    private let time: TimePlan

    /// Writes the offsets of the tree's time namespace, which has no member yet, and the times that the
    /// tasks arm their timers with.
    ///
    /// - Preconditions: every process waits for "go".
    init(_ tree: borrowing ForkedTree) throws(RestoreError) {
        let clocks = tree.clocks
        time = tree.plan.valid.time
        let now = TimePlan.Instant.now()
        // What finalising takes at least, measured: threads are made, every task is stopped and loaded.
        let ahead = 1_000_000 + Int64(tree.plan.tasks.count) * 100_000
        instant = TimePlan.Instant(
            realtime: now.realtime + ahead, monotonic: now.monotonic + ahead, boottime: now.boottime + ahead)
        for place in tree.plan.releaseTimes {
            var bytes: [UInt8] = []
            for word in place.words(time, at: instant, untilRelease: UInt64(ahead)) { bytes.append(littleEndian: word) }
            tree.memory.write(bytes, at: place.address)
        }
        var lead: Int64 = 0
        if let since = clocks.isSetSince, time.model == .relative { lead = instant.monotonic -| since.monotonic }
        for deadline in tree.plan.deadlines {
            var bytes: [UInt8] = []
            for word in deadline.words(time, at: instant, lead: lead) { bytes.append(littleEndian: word) }
            tree.memory.write(bytes, at: deadline.address)
        }
        guard time.usesNamespace else {
            monotonicOffset = 0
            return
        }
        let offsets = time.offsets(at: clocks.isSetSince ?? instant)
        monotonicOffset = offsets.monotonic
        if clocks.isSetSince != nil { return }
        try clocks.set(TimeNamespace.Offsets(monotonic: offsets.monotonic, boottime: offsets.boottime))
    }

    /// Nanoseconds from now until `left` has passed for the tree, on a clock by its number. The tree's clocks go
    /// from the instant on, also if it is over by now.
    func remaining(of left: UInt64, clock: UInt32) -> Int64 {
        let ahead = instant.monotonic - SystemClock.monotonic.now()
        return max(0, ahead +| Int64(clamping: time.remaining(of: left, clock: clock, at: instant)))
    }

    /// The same for a call that is made when the task is let go: at the instant, or now if that is over.
    func remainingAtRelease(of left: UInt64, clock: UInt32) -> UInt64 {
        let late = max(0, SystemClock.monotonic.now() - instant.monotonic)
        let remaining = time.remaining(of: left, clock: clock, at: instant)
        return remaining - min(remaining, UInt64(late))
    }

    /// No clock of the tree runs backwards: not before the instant.
    func wait() {
        while true {
            let ahead = instant.monotonic - SystemClock.monotonic.now()
            if ahead <= 0 { return }
            Waiting.pause(atMost: ahead)
        }
    }
}

/// The tree's time namespace, made before the fork so that it can be inherited. It has no member yet.
struct PreparedClocks {
    private let made: NewTimeNamespace?
    /// When the clocks began to run, where that was before the tree had loaded.
    let isSetSince: TimePlan.Instant?

    /// - Parameter beginNow: the tree joins before it loads, because processes that share memory cannot do so later: its
    ///   clocks run from now on, as if it were stopped while it loads.
    init(_ time: TimePlan, beginNow: Bool) throws(RestoreError) {
        let now = TimePlan.Instant.now()
        isSetSince = beginNow ? now : nil
        guard time.usesNamespace else {
            made = nil
            return
        }
        do throws(SystemError) { made = try NewTimeNamespace.make() } catch {
            throw RestoreError(cannot: "make a time namespace", error)
        }
        if !beginNow { return }
        let offsets = time.offsets(at: now)
        try set(TimeNamespace.Offsets(monotonic: offsets.monotonic, boottime: offsets.boottime))
    }

    /// Its descriptor.
    var namespace: Int32? { made?.descriptor.number }

    func set(_ offsets: TimeNamespace.Offsets) throws(RestoreError) {
        do throws(SystemError) { try made?.setOffsets(offsets) } catch {
            throw RestoreError(cannot: "set the tree's clocks", error)
        }
    }
}

extension TimePlan.Instant {
    static func now() -> TimePlan.Instant {
        TimePlan.Instant(
            realtime: SystemClock.realtime.now(), monotonic: SystemClock.monotonic.now(), boottime: SystemClock.boottime.now())
    }
}
