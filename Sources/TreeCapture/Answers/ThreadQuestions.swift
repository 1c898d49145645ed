internal import Kernel
internal import LinuxABI
internal import StepProgram

/// What only a task itself can be asked, as a program of steps, and how the answers are read.
///
/// Data segment: at 0 the alternate stack (24 bytes), at 32 clear-child-tid, at 40 the parent-death
/// signal, at 44 what PR_GET_TSC tells, at 48 the subreaper flag, at 56 the list of robust locks of a 32-bit task (address and size, 4 bytes
/// each), at 64 three `struct itimerval` (32 bytes each), at 160 one
/// `struct kernel_sigaction` (32 bytes) for each signal asked about, then one `struct itimerspec` (32 bytes)
/// for each POSIX timer, then 8 bytes of `MemoryQuestions`, then the first entry of the LDT, then two words that arch_prctl(2) tells,
/// then the `siginfo_t` of a child (128 bytes).
struct ThreadQuestions {
    private(set) var program = Program(title: "questions")
    private(set) var dataSize = 64
    private var signals: [Int32] = []
    private var secureBits = 0
    private var slack = 0
    private var dumpable = 0
    private var currentBreak = 0
    private var timerQuestions: TimerQuestions?
    private var memoryQuestions: MemoryQuestions?
    private var localDescriptors = 0
    private var memoryBarriers = 0
    private var permittedStates: (step: Int, place: Int) = (0, 0)
    private var addressMask: (step: Int, place: Int) = (0, 0)
    private let attributes: AttributeQuestions
    private var reports: Int?
    private var confinement: Int?
    private let is32Bit: Bool
    /// By step: what it asks.
    private(set) var subjects: [Question] = []

    private enum Place {
        static let stack = 0
        static let stackFlags = 8
        static let stackSize = 16
        static let clearChildTid = 32
        static let parentDeathSignal = 40
        static let timeStamp = 44
        static let subreaper = 48
        static let robustList = 56
        static let robustListSize = 60
        static let timers = 64
        static let actions = 160
    }
    /// Both `struct itimerval` and `struct kernel_sigaction`.
    private static let size = 32
    /// Of the LDT.
    private static let descriptorSize = 8

    /// - Parameters:
    ///   - data: address of the data segment.
    ///   - process: given for the thread that answers for its process, too.
    ///   - hasChildren: whether the process has living ones.
    ///   - is32Bit: whether it is a 32-bit program.
    ///   - watcher: crcheckpoint, where the thread could look at it if nothing confined the thread: see ``Confinement``.
    init(at data: UInt64, process: ProcessSight?, hasChildren: Bool = false, watcher: Int32? = nil, is32Bit: Bool) {
        self.is32Bit = is32Bit
        func address(_ place: Int) -> Step.Argument { .value(data + UInt64(place)) }
        var subjects: [Question] = []
        func asked(_ question: Question, _ program: Program) {
            subjects += [Question](repeating: question, count: program.steps.count - subjects.count)
        }
        defer { self.subjects = subjects }
        if is32Bit {
            program.call32(.get_robust_list, [0, address(Place.robustList), address(Place.robustListSize)], check: .none)
            asked(.robustList, program)
        }
        program.call(.sigaltstack, [0, address(Place.stack)], check: .none)
        asked(.alternateStack, program)
        program.call(.prctl, [.value(Prctl.PR_GET_TID_ADDRESS), address(Place.clearChildTid)], check: .none)
        asked(.clearChildTid, program)
        program.call(.prctl, [.value(Prctl.PR_GET_PDEATHSIG), address(Place.parentDeathSignal)], check: .none)
        asked(.parentDeathSignal, program)
        secureBits = program.call(.prctl, [.value(Prctl.PR_GET_SECUREBITS)], check: .none)
        asked(.secureBits, program)
        slack = program.call(.prctl, [.value(Prctl.PR_GET_TIMERSLACK)], check: .none)
        asked(.timerSlack, program)
        attributes = AttributeQuestions(to: &program, timeStamp: data + UInt64(Place.timeStamp), at: Place.timeStamp)
        asked(.attributes, program)
        if let watcher {
            // What it writes is of no interest; the timers come there afterwards.
            confinement = program.call(
                .get_robust_list, [.number(watcher), address(Place.timers), address(Place.timers + 8)], check: .none)
            asked(.confinement, program)
        }
        guard let process else { return }
        memoryBarriers = program.call(.membarrier, [.value(Membarrier.MEMBARRIER_CMD_GET_REGISTRATIONS), 0, 0], check: .none)
        asked(.memoryBarriers, program)
        dumpable = program.call(.prctl, [.value(Prctl.PR_GET_DUMPABLE)], check: .none)
        asked(.dumpable, program)
        program.call(.prctl, [.value(Prctl.PR_GET_CHILD_SUBREAPER), address(Place.subreaper)], check: .none)
        asked(.subreaper, program)
        currentBreak = program.call(.brk, [0], check: .none)
        asked(.currentBreak, program)
        for which in 0..<3 {
            program.call(.getitimer, [.number(which), address(Place.timers + which * Self.size)], check: .none)
        }
        asked(.intervalTimers, program)
        // SIGCHLD has flags that matter even where its action is the default.
        let status = process.status(of: process.door)
        let interesting = status.caughtSignals | status.ignoredSignals | Signal.mask(Signal.SIGCHLD)
        for signal in Int32(1)...64 where interesting & Signal.mask(signal) != 0 {
            let place = address(Place.actions + signals.count * Self.size)
            program.call(.rt_sigaction, [.number(signal), 0, place, 8], check: .none)
            signals.append(signal)
        }
        asked(.actions, program)
        dataSize = Place.actions + signals.count * Self.size
        let questions = TimerQuestions(process.posixTimers.value.all, at: data, offset: dataSize, to: &program)
        dataSize += questions.dataSize
        asked(.posixTimers, program)
        timerQuestions = questions
        memoryQuestions = MemoryQuestions(at: data, offset: dataSize, untouched: data + InjectionPlace.untouchedOffset, to: &program)
        asked(.memory, program)
        dataSize += MemoryQuestions.dataSize
        // Read the first entry of the LDT: 0 bytes where there is none.
        localDescriptors = program.call(.modify_ldt, [0, address(dataSize), .number(Self.descriptorSize)], check: .none)
        asked(.localDescriptors, program)
        dataSize += Self.descriptorSize
        permittedStates = (program.call(.arch_prctl, [.value(ArchPrctl.ARCH_GET_XCOMP_PERM), address(dataSize)], check: .none), dataSize)
        asked(.permittedStates, program)
        dataSize += 8
        addressMask = (program.call(.arch_prctl, [.value(ArchPrctl.ARCH_GET_UNTAG_MASK), address(dataSize)], check: .none), dataSize)
        asked(.addressMask, program)
        dataSize += 8
        if hasChildren {
            ReportQuestions.ask(after: nil, into: data + UInt64(dataSize), &program)
            asked(.reports, program)
            reports = dataSize
            dataSize += ReportQuestions.infoSize
        }
    }

    /// Whether some child has stopped or gone on, and the process has not been told. Asked of the door.
    func hasUnreportedChildren(_ answer: ProgramAnswer) -> Bool {
        reports.map { ReportQuestions.isReport(answer, at: $0) } ?? false
    }

    func read(_ answer: ProgramAnswer) -> ThreadAnswers.OwnAnswers {
        let data = answer.data
        var own = ThreadAnswers.OwnAnswers()
        let flags = data.littleEndian32(at: Place.stackFlags)
        if flags & AlternateStack.SS_DISABLE == 0 {
            own.stackAddress = data.littleEndian64(at: Place.stack)
            // Whether it is in use the stack pointer tells.
            own.stackFlags = flags & ~AlternateStack.SS_ONSTACK
            own.stackSize = data.littleEndian64(at: Place.stackSize)
        }
        own.clearChildTid = data.littleEndian64(at: Place.clearChildTid)
        own.parentDeathSignal = data.littleEndian32(at: Place.parentDeathSignal)
        own.secureBits = UInt32(truncatingIfNeeded: answer.result(of: secureBits))
        own.timerSlack = UInt64(bitPattern: answer.result(of: slack))
        own.attributes = attributes.read(answer)
        own.isConfined = confinement.map { answer.result(of: $0) == -Int64(Errno.EPERM) }
        if is32Bit {
            own.robustList32 = UInt64(data.littleEndian32(at: Place.robustList))
            own.robustListSize32 = UInt64(data.littleEndian32(at: Place.robustListSize))
        }
        return own
    }

    /// Of the door.
    ///
    /// - Parameter stamp: when the tree had stopped; what timers had left is counted from there.
    func read(_ answer: ProgramAnswer, into process: inout ProcessAnswers, _ stamp: TimeStamp) {
        let data = answer.data
        process.dumpable = UInt32(truncatingIfNeeded: answer.result(of: dumpable))
        process.childSubreaper = data.littleEndian32(at: Place.subreaper) != 0
        process.currentBreak = UInt64(bitPattern: answer.result(of: currentBreak))
        let registrations = answer.result(of: memoryBarriers)
        process.memoryBarriers = registrations < 0 ? nil : UInt32(clamping: registrations)
        if answer.result(of: permittedStates.step) == 0 { process.permittedStates = data.littleEndian64(at: permittedStates.place) }
        if answer.result(of: addressMask.step) == 0 { process.addressMask = data.littleEndian64(at: addressMask.place) }
        process.hasLocalDescriptors = answer.result(of: localDescriptors) > 0
        for which in 0..<3 {
            let start = Place.timers + which * Self.size
            let interval = Self.microseconds(data, at: start)
            var remaining = Self.microseconds(data, at: start + 16)
            guard remaining != 0 || interval != 0 else { continue }
            // ITIMER_REAL runs on the monotonic clock, the others on CPU time.
            if UInt64(which) == TimerFlag.ITIMER_REAL {
                remaining = stamp.left(of: remaining &* 1000, clock: Clock.CLOCK_MONOTONIC, at: answer.instant) / 1000
            }
            process.intervalTimers.append(.init(which: UInt32(which), interval: interval, remaining: remaining))
        }
        process.posixTimers = timerQuestions?.read(answer, stamp) ?? []
        process.memory = memoryQuestions?.read(answer)
        for (index, signal) in signals.enumerated() {
            let start = Place.actions + index * Self.size
            let action = ProcessAnswers.SignalAction(
                signal: signal, handler: data.littleEndian64(at: start), flags: data.littleEndian64(at: start + 8),
                restorer: data.littleEndian64(at: start + 16), mask: data.littleEndian64(at: start + 24))
            if action.handler != SignalHandler.SIG_DFL || action.flags != 0 { process.actions.append(action) }
        }
    }
}

extension ThreadQuestions {
    /// A `struct timeval`. Of the longest times of processor timers the kernel shows a negative number: they are as long as times
    /// get.
    private static func microseconds(_ data: [UInt8], at place: Int) -> UInt64 {
        let seconds = data.littleEndian64(at: place)
        guard seconds < 9_223_372_036 else { return UInt64(Int64.max) / 1000 }
        return seconds * 1_000_000 + min(data.littleEndian64(at: place + 8), 999_999)
    }
}

extension ThreadAnswers.OwnAnswers {
    /// The same without asking: the kernel's own memory told.
    /// Attributes are those of the door of its process.
    init(_ facts: ThreadFacts) {
        if facts.stackSize != 0 {
            stackAddress = facts.stackAddress
            stackFlags = facts.stackFlags & ~(AlternateStack.SS_ONSTACK | AlternateStack.SS_DISABLE)
            stackSize = facts.stackSize
        }
        clearChildTid = facts.clearChildTid
        parentDeathSignal = facts.parentDeathSignal
        secureBits = facts.secureBits
        timerSlack = facts.timerSlack
    }
}
