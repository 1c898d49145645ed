/// The BPF program of ``RestartBlockProbe`` that reads timers of sleeping tasks.
///
/// It walks over the kernel stack of a task that sleeps interruptibly, word by word from the saved stack pointer. A
/// word that equals the task's address is the last member of a `struct hrtimer_sleeper` if a started timer lies
/// before it; the name of the timer's function confirms that. The stack of a task that is in another call than those that are
/// asked about is left alone.
///
/// ```
/// r7 = task, r8 = sequence file, r9 = address in the task's kernel stack
/// record = {u64 tid, u64 sleeps, u64 soft expiry, pt_regs}; the first one of a task is without expiry
/// ```
///
/// As a function for `bpf_loop` the step is verified once: 0.2 ms. As a loop of jumps each of its rounds is: 20 to 36 ms.
struct SleepTimerProgram {
    enum Form: CaseIterable {
        /// Since Linux 5.17.
        case helper
        case jumps
    }

    let code: BPFCode

    static let headerSize = 24
    /// How far to look: calls leave their timer within the first few hundred bytes.
    private static let words = 256

    static func recordSize(_ layout: SleepTimerLayout) -> Int { headerSize + (layout.registersSize + 7) & ~7 }

    /// - Parameter calls: numbers of system calls, of either table.
    init(_ layout: SleepTimerLayout, _ form: Form, calls: [Int]) {
        let frame = Frame(layout)
        var program = BPFAssembler()
        var end = BPFAssembler.Label()
        program.beginTask(layout.tracing, end: &end)
        program.emit(.load4, 1, source: 7, offset: layout.state)
        program.emit(.andImmediate, 1, immediate: 1)  // TASK_INTERRUPTIBLE, whatever else is set
        program.jump(.jumpIfEqual, 1, to: &end)
        for offset in stride(from: frame.format, to: 0, by: 8) { program.emit(.storeImmediate8, 10, offset: offset) }
        program.emit(.load4, 1, source: 7, offset: layout.task)
        program.emit(.store8, 10, source: 1, offset: frame.record)
        program.emit(.load8, 1, source: 7, offset: layout.sleeps)
        program.emit(.store8, 10, source: 1, offset: frame.record + 8)
        program.emit(.moveRegister, 1, source: 7)
        program.call(.taskRegisters)
        program.read(layout.registersSize, to: frame.record + Self.headerSize, from: 0)
        program.write(Self.recordSize(layout), at: frame.record)
        program.writeName(ofFunctionAt: frame.sleeper + layout.function, format: frame.format)
        program.emit(.load8, 1, source: 10, offset: frame.record + Self.headerSize + layout.registers[0])
        var walk = BPFAssembler.Label()
        for call in calls { program.jump(.jumpIfEqual, 1, immediate: call, to: &walk) }
        program.jump(.jump, to: &end)
        program.place(walk)
        program.emit(.load8, 9, source: 7, offset: layout.stackPointer)
        switch form {
        case .helper:
            for (register, place) in frame.saved { program.emit(.store8, 10, source: register, offset: frame.context + place) }
            let function = program.callLoop(rounds: Self.words, context: frame.context)
            program.finish(end: end)
            program.place(function: function)
            program.emit(.moveRegister, 6, source: 2)
            for (register, place) in frame.saved { program.emit(.load8, register, source: 6, offset: place) }
            program.emit(.moveRegister, 1, source: 9)
            program.emit(.addImmediate, 1, immediate: 8)
            program.emit(.store8, 6, source: 1, offset: frame.saved[2].place)
            let next = Self.look(frame, layout, base: 6, shift: -frame.context, in: &program)
            program.finish(end: next)
        case .jumps:
            program.emit(.moveImmediate, 6, immediate: Self.words)
            let loop = program.instructions.count
            let next = Self.look(frame, layout, base: 10, shift: 0, in: &program)
            program.place(next)
            program.emit(.addImmediate, 9, immediate: 8)
            program.emit(.addImmediate, 6, immediate: -1)
            program.emit(.jumpUnlessEqual, 6, offset: loop - program.instructions.count - 1)
            program.finish(end: end)
        }
        code = program.code
    }

    /// Looks at the word at r9, and writes a record where it belongs to a timer. The frame lies at `base + shift`.
    ///
    /// - Returns: where it jumps to if it does not.
    private static func look(
        _ frame: Frame, _ layout: SleepTimerLayout, base: UInt8, shift: Int, in program: inout BPFAssembler
    ) -> BPFAssembler.Label {
        let (word, sleeper, record) = (frame.word + shift, frame.sleeper + shift, frame.record + shift)
        var next = BPFAssembler.Label()
        program.read(8, to: word, from: 9, base: base)
        program.emit(.load8, 1, source: base, offset: word)
        program.jump(.jumpUnlessSame, 1, source: 7, to: &next)
        program.read(layout.sleeperSize, to: sleeper, from: 9, offset: -layout.sleeperTask, base: base)
        program.emit(.load1, 1, source: base, offset: sleeper + layout.timerState)
        program.jump(.jumpUnlessEqual, 1, immediate: 1, to: &next)  // HRTIMER_STATE_ENQUEUED
        program.emit(.load8, 1, source: base, offset: sleeper + layout.softExpires)
        program.emit(.store8, base, source: 1, offset: record + 16)
        program.write(recordSize(layout), at: record, base: base)
        program.writeName(ofFunctionAt: sleeper + layout.function, format: frame.format + shift, base: base)
        return next
    }

    /// What lies where on the program's stack, downwards from its end.
    private struct Frame {
        let record: Int
        let sleeper: Int
        let word: Int
        let format: Int
        /// What the function of the loop is given: ``saved``.
        let context: Int
        /// Registers that it goes on with: sequence file, task, address.
        let saved: [(register: UInt8, place: Int)] = [(8, 0), (7, 8), (9, 16)]

        init(_ layout: SleepTimerLayout) {
            record = -SleepTimerProgram.recordSize(layout)
            sleeper = record - (layout.sleeperSize + 7) & ~7
            word = sleeper - 8
            format = word - 8
            context = format - 24
        }
    }
}
