/// A clock of CPU time, as its number encodes it: the task's number inverted, above three bits.
///
/// - Source: clock_getcpuclockid(3); include/linux/posix-timers_types.h, `CPUCLOCK_PID`, `CPUCLOCK_PERTHREAD`, `CPUCLOCK_WHICH`.
package struct CPUClock: Equatable, Sendable {
    package let number: Int32

    /// pid or tid; 0: the task that uses the clock.
    package var task: UInt32 { UInt32(~(number >> 3)) }
    package var isOfThread: Bool { number & 4 != 0 }

    /// Nil for a clock of another kind: one of real time, or a device.
    package init?(_ number: Int32) {
        guard number < 0, number & 3 != 3 else { return nil }
        self.number = number
    }

    private init(number: Int32) { self.number = number }

    /// The same kind of clock of another task.
    package func of(task: Int32) -> CPUClock { CPUClock(number: ~task << 3 | number & 7) }
}
