internal import ArchState
internal import Kernel
internal import LinuxABI

/// Answers that the kernel's own memory gives about tasks that may not be asked themselves.
///
/// Where it does not tell, the thread cannot be saved, and the refusal names the call.
struct OutsideAnswers {
    private let sight: TreeSight
    private let calls: TimedCalls
    /// Nil: not permitted, or not needed.
    private let reader: KernelReader?

    init(_ sight: TreeSight, _ calls: TimedCalls, needed: Bool) {
        self.sight = sight
        self.calls = calls
        reader = needed ? try? KernelReader() : nil
    }

    private func facts(_ tid: HostPid) -> ProcessFacts? {
        reader.flatMap { try? ProcessFacts(of: tid.rawValue, $0) }
    }

    /// Fills in what a thread was not asked about itself.
    ///
    /// - Returns: what nothing tells.
    func fill(
        _ own: inout ThreadAnswers.OwnAnswers, of process: ProcessSight, _ thread: ThreadSight, _ unasked: Set<Question>
    ) -> [Refusal] {
        let known = calls.facts(of: [thread.tid.rawValue])[thread.tid.rawValue].map { ThreadAnswers.OwnAnswers($0) }
        var refusals: [Refusal] = []
        for question in unasked.sorted(by: { $0.rawValue < $1.rawValue }) {
            switch (question, known) {
            case (.alternateStack, let known?): (own.stackAddress, own.stackSize, own.stackFlags) = (known.stackAddress, known.stackSize, known.stackFlags)
            case (.clearChildTid, let known?): own.clearChildTid = known.clearChildTid
            case (.parentDeathSignal, let known?): own.parentDeathSignal = known.parentDeathSignal
            case (.secureBits, let known?): own.secureBits = known.secureBits
            case (.timerSlack, let known?): own.timerSlack = known.timerSlack
            case (.attributes, _):
                guard let found = attributes(of: process, thread) else { fallthrough }
                own.attributes = found
            case (.robustList, _), (.confinement, _), (.alternateStack, nil), (.clearChildTid, nil), (.parentDeathSignal, nil), (.secureBits, nil),
                (.timerSlack, nil):
                refusals.append(question.refusal)
            default: break
            }
        }
        return refusals
    }

    /// Where a thread has the same as crcheckpoint, crcheckpoint is asked in its place.
    private func attributes(of process: ProcessSight, _ thread: ThreadSight) -> AttributeAnswers? {
        let difference = facts(thread.tid)?.difference
        let isStrict = UInt64(process.status(of: thread).seccompMode) == Seccomp.SECCOMP_MODE_STRICT
        guard difference == ProcessFacts.Difference.none || difference == .strictMode && isStrict else { return nil }
        var answers = AttributeAnswers()
        answers.timeStampFaults = difference == .strictMode || TaskAttributes.ownTimeStampFaults
        answers.processorIDFaults = TaskAttributes.ownProcessorIDFaults
        answers.speculation = TaskAttributes.ownSpeculation
        answers.memoryFailure = UInt32(process.stat(of: thread).memoryFailurePolicy)
        return answers
    }

    /// Fills in what the door of a process was not asked about the process.
    func fill(_ answers: inout ProcessAnswers, of process: ProcessSight, _ unasked: Set<Question>) -> [Refusal] {
        let facts = facts(process.door.tid)
        var refusals: [Refusal] = []
        for question in unasked.sorted(by: { $0.rawValue < $1.rawValue }) {
            if !fill(&answers, of: process, question, facts) { refusals.append(question.refusal) }
        }
        return refusals
    }

    /// - Returns: whether it is known.
    private func fill(_ answers: inout ProcessAnswers, of process: ProcessSight, _ question: Question, _ facts: ProcessFacts?) -> Bool {
        func take<Value>(_ value: Value?, _ use: (Value) -> Void) -> Bool {
            if let value { use(value) }
            return value != nil
        }
        switch question {
        case .memoryBarriers: return take(facts?.memoryBarriers) { answers.memoryBarriers = $0 }
        case .dumpable: return take(facts?.dumpable) { answers.dumpable = $0 }
        case .subreaper: return take(facts?.isSubreaper) { answers.childSubreaper = $0 }
        case .currentBreak: return take(facts?.currentBreak) { answers.currentBreak = $0 }
        case .localDescriptors: return take(facts?.hasLocalDescriptors) { answers.hasLocalDescriptors = $0 }
        case .actions: return take(facts?.actions) { answers.actions = Self.actions($0) }
        case .intervalTimers:
            guard let facts, facts.knowsRealTimer, facts.hasProcessorTimers == false else { return false }
            answers.intervalTimers = facts.realTimer.map { [intervalTimer($0)] } ?? []
            return true
        case .memory:
            guard let locks = facts?.locksToCome, facts?.hasPlainMemory == true else { return false }
            answers.memory = MemoryAnswers()
            if locks.atOnce || locks.onUse { answers.memory?.locksToCome = UInt32(Mlock.MCL_FUTURE | (locks.onUse ? Mlock.MCL_ONFAULT : 0)) }
            return true
        case .posixTimers: return process.posixTimers.value.all.isEmpty
        // A kernel without address masking has no place for it.
        case .addressMask:
            answers.addressMask = facts?.addressMask
            return facts != nil
        // AMX is component 18.
        case .permittedStates: return sight.host.processorLayout.map { $0.enabled >> ArchPrctl.ARCH_XCOMP_TILEDATA & 1 == 0 } ?? true
        case .reports: return !hasReports(process)
        case .robustList, .alternateStack, .clearChildTid, .parentDeathSignal, .secureBits, .timerSlack, .attributes, .confinement: return true
        }
    }

    /// Whether a child has stopped or gone on: then its parent may have to be told yet.
    private func hasReports(_ process: ProcessSight) -> Bool {
        sight.processes.contains { child in
            child.stat.value.parent == process.pid.rawValue && facts(child.door.tid)?.hasJobReport != false
        }
    }

    private func intervalTimer(_ timer: ProcessFacts.Timer) -> ProcessAnswers.IntervalTimer {
        let left = timer.end == 0 ? 0 : max(1000, sight.instant.left(until: calls.own(timer.end, clock: .monotonic), on: .monotonic))
        return ProcessAnswers.IntervalTimer(which: UInt32(TimerFlag.ITIMER_REAL), interval: UInt64(max(0, timer.interval)) / 1000, remaining: left / 1000)
    }

    /// Flags that the kernel keeps for itself. Source: include/linux/signal_types.h, SA_IMMUTABLE; arch/x86, SA_IA32_ABI, SA_X32_ABI.
    private static let ownFlags: UInt64 = 0x0380_0000

    private static func actions(_ words: [[UInt64]]) -> [ProcessAnswers.SignalAction] {
        words.enumerated().compactMap { index, words in
            let flags = words[1] & ~ownFlags
            guard words[0] != SignalHandler.SIG_DFL || flags != 0 else { return nil }
            return ProcessAnswers.SignalAction(signal: Int32(index + 1), handler: words[0], flags: flags, restorer: words[2], mask: words[3])
        }
    }
}

extension ProcessStat {
    /// What PR_MCE_KILL_GET tells the thread.
    var memoryFailurePolicy: UInt64 {
        guard memoryFailureBits & 0x80 != 0 else { return Prctl.PR_MCE_KILL_DEFAULT }
        return memoryFailureBits == 0x80 ? Prctl.PR_MCE_KILL_LATE : Prctl.PR_MCE_KILL_EARLY
    }
}
