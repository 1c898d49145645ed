import StepProgram

/// A `struct itimerspec` in the data segment, and the flags that go with it: TIMER_ABSTIME 1, which is
/// TFD_TIMER_ABSTIME, too.
struct TimerArming {
    var flags: UInt64
    var value: UInt64
}

/// A time of one of the tree's clocks that the monitor writes when it knows the instant of the release.
package struct Deadline: Sendable, Equatable {
    /// Where the `struct timespec` lies.
    package var address: UInt64
    package var clock: UInt32
    /// Nanoseconds from the stop of the tree, on that clock; negative: it had passed.
    package var left: Int64

    /// Seconds and nanoseconds. Never zero, which would disarm.
    ///
    /// - Parameter lead: nanoseconds by which the tree's clocks, in a namespace, will be ahead of where they stopped.
    package func words(_ plan: TimePlan, at release: TimePlan.Instant, lead: Int64 = 0) -> [UInt64] {
        let counted = plan.counted(at: release)
        let start: Int64 =
            switch clock {
            case 0, 8: release.realtime -| counted.realtime
            case 1:
                plan.usesNamespace ? plan.stopped.monotonic +| plan.monotonicOffset +| lead : release.monotonic -| counted.monotonic
            default:
                plan.usesNamespace ? plan.stopped.boottime +| plan.boottimeOffset +| lead : release.boottime -| counted.boottime
            }
        let time = UInt64(max(1, start +| left))
        return [time / 1_000_000_000, time % 1_000_000_000]
    }
}

/// The one place where what a timer had left becomes what it is set to.
extension PlanBuilder {
    /// Whether a timer on this clock can be given a deadline that the monitor knows.
    func hasDeadlines(clock: Int32) -> Bool { [0, 1, 7, 8, 9].contains(clock) }

    /// A timer that had `left` nanoseconds when the tree stopped.
    ///
    /// On the monotonic and the boot-time clock every timer gets a deadline: nothing tells it from the relative
    /// one, as these clocks cannot be set, and what has passed is counted by the kernel itself, period by
    /// period. On the real-time clock a timer follows the clock (`isAbsolute`) or does not. CPU time stands
    /// still while there is no task.
    ///
    /// - Parameter left: not 0; negative: it expired that long ago and expires at once, with what came since as
    ///   overruns. On clocks without deadlines it is then set to the shortest time.
    mutating func arming(clock: Int32, left: Int64, interval: UInt64, isAbsolute: Bool) -> TimerArming {
        let place = launchpad.add(words: [interval / 1_000_000_000, interval % 1_000_000_000, 0, 1])
        let followsClock = isAbsolute || left < 0 || clock == 1 || clock == 7 || clock == 9
        if followsClock && hasDeadlines(clock: clock) {
            deadlines.append(Deadline(address: place + 16, clock: UInt32(clock), left: left))
            return TimerArming(flags: 1, value: place)
        }
        let rest = UInt64(max(1, left))
        if clock >= 0 {
            releaseTimes.append(
                ReleaseTime(address: place + 16, unit: .nanoseconds, left: rest, clock: UInt32(clock)))
        } else {
            launchpad.patch(at: place + 16, with: rest / 1_000_000_000)
            launchpad.patch(at: place + 24, with: rest % 1_000_000_000)
        }
        return TimerArming(flags: 0, value: place)
    }

    /// A timer that is not armed, but has an interval.
    mutating func disarmed(interval: UInt64) -> TimerArming {
        TimerArming(
            flags: 0, value: launchpad.add(words: [interval / 1_000_000_000, interval % 1_000_000_000, 0, 0]))
    }
}
