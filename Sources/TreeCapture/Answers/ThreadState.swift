internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Reads what ptrace(2) tells of one stopped thread, and how long the call that it is in has left.
struct ThreadState {
    let sight: TreeSight
    let process: ProcessSight
    let thread: ThreadSight
    /// Nil where no program can be injected.
    let place: InjectionPlace?
    let calls: TimedCalls

    var tid: Int32 { thread.tid.rawValue }
    var stamp: TimeStamp { sight.instant }

    private static let mostExtendedState = 16384

    func read(_ registers: X86GeneralRegisters, _ raw: [UInt8]) throws(SystemError) -> ThreadAnswers {
        var answers = ThreadAnswers(tid: thread.tid)
        answers.registers = RawText(raw)
        answers.callIs32Bit = registers.callIs32Bit(tid)
        answers.extendedState = RawText(try Trace.registers(.extended, of: tid, atMost: Self.mostExtendedState))
        for number in [0, 1, 2, 3, 6, 7] { answers.debugRegisters.append(try DebugRegisters.read(number, of: tid)) }
        answers.threadAreas = RawText(try Trace.threadAreas(of: tid))
        answers.signalMask = try Trace.signalMask(of: tid)
        let pending = try Trace.pendingSignals(of: tid, shared: false, atMost: Questioner.mostSignals)
        if pending == nil { answers.refusals.append(Questioner.tooManySignals) }
        answers.pending = (pending ?? []).map { RawText($0) }
        if let area = try Trace.restartableSequence(of: tid), area.address != 0 {
            (answers.rseqAddress, answers.rseqSize, answers.rseqSignature) = area
        }
        if case .restartBlock = registers.interruptedCall {
            let (block, refusals) = restartBlock(registers, answers.callIs32Bit)
            answers.restartBlock = block
            answers.refusals += refusals
            answers.timeLeftIs32Bit = leavesTimeOf32Bits(registers, answers.callIs32Bit)
        }
        answers.timeout = callTimeout(registers)
        return answers
    }

    /// Whether the kernel will write what is left of a sleep in 32-bit words if a signal ends it.
    ///
    /// - Preconditions: the thread is stopped with a restart block.
    private func leavesTimeOf32Bits(_ registers: X86GeneralRegisters, _ is32Bit: Bool) -> Bool {
        guard let call = registers.systemCall(is32Bit: is32Bit), call.is32Bit else { return false }
        // restart_syscall: the number is lost, the kernel's own block tells.
        if call.isRestart, case .nanosleep(_, _, let isCompat, _)? = calls.restartBlock(of: tid) { return isCompat }
        if call.isRestart, case .cpuNanosleep(_, _, let isCompat, _)? = calls.restartBlock(of: tid) { return isCompat }
        return call.native.map { [SystemCallNumbers.nanosleep, SystemCallNumbers.clock_nanosleep].contains($0) } == true
            && !call.hasWideTimes
    }

    /// What is left to a call that will be made again from its arguments, or was about to be.
    private func callTimeout(_ registers: X86GeneralRegisters) -> TimeoutAnswer? {
        if let wait = calls.waits[tid], wait.call == registers.call, registers.timeoutOfRepeatedCall(is32Bit: wait.is32Bit) != nil {
            return TimeoutAnswer(remaining: stamp.left(until: wait.deadline, on: .monotonic), source: wait.source)
        }
        // Released by an earlier checkpoint, and not yet in the call again: the slot holds what was left.
        guard case .none = registers.interruptedCall, let place else { return nil }
        let call = registers.call(Int(Int32(truncatingIfNeeded: registers.rax)), is32Bit: registers.nextCallIs32Bit(tid))
        let code = place.is32Bit ? CompatVdso.current?.code ?? [] : sight.host.vdso?.code.bytes ?? []
        guard let argument = TimeoutArgument(of: call), argument.form != .milliseconds,
            TimeSlots(vdsoEnd: place.vdsoEnd, code: code).contains(registers[argument.register]),
            let bytes = try? RemoteMemory.read(tid, at: registers[argument.register], count: argument.form.size),
            let left = argument.nanoseconds(of: bytes)
        else { return nil }
        return TimeoutAnswer(remaining: left, source: .arguments)
    }
}
