internal import ArchState
internal import CheckpointImage
internal import Kernel

extension Collector {
    /// What a thread that was caught asleep would go on with, and for how long.
    ///
    /// Asked of the kernel's own restart block; where that is refused (no CAP_BPF), the call's arguments tell the
    /// kind, and the rest is worked out from the task's memory or its last sleep.
    func restartBlock(of tid: Int32, in pid: Int32, _ registers: X86GeneralRegisters) -> ImageRestartBlock {
        let image: ImageRestartBlock
        if let block = calls?.restartBlock(of: tid) {
            image = fromKernel(block, tid, pid)
        } else {
            image = fromArguments(tid, registers)
            if image.kind == .unknown {
                find(
                    pid, "thread \(tid)", "sleeps on in a call that only the kernel knows (restart_syscall)",
                    help: "let crcheckpoint have CAP_BPF and CAP_PERFMON")
            }
        }
        if image.kind == .cpuNanosleep { _ = processorClock(image, tid, pid) }
        return image
    }

    /// What is left to a call that will be made again from its arguments, or was about to be.
    func callTimeout(of tid: Int32, in pid: Int32, _ registers: X86GeneralRegisters) -> ImageCallTimeout? {
        var timeout = ImageCallTimeout()
        if let wait = calls?.waits[tid], wait.call == registers.call, registers.timeoutOfRepeatedCall(is32Bit: wait.is32Bit) != nil {
            timeout.remaining = stamp.left(until: wait.deadline, on: .monotonic)
            timeout.source = wait.source
            return timeout
        }
        // Released by an earlier checkpoint, and not yet in the call again: the slot holds what was left.
        guard case .none = registers.interruptedCall, let injection = injections[pid] else { return nil }
        let call = registers.call(
            Int(Int32(truncatingIfNeeded: registers.rax)), is32Bit: registers.nextCallIs32Bit(tid))
        let code = injection.is32Bit ? CompatVdso.current?.code ?? [] : vdsoCode
        guard let argument = TimeoutArgument(of: call), argument.form != .milliseconds,
            TimeSlots(vdsoEnd: injection.vdsoEnd, code: code).contains(registers[argument.register]),
            let bytes = try? RemoteMemory.read(tid, at: registers[argument.register], count: argument.form.size),
            let left = argument.nanoseconds(of: bytes)
        else { return nil }
        timeout.remaining = left
        timeout.source = .arguments
        return timeout
    }

    private func fromKernel(_ block: RestartBlock, _ tid: Int32, _ pid: Int32) -> ImageRestartBlock {
        var image = ImageRestartBlock()
        image.source = .kernel
        image.hasTimeout_p = true
        func left(_ number: Int32, until: Int64) -> UInt64 {
            let clock = SystemClock(rawValue: number) ?? .monotonic
            return stamp.left(until: calls?.own(until, clock: clock) ?? until, on: clock)
        }
        switch block {
        case .nanosleep(let clock, let address, _, let expires):
            image.kind = .nanosleep
            image.clock = UInt32(bitPattern: clock)
            image.userAddress = address
            image.remaining = left(clock, until: expires)
            if ![0, 1, 7, 8, 9, 11].contains(clock) { find(pid, "thread \(tid)", "sleeps on clock \(clock), which is not known") }
        case .cpuNanosleep(let clock, let address, _, let expires):
            image.kind = .cpuNanosleep
            image.clock = UInt32(bitPattern: clock)
            image.userAddress = address
            let now = processorClock(image, tid, pid).flatMap { try? ProcessorTime.now(onClock: $0.number) } ?? 0
            image.remaining = UInt64(max(0, expires - now))
        case .poll(let address, let count, let deadline):
            image.kind = .poll
            image.userAddress = address
            image.count = UInt64(count)
            image.hasTimeout_p = deadline != nil
            if let deadline { image.remaining = left(1, until: deadline) }
        case .futex(let address, let value, let flags, let bits, let expires):
            image.kind = .futex
            image.userAddress = address
            image.count = UInt64(value)
            image.flags = UInt32(bitPattern: flags.operationBits)
            image.bits = bits
            image.remaining = left(flags.isRealtime ? 0 : 1, until: expires)
        case .none:
            find(pid, "thread \(tid)", "sleeps in a call that the kernel would not take up again")
        case .unknown(_, let name):
            find(pid, "thread \(tid)", "sleeps in a call that cannot be taken up again (\(name))", help: "try again when it has ended")
        }
        return image
    }

    /// The clock that a sleep on processor time counts by, as we may ask it. The number in the image is the
    /// task's own: 0 for itself, or somebody's pid as it sees them, who has to be in the tree.
    private func processorClock(_ block: ImageRestartBlock, _ tid: Int32, _ pid: Int32) -> CPUClock? {
        guard let clock = CPUClock(Int32(bitPattern: block.clock)) else { return nil }
        let wanted = clock.task
        guard wanted != 0 else { return clock.of(task: pid) }
        let isNear = { (other: Int32) in self.namespaces.ofProcess[other] == self.namespaces.ofProcess[pid] }
        let host =
            clock.isOfThread
            ? threads.values.joined().first {
                isNear($0.process) && (try? TaskStatus(of: $0.process, task: $0.tid))?.namespaceTaskIDs.last == wanted
            }?.tid
            : processes.first { isNear($0) && (try? TaskStatus(of: $0))?.namespaceProcessIDs.last == wanted }
        guard let host else {
            find(
                pid, "thread \(tid)", "sleeps on the processor time of \(wanted), which is not in the tree",
                help: "checkpoint a tree that holds both")
            return nil
        }
        return clock.of(task: host)
    }
}
