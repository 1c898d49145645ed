internal import CKernel
internal import Glibc

/// A clock of the processor time of a process or thread, by number.
///
/// - Source: clock_getcpuclockid(3); include/linux/posix-timers.h, `CPUCLOCK_PID`.
package struct CPUClock: Equatable, Sendable {
    package var number: Int32

    package init(number: Int32) { self.number = number }

    /// The same kind of clock of another task.
    package func of(task: Int32) -> CPUClock { CPUClock(number: ~task << 3 | number & 7) }

    /// Whose time it counts as the caller sees it; 0: the caller's own.
    package var task: Int32 { ~(number >> 3) }
    package var isOfThread: Bool { number & 4 != 0 }

    /// Nanoseconds used up to now.
    @inline(never)
    package func now() throws(SystemError) -> Int64 {
        var time = timespec()
        // The kernel writes one timespec into a buffer of ours.
        let result = unsafe withUnsafeMutablePointer(to: &time) { pointer in
            ckernel_syscall(Int(SYS_clock_gettime), Int(number), Int(bitPattern: pointer), 0, 0, 0, 0)
        }
        _ = try SystemError.check(result, "clock_gettime")
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
