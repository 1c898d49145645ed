internal import CheckpointImage
internal import Kernel
internal import StepProgram

/// What only a task itself can be asked, as a program of steps, and how the answers are read.
///
/// Data segment: at 0 the alternate stack (24 bytes), at 32 clear-child-tid, at 40 the parent-death
/// signal, at 48 the subreaper flag, at 56 the list of robust locks of a 32-bit task (address and size, 4 bytes
/// each), at 64 three `struct itimerval` (32 bytes each), at 160 one
/// `struct kernel_sigaction` (32 bytes) for each signal asked about, then one `struct itimerspec` (32 bytes)
/// for each POSIX timer, then the first entry of the LDT, then the `siginfo_t` of a child (128 bytes).
struct ThreadQuestions {
    private(set) var program = Program(title: "questions")
    private(set) var dataSize = 64
    private var signals: [Int32] = []
    private var secureBits = 0
    private var slack = 0
    private var dumpable = 0
    private var currentBreak = 0
    private var timerQuestions: TimerQuestions?
    private var localDescriptors = 0
    private var reports: Int?
    private let is32Bit: Bool

    private static let timers = 64
    private static let actions = 160

    /// - Parameters:
    ///   - data: address of the data segment.
    ///   - process: given for the leader, which answers for the process, too.
    ///   - posixTimers: those of the process.
    ///   - hasChildren: whether the process has living ones.
    ///   - is32Bit: whether it is a 32-bit program.
    init(at data: UInt64, process: TaskStatus?, posixTimers: [ImagePosixTimer] = [], hasChildren: Bool = false, is32Bit: Bool) {
        self.is32Bit = is32Bit
        if is32Bit {
            program.call32(.get_robust_list, [0, .value(data + 56), .value(data + 60)], check: .none)
        }
        program.call(.sigaltstack, [0, .value(data)], check: .none)
        program.call(.prctl, [40, .value(data + 32)], check: .none)  // PR_GET_TID_ADDRESS
        program.call(.prctl, [2, .value(data + 40)], check: .none)  // PR_GET_PDEATHSIG
        secureBits = program.call(.prctl, [27], check: .none)  // PR_GET_SECUREBITS
        slack = program.call(.prctl, [30], check: .none)  // PR_GET_TIMERSLACK
        guard let process else { return }
        dumpable = program.call(.prctl, [3], check: .none)  // PR_GET_DUMPABLE
        program.call(.prctl, [37, .value(data + 48)], check: .none)  // PR_GET_CHILD_SUBREAPER
        currentBreak = program.call(.brk, [0], check: .none)
        for which in 0..<3 {
            program.call(
                .getitimer, [.number(which), .value(data + UInt64(Self.timers + which * 32))], check: .none)
        }
        // SIGCHLD has flags that matter even where its action is the default.
        let interesting = process.caughtSignals | process.ignoredSignals | 1 << 16
        for signal in Int32(1)...64 where interesting & 1 << UInt64(signal - 1) != 0 {
            let place = data + UInt64(Self.actions + signals.count * 32)
            program.call(.rt_sigaction, [.number(signal), 0, .value(place), 8], check: .none)
            signals.append(signal)
        }
        dataSize = Self.actions + signals.count * 32
        let questions = TimerQuestions(posixTimers, at: data, offset: dataSize, to: &program)
        dataSize += questions.dataSize
        timerQuestions = questions
        // Read the first entry of the LDT: 0 bytes where there is none.
        localDescriptors = program.call(.modify_ldt, [0, .value(data + UInt64(dataSize)), 8], check: .none)
        dataSize += 8
        if hasChildren {
            ReportQuestions.ask(after: nil, into: data + UInt64(dataSize), &program)
            reports = dataSize
            dataSize += 128
        }
    }

    /// Whether the process has descriptors of its own. Asked of the leader.
    func hasLocalDescriptors(_ answer: Injection.Answer) -> Bool { answer.result(of: localDescriptors) > 0 }

    /// Whether some child has stopped or gone on, and the process has not been told. Asked of the leader.
    func hasUnreportedChildren(_ answer: Injection.Answer) -> Bool {
        reports.map { ReportQuestions.isReport(answer, at: $0) } ?? false
    }

    /// The list of robust locks that the kernel keeps for a 32-bit task; nil for others.
    func compatRobustList(_ answer: Injection.Answer) -> (head: UInt64, size: UInt64)? {
        guard is32Bit else { return nil }
        return (UInt64(answer.data.littleEndian32(at: 56)), UInt64(answer.data.littleEndian32(at: 60)))
    }

    func fill(_ thread: inout ImageThread, from answer: Injection.Answer) {
        let data = answer.data
        let flags = data.littleEndian32(at: 8)
        if flags & 2 == 0 {  // SS_DISABLE
            thread.alternateStack.address = data.littleEndian64(at: 0)
            thread.alternateStack.flags = flags & ~1  // SS_ONSTACK: the stack pointer tells
            thread.alternateStack.size = data.littleEndian64(at: 16)
        }
        thread.clearChildTid_p = data.littleEndian64(at: 32)
        thread.parentDeathSignal = data.littleEndian32(at: 40)
        thread.credentials.secureBits = UInt32(truncatingIfNeeded: answer.result(of: secureBits))
        thread.timerSlack = UInt64(bitPattern: answer.result(of: slack))
    }

    /// The same without asking: the kernel's own memory told.
    static func fill(_ thread: inout ImageThread, from facts: ThreadFacts) {
        if facts.stackSize != 0 {
            thread.alternateStack.address = facts.stackAddress
            thread.alternateStack.flags = facts.stackFlags & ~3
            thread.alternateStack.size = facts.stackSize
        }
        thread.clearChildTid_p = facts.clearChildTid
        thread.parentDeathSignal = facts.parentDeathSignal
        thread.credentials.secureBits = facts.secureBits
        thread.timerSlack = facts.timerSlack
    }

    func fill(_ process: inout ImageProcess, _ space: inout ImageAddressSpace, from answer: Injection.Answer) {
        let data = answer.data
        process.dumpable = UInt32(truncatingIfNeeded: answer.result(of: dumpable))
        process.childSubreaper = data.littleEndian32(at: 48) != 0
        space.currentBreak = UInt64(bitPattern: answer.result(of: currentBreak))
        for which in 0..<3 {
            let start = Self.timers + which * 32
            let seconds = data.littleEndian64(at: start + 16)
            let micros = data.littleEndian64(at: start + 24)
            let interval = data.littleEndian64(at: start) * 1_000_000 + data.littleEndian64(at: start + 8)
            guard seconds != 0 || micros != 0 || interval != 0 else { continue }
            var timer = ImageIntervalTimer()
            timer.which = UInt32(which)
            timer.interval = interval
            timer.remaining = seconds * 1_000_000 + micros
            process.timers.append(timer)
        }
        timerQuestions?.fill(&process.posixTimers, from: answer)
        for (index, signal) in signals.enumerated() {
            let start = Self.actions + index * 32
            var action = ImageSignalAction()
            action.signal = UInt32(signal)
            action.handler = data.littleEndian64(at: start)
            action.flags = data.littleEndian64(at: start + 8)
            action.restorer = data.littleEndian64(at: start + 16)
            action.mask = data.littleEndian64(at: start + 24)
            if action.handler != 0 || action.flags != 0 { process.actions.append(action) }
        }
    }
}
