internal import LinuxABI
import StepProgram

/// A `struct itimerspec` in the data segment, and the flags that go with it: TIMER_ABSTIME 1, which is
/// TFD_TIMER_ABSTIME, too.
struct TimerArming {
    var flags: UInt64
    var value: UInt64
}

/// A time on one of the tree's clocks that the monitor writes when it has chosen the instant of the release.
package struct Deadline: Sendable, Equatable {
    /// The address of the `struct timespec`.
    package var address: UInt64
    package var clock: UInt32
    /// Nanoseconds from the stop of the tree on that clock; negative: the time had passed already.
    package var left: Int64

    /// Seconds and nanoseconds. Never zero, which would disarm the timer.
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

/// Turns the time that a timer had left into the value that it is set to, for all kinds of timers.
extension PlanBuilder {
    /// Whether a timer on this clock can be given a deadline that the monitor knows.
    func hasDeadlines(clock: Int32) -> Bool { [0, 1, 7, 8, 9].contains(clock) }

    /// The value for a timer that had `left` nanoseconds when the tree stopped.
    ///
    /// On the monotonic and the boot-time clock every timer is set to an absolute deadline. These clocks cannot be set, so a
    /// program cannot tell it from a relative one, and the kernel itself counts the periods that have passed. On the
    /// real-time clock only a timer that was absolute (`isAbsolute`) is set to a deadline. CPU time does not pass while the
    /// tree does not exist.
    ///
    /// - Parameter left: not 0. Negative: the timer expired that long ago; it expires at once, and counts the periods since
    ///   then as overruns. On clocks without deadlines it is set to the shortest time instead.
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

    /// The value for a timer that is not armed, but has an interval.
    mutating func disarmed(interval: UInt64) -> TimerArming {
        TimerArming(
            flags: 0, value: launchpad.add(words: [interval / 1_000_000_000, interval % 1_000_000_000, 0, 0]))
    }
}
