internal import CKernel
internal import Glibc

/// The processor time of a process or thread.
package enum ProcessorTime {
    /// Nanoseconds used up to now by the task that a clock's number names.
    ///
    /// - Throws: EINVAL where the task is not there.
    /// - Source: clock_getcpuclockid(3), which tells how the number is made.
    @inline(never)
    package static func now(onClock number: Int32) throws(SystemError) -> Int64 {
        try FaultPoint.processorTime.pass("clock_gettime")
        var time = timespec()
        // The kernel writes one timespec into a buffer of ours.
        let result = unsafe withUnsafeMutablePointer(to: &time) { pointer in
            ckernel_syscall(Int(SYS_clock_gettime), Int(number), Int(bitPattern: pointer), 0, 0, 0, 0)
        }
        _ = try SystemError.check(result, "clock_gettime")
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
