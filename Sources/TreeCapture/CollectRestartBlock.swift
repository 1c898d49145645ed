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
        if let wait = calls?.waits[tid], wait.call == registers.call, registers.timeoutOfRepeatedCall() != nil {
            timeout.remaining = stamp.left(until: wait.deadline, on: .monotonic)
            timeout.source = wait.source
            return timeout
        }
        // Released by an earlier checkpoint, and not yet in the call again: the slot holds what was left.
        guard case .none = registers.interruptedCall, let argument = TimeoutArgument(ofCall: registers.rax),
            argument.form != .milliseconds, let vdso = vdsoEnd(of: pid),
            TimeSlots(vdsoEnd: vdso, code: vdsoCode).contains(registers[argument.register]),
            let bytes = try? RemoteMemory.read(tid, at: registers[argument.register], count: 16),
            let left = argument.nanoseconds(of: bytes)
        else { return nil }
        timeout.remaining = left
        timeout.source = .arguments
        return timeout
    }

    private func vdsoEnd(of pid: Int32) -> UInt64? { injections[pid]?.vdsoEnd }

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
        let host =
            clock.isOfThread
            ? threads.values.joined().first { (try? TaskStatus(of: $0.process, task: $0.tid))?.namespaceTaskIDs.last == wanted }?.tid
            : processes.first { pidInNamespace[$0] == wanted }
        guard let host else {
            find(
                pid, "thread \(tid)", "sleeps on the processor time of \(wanted), which is not in the tree",
                help: "checkpoint a tree that holds both")
            return nil
        }
        return clock.of(task: host)
    }

    /// From the registers of the call and what they point to.
    private func fromArguments(_ tid: Int32, _ registers: X86GeneralRegisters) -> ImageRestartBlock {
        var image = ImageRestartBlock()
        image.source = .arguments
        image.hasTimeout_p = true
        /// Of all its time, what has not gone by since it fell asleep.
        func rest(of whole: UInt64) -> UInt64 {
            guard let since = calls?.asleepSince[tid] else {
                calls?.beginsAnew(tid)
                return whole
            }
            image.source = .lastSleep
            return whole - min(whole, UInt64(max(0, stamp.now(on: .monotonic) - since)))
        }
        /// The kernel has just written what is left where the caller wanted it.
        func sleep(_ request: UInt64, rest address: UInt64, onProcessorTime: Bool) -> UInt64 {
            if address != 0, let left = time(tid, at: address) {
                image.source = .memory
                return left
            }
            let whole = time(tid, at: request) ?? 0
            guard onProcessorTime else { return rest(of: whole) }
            calls?.beginsAnew(tid)
            return whole
        }
        switch callNumber(tid, registers) {
        case SystemCallNumbers.nanosleep:
            image.kind = .nanosleep
            image.clock = 1
            image.userAddress = registers.rsi
            image.remaining = sleep(registers.rdi, rest: registers.rsi, onProcessorTime: false)
        case SystemCallNumbers.clock_nanosleep:
            let clock = Int32(truncatingIfNeeded: registers.rdi)
            let isProcessorTime = clock < 0 || clock == 2
            image.kind = isProcessorTime ? .cpuNanosleep : .nanosleep
            // Relative sleeps on the real-time clock run on the monotonic one; -6 is the caller's process.
            image.clock = UInt32(bitPattern: clock == 0 ? 1 : clock == 2 ? -6 : clock)
            image.userAddress = registers.r10
            image.remaining = sleep(registers.rdx, rest: registers.r10, onProcessorTime: isProcessorTime)
        case SystemCallNumbers.poll:
            image.kind = .poll
            image.userAddress = registers.rdi
            image.count = registers.rsi & 0xffff_ffff
            let milliseconds = Int32(truncatingIfNeeded: registers.rdx)
            image.hasTimeout_p = milliseconds >= 0
            if milliseconds >= 0 { image.remaining = rest(of: UInt64(milliseconds) * 1_000_000) }
        case SystemCallNumbers.futex:
            image.kind = .futex
            image.userAddress = registers.rdi
            image.count = registers.rdx & 0xffff_ffff
            image.flags = UInt32(truncatingIfNeeded: registers.rsi) & 0x180
            let limit = time(tid, at: registers.r10) ?? 0
            if registers.rsi & 0x7f == 9 {  // FUTEX_WAIT_BITSET: a point in time, which says it all
                image.bits = UInt32(truncatingIfNeeded: registers.r9)
                let isRealtime = image.flags & 256 != 0
                image.source = .memory
                // As the task itself sees the clock.
                let end = Int64(clamping: limit) &- (isRealtime ? 0 : timeNamespace?.offsets.monotonic ?? 0)
                image.remaining = stamp.left(until: end, on: isRealtime ? .realtime : .monotonic)
            } else {
                image.bits = UInt32.max
                image.remaining = rest(of: limit)
            }
        default:
            image.kind = .unknown
        }
        return image
    }

    /// The number of the call; behind `restart_syscall`, as the program's own instructions tell it.
    ///
    /// At the second interruption the kernel has forgotten the number, but the arguments are still in the
    /// registers, and the usual `mov $number,%eax; syscall` stands before the instruction pointer.
    private func callNumber(_ tid: Int32, _ registers: X86GeneralRegisters) -> Int {
        guard registers.originalRAX == X86GeneralRegisters.restartCall else {
            return Int(truncatingIfNeeded: registers.originalRAX)
        }
        guard let code = try? RemoteMemory.read(tid, at: registers.rip &- 7, count: 7), code[0] == 0xb8,
            code[5] == 0x0f, code[6] == 0x05
        else { return -1 }
        return Int(code[1]) | Int(code[2]) << 8 | Int(code[3]) << 16 | Int(code[4]) << 24
    }

    private func time(_ tid: Int32, at address: UInt64) -> UInt64? {
        guard let seconds = RemoteMemory.word(tid, at: address), seconds < 9_223_372_036,
            let nanoseconds = RemoteMemory.word(tid, at: address &+ 8), nanoseconds < 1_000_000_000
        else { return nil }
        return seconds * 1_000_000_000 + nanoseconds
    }
}
