internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// Interrupted calls go on where they were: through a restart block of the kernel's, or made again with what
/// is left of their time.
extension Finaliser {
    /// Threads with restart blocks, in the order in which they are armed.
    ///
    /// poll(2) takes whole milliseconds: the monitor lets a thread into it when whole milliseconds are left. Sorted
    /// by that moment, all of them together cost a millisecond, not one each.
    func armingOrder() -> [Int] {
        var polls: [(phase: Int64, index: Int)] = []
        var others: [Int] = []
        for (index, task) in plan.tasks.enumerated() {
            guard !task.isDead, let number = task.thread, armedCall(of: index) != nil else { continue }
            let block = image.threads[number].restartBlock
            if block.kind == .poll && block.hasTimeout_p {
                polls.append((release.remaining(of: block.remaining, clock: Self.monotonic) % Self.millisecond, index))
            } else {
                others.append(index)
            }
        }
        return others + polls.sorted { $0.phase < $1.phase }.map(\.index)
    }

    private static let millisecond: Int64 = 1_000_000
    private static let monotonic = UInt32(Clock.CLOCK_MONOTONIC)

    /// Puts each thread into the call it was in, with the time it has left at the release, and interrupts it there: so
    /// it owns a real restart block of the kernel's.
    ///
    /// They go to the entries of their calls side by side, into them one after the other, and stop side by side.
    ///
    /// - Parameter memory: the launchpad, where the operands lie.
    mutating func armAll(_ memory: borrowing SharedMemory) throws(RestoreError) {
        let order = armingOrder()
        try eachOf(order) { index throws(SystemError) in
            guard let call = armedCall(of: index) else { return }
            let thread = plan.tasks[index].thread.map { image.threads[$0] }
            let registers = try pointed(
                at: plan.tasks[index], hostPids[index], call: call.number, call.arguments,
                compatInstruction: thread?.callIs32Bit == true ? loopCompatInstruction : nil)
            try Trace.setRegisters(.general, of: hostPids[index], to: registers)
            try Trace.resumeToCall(hostPids[index])
        }
        for index in order {
            try naming(plan.tasks[index]) { () throws(SystemError) in try enterCall(index, memory) }
        }
        for index in order { try naming(plan.tasks[index]) { () throws(SystemError) in try leaveCall(index) } }
    }

    /// The call that makes the restart block of a thread, if it begins now.
    private func armedCall(of index: Int) -> ArmedCall? {
        guard let number = plan.tasks[index].thread, let operand = plan.armingOperands[number] else { return nil }
        let thread = image.threads[number]
        let block = thread.restartBlock
        // Real-time and deadline policies sleep without slack.
        let withoutSlack = [SchedulingClass.SCHED_FIFO, SchedulingClass.SCHED_RR, SchedulingClass.SCHED_DEADLINE]
        let slack = withoutSlack.contains(thread.scheduling.policy) ? 0 : Int64(clamping: thread.timerSlack)
        // Processor time stands still until the release.
        let remaining =
            block.kind == .cpuNanosleep
            ? Int64(clamping: block.remaining) : release.remaining(of: block.remaining, clock: block.clockOfDeadline)
        return ArmedCall(
            thread, operand: operand, remaining: remaining, slack: slack, monotonicOffset: release.monotonicOffset)
    }

    /// From the entry of its call into it, where an interrupt is waiting.
    private func enterCall(_ index: Int, _ memory: borrowing SharedMemory) throws(SystemError) {
        let host = hostPids[index]
        try stops.awaitCallStop(host)
        guard let number = plan.tasks[index].thread, let operand = plan.armingOperands[number],
            let call = armedCall(of: index)
        else { return }
        let block = image.threads[number].restartBlock
        if block.kind == .poll && block.hasTimeout_p {
            let end = SystemClock.monotonic.now() +| release.remaining(of: block.remaining, clock: Self.monotonic)
            try setTimeout(of: host, to: waitForWholeMilliseconds(until: end))
        }
        memory.write(call.operandBytes, at: operand)
        try Trace.interrupt(host)
        try Trace.resume(host)
    }

    private mutating func leaveCall(_ index: Int) throws(SystemError) {
        guard let number = plan.tasks[index].thread, let call = armedCall(of: index) else { return }
        let host = hostPids[index]
        try stops.awaitStop(host)
        let result = try self.result(of: host)
        guard result != -Int64(Errno.ERESTART_RESTARTBLOCK) else { return }
        // Not interrupted: what it waits for is there already, and that is its result.
        guard call.earlyResults.contains(result) || call.earlyErrors.contains(result) else {
            throw SystemError(Int32(clamping: -result), in: "system call \(call.number) that was interrupted")
        }
        earlyResults[number] = result
    }

    /// Waits until a whole number of milliseconds is left, and gives it. If the last such moment has just gone by,
    /// that many are taken all the same: the monitor was late, by less than the wait would be.
    private func waitForWholeMilliseconds(until deadline: Int64) -> UInt64 {
        let lateness: Int64 = 150_000
        var left = deadline -| SystemClock.monotonic.now()
        let fraction = left % Self.millisecond
        if left > 0 && fraction < Self.millisecond - lateness {
            if fraction > lateness { Waiting.pause(atMost: fraction - lateness) }
            let goal = left - fraction
            repeat { left = deadline -| SystemClock.monotonic.now() } while left > goal
            return UInt64(min(goal / Self.millisecond, Int64(Int32.max)))
        }
        return ArmedCall.milliseconds(left)
    }

    /// The third argument of the call at whose entry a thread stands: in both tables in the same register.
    private func setTimeout(of host: Int32, to value: UInt64) throws(SystemError) {
        let raw = try Trace.registers(.general, of: host, atMost: X86GeneralRegisters.registerSetSize)
        guard var registers = try? X86GeneralRegisters(registerSet: raw) else {
            throw SystemError(Errno.EINVAL, in: "registers of the loop")
        }
        registers.rdx = value
        try Trace.setRegisters(.general, of: host, to: registers.registerSet)
    }

    /// Points a call that will be made again at what is left of its time: the number itself in its register, or a
    /// structure in the slack of the vdso.
    mutating func shorten(_ registers: inout X86GeneralRegisters, _ index: Int) throws(SystemError) {
        let task = plan.tasks[index]
        guard let number = task.thread, image.threads[number].hasTimeout else { return }
        let timeout = image.threads[number].timeout
        let is32Bit = image.threads[number].callIs32Bit || registers.is32Bit
        // The second: about to make its call.
        guard let argument = registers.timeoutOfRepeatedCall(is32Bit: is32Bit)
                ?? TimeoutArgument(of: registers.call(Int(Int32(truncatingIfNeeded: registers.rax)), is32Bit: is32Bit))
        else { return }
        // The call is made again after the release, never before it.
        let left = release.remainingAtRelease(of: timeout.remaining, clock: Self.monotonic)
        let host = hostPids[index]
        if timeout.source == .memory {
            // The kernel has written there what was left when the thread stopped.
            try? RemoteMemory.write(host, at: registers[argument.register], argument.bytes(nanoseconds: left))
        } else if argument.form == .milliseconds {
            registers[argument.register] = TimeoutArgument.milliseconds(nanoseconds: left)
        } else {
            let space = space(of: task.pid)
            let code = space?.is32Bit == true ? CompatVdso.current?.code ?? [] : vdsoCode
            let held = registers[argument.register]
            guard let vdso = space.flatMap(plan.vdso.code),
                let slot = slot(in: TimeSlots(vdsoEnd: vdso.end, code: code), for: space?.id ?? 0, held: held)
            else {
                // Room in a vdso that is kept beside this kernel's is as good as any.
                let kept = space?.mappings.first { $0.kind == .vdsoCode && plan.valid.usesVdsoProxy }
                if let kept, (kept.start..<kept.end).contains(held) {
                    return try RemoteMemory.force(host, at: held, argument.bytes(nanoseconds: left))
                }
                beginAnew.append(image.threads[number].tid)
                return
            }
            try RemoteMemory.force(host, at: slot, argument.bytes(nanoseconds: left))
            registers[argument.register] = slot
        }
    }

    /// Room for the timeout of one more thread of an address space: the slot that it had at an earlier checkpoint, or one
    /// that no thread there points to. Nil if there is none.
    private mutating func slot(in slots: TimeSlots, for space: UInt32, held: UInt64) -> UInt64? {
        if takenSlots[space] == nil {
            let own = (usersOfSpace[space] ?? []).flatMap { plan.valid.states[image.threads(of: $0).indices] }
            takenSlots[space] = Set(
                own.flatMap { [$0.general.rdx, $0.general.r10, $0.general.r8] }.filter(slots.contains))
        }
        if slots.contains(held) { return held }
        guard let free = slots.free(besides: takenSlots[space] ?? []) else { return nil }
        takenSlots[space, default: []].insert(free)
        return free
    }
}
