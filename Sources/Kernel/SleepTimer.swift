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
    init(_ types: KernelTypes) throws(SystemError) {
        let taskStruct = try types.find("task_struct", .structure)
        let sleeper = try types.find("hrtimer_sleeper", .structure)
        let registerStruct = try types.find("pt_regs", .structure)
        var registers: [Int] = []
        for name in ["orig_ax", "di", "si", "dx", "r10", "r8", "r9", "ip", "sp"] {
            registers.append(try types.member(name, of: registerStruct).offset)
        }
        self.init(
            task: try types.member("pid", of: taskStruct).offset,
            tracing: try types.member("ptrace", of: taskStruct).offset,
            state: try types.member("__state", of: taskStruct).offset,
            sleeps: try types.member("nvcsw", of: taskStruct).offset,
            stackPointer: try types.member("thread.sp", of: taskStruct).offset,
            sleeperSize: types.size(of: sleeper),
            sleeperTask: try types.member("task", of: sleeper).offset,
            function: try types.member("timer.function", of: sleeper).offset,
            softExpires: try types.member("timer._softexpires", of: sleeper).offset,
            timerState: try types.member("timer.state", of: sleeper).offset,
            registersSize: types.size(of: registerStruct),
            registers: registers)
        let far = [task, tracing, state, sleeps, stackPointer].max() ?? 0
        let fits = sleeperSize > 0 && sleeperSize <= 96 && registersSize > 0 && registersSize <= 192
        guard fits, far < 1 << 15 else { throw malformed("BTF: hrtimer_sleeper") }
    }
}

/// The BPF program of ``RestartBlockProbe`` that reads timers of sleeping tasks.
///
/// It walks over the kernel stack of a task that sleeps interruptibly, word by word from the saved stack pointer. A
/// word that equals the task's address is the last member of a `struct hrtimer_sleeper` if a started timer lies
/// before it; the name of the timer's function confirms that.
///
/// ```
/// r6 = words to go, r7 = task, r8 = sequence file, r9 = address in the task's kernel stack
/// record = {u64 tid, u64 sleeps, u64 soft expiry, pt_regs}; the first one of a task is without expiry
/// ```
struct SleepTimerProgram {
    let instructions: [UInt64]

    static let headerSize = 24
    /// How far to look: calls leave their timer within the first few hundred bytes.
    private static let words = 256

    static func recordSize(_ layout: SleepTimerLayout) -> Int { headerSize + (layout.registersSize + 7) & ~7 }

    init(_ layout: SleepTimerLayout) {
        let recordSize = Self.recordSize(layout)
        let record = -recordSize
        let sleeper = record - (layout.sleeperSize + 7) & ~7
        let word = sleeper - 8
        let format = word - 8

        var program = BPFAssembler()
        var end = BPFAssembler.Label()
        program.beginTask(layout.tracing, end: &end)
        program.emit(.load4, 1, source: 7, offset: layout.state)
        program.emit(.andImmediate, 1, immediate: 1)  // TASK_INTERRUPTIBLE, whatever else is set
        program.jump(.jumpIfEqual, 1, to: &end)
        for offset in stride(from: format, to: 0, by: 8) { program.emit(.storeImmediate8, 10, offset: offset) }
        program.emit(.load4, 1, source: 7, offset: layout.task)
        program.emit(.store8, 10, source: 1, offset: record)
        program.emit(.load8, 1, source: 7, offset: layout.sleeps)
        program.emit(.store8, 10, source: 1, offset: record + 8)
        program.emit(.moveRegister, 1, source: 7)
        program.call(.taskRegisters)
        program.read(layout.registersSize, to: record + Self.headerSize, from: 0)
        program.write(recordSize, at: record)
        program.writeName(ofFunctionAt: sleeper + layout.function, format: format)
        program.emit(.load8, 9, source: 7, offset: layout.stackPointer)
        program.emit(.moveImmediate, 6, immediate: Self.words)

        let loop = program.instructions.count
        var next = BPFAssembler.Label()
        program.read(8, to: word, from: 9)
        program.emit(.load8, 1, source: 10, offset: word)
        program.jump(.jumpUnlessSame, 1, source: 7, to: &next)
        program.read(layout.sleeperSize, to: sleeper, from: 9, offset: -layout.sleeperTask)
        program.emit(.load1, 1, source: 10, offset: sleeper + layout.timerState)
        program.jump(.jumpUnlessEqual, 1, immediate: 1, to: &next)  // HRTIMER_STATE_ENQUEUED
        program.emit(.load8, 1, source: 10, offset: sleeper + layout.softExpires)
        program.emit(.store8, 10, source: 1, offset: record + 16)
        program.write(recordSize, at: record)
        program.writeName(ofFunctionAt: sleeper + layout.function, format: format)
        program.place(next)
        program.emit(.addImmediate, 9, immediate: 8)
        program.emit(.addImmediate, 6, immediate: -1)
        program.emit(.jumpUnlessEqual, 6, offset: loop - program.instructions.count - 1)
        program.finish(end: end)
        instructions = program.instructions
    }
}
