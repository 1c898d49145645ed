/// The timer that will end the sleep of a task, read before anything disturbed it.
///
/// A call that waits with a limit keeps a `struct hrtimer_sleeper` on the task's kernel stack. The calls
/// that answer `EINTR` when they are interrupted drop it then: it is the only exact source for what was left.
///
/// - Source: include/linux/hrtimer.h; kernel/time/hrtimer.c, `schedule_hrtimeout_range_clock`.
package struct SleepTimer: Equatable, Sendable {
    /// On the host's monotonic clock, without the timer slack. Nil: it sleeps without a limit, or the kernel
    /// keeps the limit of this call elsewhere.
    package var expires: Int64?
    /// How often the task had blocked before (`nvcsw`). The count is one higher at its next stop if it blocked all the
    /// time until then.
    package var sleeps: UInt64
    /// Registers at the entry of the call: number, `rdi rsi rdx r10 r8 r9`, `rip`, `rsp`.
    package var call: [UInt64]
}

/// Where the running kernel keeps what ``SleepTimerProgram`` reads. Offsets in bytes.
struct SleepTimerLayout: Equatable, Sendable {
    // In struct task_struct.
    var task: Int
    var tracing: Int
    var state: Int
    var sleeps: Int
    var stackPointer: Int

    // In struct hrtimer_sleeper.
    var sleeperSize: Int
    var sleeperTask: Int
    var function: Int
    var softExpires: Int
    var timerState: Int

    // In struct pt_regs: number, six arguments, rip, rsp.
    var registersSize: Int
    var registers: [Int]
}

extension SleepTimerLayout {
    /// x86_64 only; elsewhere a member is missing.
    init(_ kernel: KernelLayout) throws(SystemError) {
        let (taskStruct, sleeper) = ("task_struct", "hrtimer_sleeper")
        var registers: [Int] = []
        for name in ["orig_ax", "di", "si", "dx", "r10", "r8", "r9", "ip", "sp"] {
            registers.append(try kernel.offset("pt_regs", name))
        }
        self.init(
            task: try kernel.offset(taskStruct, "pid"),
            tracing: try kernel.offset(taskStruct, "ptrace"),
            state: try kernel.offset(taskStruct, "__state"),
            sleeps: try kernel.offset(taskStruct, "nvcsw"),
            stackPointer: try kernel.offset(taskStruct, "thread.sp"),
            sleeperSize: try kernel.size(sleeper),
            sleeperTask: try kernel.offset(sleeper, "task"),
            function: try kernel.offset(sleeper, "timer.function"),
            softExpires: try kernel.offset(sleeper, "timer._softexpires"),
            timerState: try kernel.offset(sleeper, "timer.state"),
            registersSize: try kernel.size("pt_regs"),
            registers: registers)
        let far = [task, tracing, state, sleeps, stackPointer].max() ?? 0
        let fits = sleeperSize > 0 && sleeperSize <= 96 && registersSize > 0 && registersSize <= 192
        guard fits, far < 1 << 15 else { throw malformed("BTF: hrtimer_sleeper") }
    }
}
