internal import CKernel
internal import Glibc
internal import LinuxABI

/// How the kernel schedules a task.
///
/// - Source: sched(7); sched_getattr(2), `struct sched_attr`.
package struct SchedulingPolicy: Equatable, Codable, Sendable {
    /// `SCHED_*`: 0 other, 1 FIFO, 2 round robin, 3 batch, 5 idle, 6 deadline, 7 extensible.
    package var policy: UInt32
    /// `SCHED_FLAG_*`; 1: children get the default policy.
    package var flags: UInt64
    /// -20 ... 19, policies 0 and 3 only.
    package var nice: Int32
    /// 1 ... 99, policies 1 and 2 only.
    package var priority: UInt32
    /// Nanoseconds, policy 6; for others a custom time slice or 0.
    package var runtime: UInt64
    package var deadline: UInt64
    package var period: UInt64
    /// Utilisation clamps, 0 ... 1024.
    package var minimumUtilization: UInt32
    package var maximumUtilization: UInt32

    /// Asks for one task; 0 is the calling thread.
    @inline(never)
    package init(of task: Int32) throws(SystemError) {
        try FaultPoint.getScheduling.pass("sched_getattr")
        var attributes = ckernel_sched_attr()
        let size = MemoryLayout<ckernel_sched_attr>.size
        // The kernel fills at most `size` bytes.
        let result = unsafe withUnsafeMutablePointer(to: &attributes) { pointer in
            ckernel_syscall(Int(SYS_sched_getattr), Int(task), Int(bitPattern: pointer), size, 0, 0, 0)
        }
        _ = try SystemError.check(result, "sched_getattr")
        policy = attributes.policy
        flags = attributes.flags
        nice = attributes.nice
        priority = attributes.priority
        runtime = attributes.runtime
        deadline = attributes.deadline
        period = attributes.period
        minimumUtilization = attributes.utilization_min
        maximumUtilization = attributes.utilization_max
    }
}

/// The processors that a task may run on: bit n of the bytes is processor n. As long as this kernel's masks.
///
/// - Source: sched_getaffinity(2), the system call itself.
@inline(never)
package func affinity(of task: Int32) throws(SystemError) -> [UInt8] {
    try FaultPoint.getScheduling.pass("sched_getaffinity")
    var size = 128
    while true {
        var mask = [UInt8](repeating: 0, count: size)
        // In bounds: the kernel writes at most the buffer's size.
        let result = unsafe mask.withUnsafeMutableBytes { buffer in
            ckernel_syscall(
                Int(SYS_sched_getaffinity), Int(task), buffer.count, Int(bitPattern: buffer.baseAddress), 0,
                0, 0)
        }
        // EINVAL: this kernel's masks are longer.
        if result == -Int(EINVAL), size < 1 << 16 {
            size *= 2
            continue
        }
        mask.removeLast(size - (try SystemError.check(result, "sched_getaffinity")))
        return mask
    }
}

/// Class (bits 13...15) and level of a task's disk priority; 0: as its nice value says.
///
/// - Source: ioprio_get(2).
package func diskPriority(of task: Int32) throws(SystemError) -> Int32 {
    try FaultPoint.getScheduling.pass("ioprio_get")
    let result = ckernel_syscall(Int(SYS_ioprio_get), Int(IOPriority.IOPRIO_WHO_PROCESS), Int(task), 0, 0, 0, 0)
    return Int32(try SystemError.check(result, "ioprio_get"))
}

/// Nanoseconds by which timers of a task may be late.
///
/// - Throws: `EPERM` for any task but the calling thread without `CAP_SYS_NICE`.
/// - Source: proc(5), `/proc/pid/timerslack_ns`.
package func timerSlack(of task: Int32) throws(SystemError) -> UInt64 {
    try number(in: "/proc/\(task)/timerslack_ns")
}

/// -1000 ... 1000.
///
/// - Source: proc(5), `/proc/pid/oom_score_adj`.
package func memoryKillAdjustment(of pid: Int32) throws(SystemError) -> Int32 {
    let path = "/proc/\(pid)/oom_score_adj"
    var cursor = ByteCursor(try readKernelRecord(path, capacity: 64))
    guard let value = cursor.signed() else { throw malformed(path) }
    return Int32(truncatingIfNeeded: value)
}

/// What a core file of a process holds: bits of `/proc/PID/coredump_filter`.
///
/// - Source: core(5).
package func coreDumpFilter(of pid: Int32) throws(SystemError) -> UInt32 {
    let path = "/proc/\(pid)/coredump_filter"
    var cursor = ByteCursor(try readKernelRecord(path, capacity: 64))
    guard let value = cursor.hexadecimal() else { throw malformed(path) }
    return UInt32(truncatingIfNeeded: value)
}

/// `ADDR_NO_RANDOMIZE` and the like.
///
/// - Source: personality(2); proc(5), `/proc/pid/personality`.
package func personality(of pid: Int32) throws(SystemError) -> UInt32 {
    let path = "/proc/\(pid)/personality"
    var cursor = ByteCursor(try readKernelRecord(path, capacity: 64))
    guard let value = cursor.hexadecimal() else { throw malformed(path) }
    return UInt32(truncatingIfNeeded: value)
}

/// Whether a process has timers of timer_create(2).
///
/// - Throws: `ENOENT` on kernels without `CONFIG_CHECKPOINT_RESTORE`, or if the process is gone.
/// - Source: proc(5), `/proc/pid/timers`.
package func hasPosixTimers(_ pid: Int32) throws(SystemError) -> Bool {
    let file = try Descriptor.open("/proc/\(pid)/timers")
    return try !file.read(upTo: 64).isEmpty
}

private func number(in path: String) throws(SystemError) -> UInt64 {
    var cursor = ByteCursor(try readKernelRecord(path, capacity: 64))
    guard let value = cursor.decimal() else { throw malformed(path) }
    return value
}

/// How often a task has been given a processor; nil where the kernel does not count it.
///
/// - Source: Documentation/scheduler/sched-stats.rst, `/proc/PID/schedstat`.
package func timeSlices(of task: Int32) -> UInt64? {
    guard let text = try? readKernelRecord("/proc/\(task)/schedstat", capacity: 128) else { return nil }
    var numbers = ByteCursor(text)
    guard numbers.decimal() != nil, numbers.decimal() != nil else { return nil }
    return numbers.decimal()
}
