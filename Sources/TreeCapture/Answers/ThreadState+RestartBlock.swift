internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension ThreadState {
    /// What a thread that was caught asleep would go on with, and for how long.
    ///
    /// Asked of the kernel's own restart block; where that is refused (no CAP_BPF), the call's arguments tell the
    /// kind, and the rest is worked out from the task's memory or its last sleep.
    func restartBlock(_ registers: X86GeneralRegisters, _ is32Bit: Bool) -> (RestartBlockAnswer, [Refusal]) {
        var answer: RestartBlockAnswer
        var refusals: [Refusal] = []
        if let block = calls.restartBlock(of: tid) {
            (answer, refusals) = fromKernel(block)
        } else {
            answer = fromArguments(registers, is32Bit)
            if answer.kind == .unknown {
                refusals.append(
                    Refusal(
                        "sleeps on in a call that only the kernel knows (restart_syscall)",
                        help: "let crcheckpoint have CAP_BPF and CAP_PERFMON"))
            }
        }
        if answer.kind == .cpuNanosleep, processorClock(answer.clock) == nil,
            let clock = CPUClock(Int32(bitPattern: answer.clock))
        {
            refusals.append(
                Refusal(
                    "sleeps on the processor time of \(clock.task), which is not in the tree", help: "checkpoint a tree that holds both"))
        }
        return (answer, refusals)
    }

    private static let knownClocks: Set<Int32> = [
        Clock.CLOCK_REALTIME, Clock.CLOCK_MONOTONIC, Clock.CLOCK_BOOTTIME, Clock.CLOCK_REALTIME_ALARM, Clock.CLOCK_BOOTTIME_ALARM,
        Clock.CLOCK_TAI,
    ]

    private func fromKernel(_ block: RestartBlock) -> (RestartBlockAnswer, [Refusal]) {
        var answer = RestartBlockAnswer(.kernel)
        var refusals: [Refusal] = []
        func left(_ number: Int32, until: Int64) -> UInt64 {
            let clock = SystemClock(rawValue: number) ?? .monotonic
            return stamp.left(until: calls.own(until, clock: clock), on: clock)
        }
        switch block {
        case .nanosleep(let clock, let address, _, let expires):
            answer.kind = .nanosleep
            answer.clock = UInt32(bitPattern: clock)
            answer.userAddress = address
            answer.remaining = left(clock, until: expires)
            if !Self.knownClocks.contains(clock) { refusals.append(Refusal("sleeps on clock \(clock), which is not known")) }
        case .cpuNanosleep(let clock, let address, _, let expires):
            answer.kind = .cpuNanosleep
            answer.clock = UInt32(bitPattern: clock)
            answer.userAddress = address
            let now = processorClock(answer.clock).flatMap { try? ProcessorTime.now(onClock: $0.number) } ?? 0
            // A sleep for the largest time ends beyond it: the kernel counts on without a sign.
            answer.remaining = min(UInt64(bitPattern: expires) -| UInt64(now), UInt64(Int64.max))
        case .poll(let address, let count, let deadline):
            answer.kind = .poll
            answer.userAddress = address
            answer.count = UInt64(count)
            answer.hasTimeout = deadline != nil
            if let deadline { answer.remaining = left(Clock.CLOCK_MONOTONIC, until: deadline) }
        case .futex(let address, let value, let flags, let bits, let expires):
            answer.kind = .futex
            answer.userAddress = address
            answer.count = UInt64(value)
            answer.flags = UInt32(bitPattern: flags.operationBits)
            answer.bits = bits
            answer.remaining = left(flags.isRealtime ? Clock.CLOCK_REALTIME : Clock.CLOCK_MONOTONIC, until: expires)
        case .none:
            refusals.append(Refusal("sleeps in a call that the kernel would not take up again"))
        case .unknown(_, let name):
            refusals.append(
                Refusal("sleeps in a call that cannot be taken up again (\(name))", help: "try again when it has ended"))
        }
        return (answer, refusals)
    }

    /// The clock that a sleep on processor time counts by, as crcheckpoint may ask it; nil: its task is not in the tree.
    ///
    /// - Parameter number: the task's own: its task part is 0 for the task itself, or a number as the task sees it.
    private func processorClock(_ number: UInt32) -> CPUClock? {
        guard let clock = CPUClock(Int32(bitPattern: number)) else { return nil }
        if clock.task == 0 { return clock.of(task: process.pid.rawValue) }
        let near = sight.processes.lazy.filter { $0.pidNamespace == process.pidNamespace }
        if clock.isOfThread {
            for other in near {
                if let found = other.threads.first(where: { other.status(of: $0).namespaceTaskIDs.last == clock.task }) {
                    return clock.of(task: found.tid.rawValue)
                }
            }
            return nil
        }
        return near.first { $0.status.value.namespaceProcessIDs.last == clock.task }.map { clock.of(task: $0.pid.rawValue) }
    }

    // MARK: - Without the kernel's help

    /// A restart block from the arguments of the call and what they point to.
    private func fromArguments(_ registers: X86GeneralRegisters, _ is32Bit: Bool) -> RestartBlockAnswer {
        var answer = RestartBlockAnswer(.arguments)
        guard let call = interruptedCall(registers, is32Bit) else { return answer }
        let arguments = call.arguments
        switch call.native {
        case SystemCallNumbers.nanosleep:
            answer.kind = .nanosleep
            answer.clock = UInt32(bitPattern: Clock.CLOCK_MONOTONIC)
            answer.userAddress = arguments[1]
            fillSleep(&answer, call, request: arguments[0])
        case SystemCallNumbers.clock_nanosleep:
            let clock = Int32(truncatingIfNeeded: arguments[0])
            let isProcessorTime = clock < 0 || clock == Clock.CLOCK_PROCESS_CPUTIME_ID
            answer.kind = isProcessorTime ? .cpuNanosleep : .nanosleep
            // Relative sleeps on the real-time clock run on the monotonic one; -6 is the caller's process.
            let kernels = clock == Clock.CLOCK_REALTIME ? Clock.CLOCK_MONOTONIC : clock == Clock.CLOCK_PROCESS_CPUTIME_ID ? -6 : clock
            answer.clock = UInt32(bitPattern: kernels)
            answer.userAddress = arguments[3]
            fillSleep(&answer, call, request: arguments[2])
        case SystemCallNumbers.poll:
            answer.kind = .poll
            answer.userAddress = arguments[0]
            answer.count = arguments[1] & 0xffff_ffff
            let milliseconds = Int32(truncatingIfNeeded: arguments[2])
            answer.hasTimeout = milliseconds >= 0
            if milliseconds >= 0 { fillRest(&answer, of: UInt64(milliseconds) * 1_000_000) }
        case SystemCallNumbers.futex:
            fillFutex(&answer, call)
        default:
            answer.kind = .unknown
        }
        return answer
    }

    /// The kernel has just written what is left where the caller wanted it.
    private func fillSleep(_ answer: inout RestartBlockAnswer, _ call: X86Call, request: UInt64) {
        if answer.userAddress != 0, let left = time(at: answer.userAddress, call) {
            answer.source = .memory
            answer.remaining = left
            return
        }
        let whole = time(at: request, call) ?? 0
        guard answer.kind == .cpuNanosleep else { return fillRest(&answer, of: whole) }
        calls.beginsAnew(tid)
        answer.remaining = whole
    }

    private func fillFutex(_ answer: inout RestartBlockAnswer, _ call: X86Call) {
        let arguments = call.arguments
        answer.kind = .futex
        answer.userAddress = arguments[0]
        answer.count = arguments[2] & 0xffff_ffff
        let operation = UInt32(truncatingIfNeeded: arguments[1])
        answer.flags = operation & UInt32(Futex.FUTEX_PRIVATE_FLAG | Futex.FUTEX_CLOCK_REALTIME)
        let limit = time(at: arguments[3], call) ?? 0
        guard operation & 0x7f == UInt32(Futex.FUTEX_WAIT_BITSET) else {
            answer.bits = UInt32.max
            return fillRest(&answer, of: limit)
        }
        // A point in time, which says it all, as the task itself sees the clock.
        answer.bits = UInt32(truncatingIfNeeded: arguments[5])
        let isRealtime = answer.flags & UInt32(Futex.FUTEX_CLOCK_REALTIME) != 0
        answer.source = .memory
        let namespace = thread.namespaces.time
        let offset = isRealtime || namespace == 0 ? 0 : sight[namespace: namespace].monotonicOffset ?? 0
        answer.remaining = stamp.left(until: Int64(clamping: limit) -| offset, on: isRealtime ? .realtime : .monotonic)
    }

    /// Of all its time, what has not gone by since it fell asleep.
    private func fillRest(_ answer: inout RestartBlockAnswer, of whole: UInt64) {
        guard let since = calls.asleepSince[tid] else {
            calls.beginsAnew(tid)
            answer.remaining = whole
            return
        }
        answer.source = .lastSleep
        answer.remaining = whole - min(whole, UInt64(max(0, stamp.now(on: .monotonic) -| since)))
    }

    private func time(at address: UInt64, _ call: X86Call) -> UInt64? {
        let form =
            call.is32Bit ? TimeoutArgument.Form.timespec.compat(isWide: call.hasWideTimes) : TimeoutArgument.Form.timespec
        return (try? RemoteMemory.read(tid, at: address, count: form.size)).flatMap(form.nanoseconds)
    }

    /// The call; behind `restart_syscall`, as the program's own instructions tell it.
    ///
    /// At the second interruption the kernel has forgotten the number, but the arguments are still in the
    /// registers, and the usual `mov $number,%eax; syscall` (or `int $0x80`) stands before the instruction pointer.
    private func interruptedCall(_ registers: X86GeneralRegisters, _ is32Bit: Bool) -> X86Call? {
        guard let call = registers.systemCall(is32Bit: is32Bit), call.isRestart else {
            return registers.systemCall(is32Bit: is32Bit)
        }
        let instruction: [UInt8] = is32Bit ? [0xcd, 0x80] : [0x0f, 0x05]
        guard let code = try? RemoteMemory.read(tid, at: registers.rip &- 7, count: 7), code[0] == 0xb8,
            code[5...].elementsEqual(instruction)
        else { return nil }
        let number = Int(code[1]) | Int(code[2]) << 8 | Int(code[3]) << 16 | Int(code[4]) << 24
        return registers.call(number, is32Bit: is32Bit)
    }
}
