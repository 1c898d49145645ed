internal import ArchState
internal import Kernel
internal import LinuxABI
internal import StepProgram

/// What an injected program gave.
struct ProgramAnswer {
    let steps: [UInt8]
    let data: [UInt8]
    /// When the results were seen to be there, on our monotonic clock.
    let instant: Int64
    /// Steps that were not made.
    var leftOut: Set<Int> = []

    func result(of step: Int) -> Int64 {
        if leftOut.contains(step) { return -Int64(Errno.ENOSYS) }
        return Int64(bitPattern: steps.littleEndian64(at: step * EncodedStep.size + Int(EncodedStep.resultOffset)))
    }
}

/// An original task that runs a program of steps, and is brought back exactly as it was.
///
/// The stub lies in the slack behind the vdso's code, with the task's registers beside it, before the one register
/// change that starts it. From then on the stub finds home by itself, whatever happens to this process: it blocks
/// signals, maps its working memory, runs the steps, waits a bounded time, unmaps, restores mask and registers, and
/// jumps to where the kernel would have gone on. While this process lives it stops the stub in its wait and puts
/// mask and registers back itself, so that even a restart block survives.
///
/// This value is the scope of that: it advances with each report of the task (``take(_:)``), and when it goes away
/// before the task is home, after a thrown error for instance, ``giveBack()`` brings the task home. Several can be under
/// way side by side (``InjectionBatch``), but only one in each address space.
///
/// If the task dies meanwhile its report ends the injection with `ESRCH`.
final class Injection {
    /// What is to be done in which task.
    struct Job {
        let task: HostPid
        let place: InjectionPlace
        let program: Program
        /// Bytes of the data segment that hold answers.
        let dataSize: Int
        /// The registers as they shall be afterwards.
        let registers: X86GeneralRegisters
        /// The same as the kernel gives them.
        let raw: [UInt8]
        /// The call that the task is in was made by `int $0x80` or its like.
        let callIs32Bit: Bool
        /// Steps in whose place another call is made: the task may not make them.
        var leftOut: Set<Int> = []
        /// What the program has begun it has to end: it is awaited, whatever fails here.
        var isWhole = false
        /// Called again and again while the program runs.
        var meanwhile: (() -> Void)?
    }

    enum Outcome {
        case answer(ProgramAnswer)
        /// A signal was on its way: it has been delivered in the task's own context, whose registers are others now. The
        /// caller reads them and asks again.
        case disturbed
    }

    enum Stage {
        /// Nothing is changed: not begun, or home.
        case home
        /// On the way into the stub: so many of the entries to and exits from rt_sigprocmask and mmap were seen.
        case entering(stops: Int)
        /// The steps run; the results are looked for.
        case working
        /// The results are there, and the task was asked to stop.
        case stopping
        /// Unmaps its working memory: entry and exit.
        case leaving(stops: Int)
        /// From an exit stop to a stop in which registers are the kernel's to restart from.
        case returning
        /// Its own registers are back, and a signal is delivered to it.
        case delivering
    }

    let job: Job
    private(set) var outcome: Outcome?
    var stage = Stage.home
    /// The task's own.
    var mask: UInt64 = 0
    var isStopped = true
    /// It is to be brought home, whatever it has answered.
    var isAborted = false
    private var answer: ProgramAnswer?
    /// That the task is to get with its own registers.
    var heldSignal: Int32 = 0
    /// Thrown once the task is home.
    private var failure: SystemError?

    var task: Int32 { job.task.rawValue }
    var isWorking: Bool { if case .working = stage { true } else { false } }

    private static let entryStops = 4
    private static let exitStops = 2
    /// The stub has blocked signals when rt_sigprocmask has returned.
    static let stopsToBlock = 2
    /// SIGTRAP with the bit of PTRACE_O_TRACESYSGOOD.
    private static let callStop = Signal.SIGTRAP | 0x80

    init(_ job: Job) { self.job = job }

    deinit { giveBack() }

    /// Starts the stub.
    ///
    /// - Preconditions: the task is ptrace-stopped.
    func begin() throws(SystemError) {
        mask = try Trace.signalMask(of: task)
        try RemoteMemory.force(task, at: job.place.stubAddress, stub())
        stage = .entering(stops: 0)
        try Trace.setRegisters(.general, of: task, to: away(CheckpointStub.entryOffset))
        try resumeToCall()
    }

    /// Goes on after a report of the task. When `outcome` is there the task is stopped with the registers and the mask
    /// that it had before.
    func take(_ status: WaitStatus) throws(SystemError) {
        guard case .stopped(let signal, let event) = status else {
            if status.isDead {
                stage = .home
                throw SystemError(Errno.ESRCH, in: "wait4")
            }
            return
        }
        isStopped = true
        switch stage {
        case .home: break
        case .entering(let stops): try takeEntering(stops, signal, event)
        case .working where isAborted && event == TraceEvent.stop: try leave()
        case .working:
            // A stop signal from outside, the only one that cannot be blocked: the steps go on, the stop of the whole
            // process takes effect afterwards.
            try resume(signal: event == 0 && signal != Self.callStop ? signal : 0)
        case .stopping:
            if event == TraceEvent.stop { return try leave() }
            try Trace.interrupt(task)
            try resume(signal: event == 0 && signal != Self.callStop ? signal : 0)
        case .leaving(let stops):
            guard signal == Self.callStop, event == 0 else { return try resumeToCall(signal: event == 0 ? signal : 0) }
            if stops + 1 < Self.exitStops {
                stage = .leaving(stops: stops + 1)
                return try resumeToCall()
            }
            try turnHome()
        case .returning:
            if event == TraceEvent.stop { return try arrive() }
            try Trace.interrupt(task)
            try resume(signal: event == 0 && signal != Self.callStop ? signal : 0)
        case .delivering:
            if event == TraceEvent.stop {
                stage = .home
                outcome = .disturbed
                return
            }
            try Trace.interrupt(task)
            try resume(signal: event == 0 && signal != Self.callStop ? signal : 0)
        }
    }

    private func takeEntering(_ stops: Int, _ signal: Int32, _ event: Int32) throws(SystemError) {
        if isAborted && (event != 0 || signal == Self.callStop) {
            return try turnBack(afterStops: stops + (event == 0 ? 1 : 0))
        }
        if event != 0 { return try resumeToCall() }
        guard signal == Self.callStop else {
            heldSignal = signal
            return try deliver(afterStops: stops)
        }
        guard stops + 1 == Self.entryStops else {
            stage = .entering(stops: stops + 1)
            return try resumeToCall()
        }
        let mapped = try Trace.registers(.general, of: task, atMost: job.raw.count).littleEndian64(at: Self.raxOffset)
        guard mapped == job.place.memory else {
            // The stub is on its way home without memory.
            failure = SystemError(Int32(clamping: 0 &- Int64(bitPattern: mapped)), in: Questioner.mappingCall)
            return try turnHome()
        }
        stage = .working
        try RemoteMemory.write(task, at: job.place.programAddress, encodedProgram())
        try resume()
    }

    /// A signal was on its way. Nothing has been mapped: the task's own registers are put back, and it is delivered as if
    /// nothing had been asked.
    func deliver(afterStops stops: Int) throws(SystemError) {
        if stops >= Self.stopsToBlock { try Trace.setSignalMask(of: task, to: mask) }
        try Trace.setRegisters(.general, of: task, to: job.raw)
        stage = .delivering
        try Trace.interrupt(task)
        try resume(signal: heldSignal)
        heldSignal = 0
    }

    /// `rax` of `struct user_regs_struct`: the eleventh word.
    private static let raxOffset = 80

    /// What every program begins with: a child of the task does not get the working memory.
    static func firstStep(_ place: InjectionPlace) -> Step {
        Step(
            .call(.madvise), [.value(place.memory), .value(place.size), .number(Madvise.MADV_DONTFORK)], check: .none,
            note: "MADV_DONTFORK")
    }

    private func encodedProgram() -> [UInt8] {
        var complete = Program(title: job.program.title)
        complete.steps.append(Self.firstStep(job.place))
        complete.steps += job.program.steps
        complete.end()
        return EncodedStep.encode(complete, at: job.place.programAddress)
    }

    /// Looks whether the results are there. If they are, asks the task to stop.
    ///
    /// - Preconditions: `isWorking`.
    func lookForResults() throws(SystemError) {
        guard RemoteMemory.word(task, at: job.place.memory + CheckpointStub.doneOffset) == 1 else { return }
        let instant = SystemClock.monotonic.now()
        let steps = try RemoteMemory.read(
            task, at: job.place.programAddress + UInt64(EncodedStep.size), count: job.program.steps.count * EncodedStep.size)
        let data = job.dataSize == 0 ? [] : try RemoteMemory.read(task, at: job.place.dataAddress, count: job.dataSize)
        answer = ProgramAnswer(steps: steps, data: data, instant: instant, leftOut: job.leftOut)
        stage = .stopping
        try Trace.interrupt(task)
    }

    /// From a stop in the stub: has it unmap its working memory, and not go further.
    ///
    /// The stub's wait is bounded. If this process has slept for longer meanwhile the stub has gone home by itself and
    /// the program runs on: what it answered is of no use any more.
    func leave() throws(SystemError) {
        guard try isInStub() else {
            stage = .home
            outcome = .disturbed
            return
        }
        try Trace.setRegisters(.general, of: task, to: away(CheckpointStub.homeOffset))
        stage = .leaving(stops: 0)
        try resumeToCall()
    }

    func turnHome() throws(SystemError) {
        stage = .returning
        try Trace.interrupt(task)
        try resume()
    }

    /// Mask first, registers second.
    private func arrive() throws(SystemError) {
        try Trace.setSignalMask(of: task, to: mask)
        try Trace.setRegisters(.general, of: task, to: job.raw)
        stage = .home
        if let failure { throw failure }
        if let answer { outcome = .answer(answer) }
    }

    private func resume(signal: Int32 = 0) throws(SystemError) {
        try Trace.resume(task, signal: signal)
        isStopped = false
    }

    private func resumeToCall(signal: Int32 = 0) throws(SystemError) {
        try Trace.resumeToCall(task, signal: signal)
        isStopped = false
    }
}
