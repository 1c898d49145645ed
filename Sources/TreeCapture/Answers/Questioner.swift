internal import ArchState
internal import Kernel
internal import LinuxABI
internal import StepProgram

/// Asks the tasks of a stopped tree for what only they can tell: one injected program per process, a short one per thread
/// where the kernel's own memory does not tell instead. Then reads their registers and signals.
///
/// Programs run side by side in as many address spaces as there are; in one address space one after the other, because the
/// stub and its working memory are at one place there.
struct Questioner {
    private enum Interview {
        /// The door of a process, which answers for that, too.
        case door(process: Int)
        case reports(process: Int, children: [ReportQuestions.Child])
        case thread(process: Int, thread: Int)
    }

    let sight: TreeSight
    let calls: TimedCalls
    private let confinement: Confinement
    /// What threads may call.
    let permits: CallConfinement
    /// By thread: what it could not be asked.
    private(set) var unasked: [HostPid: Set<Question>] = [:]
    /// By space.
    private var queues: [[Interview]]
    private(set) var places: [InjectionPlace?]
    private let children: [HostPid: [ReportQuestions.Child]]
    var processes: [ProcessAnswers]
    private(set) var own: [HostPid: ThreadAnswers.OwnAnswers] = [:]
    var refusals: [HostPid: [Refusal]] = [:]
    var disturbed: Set<HostPid> = []
    private var attempts: [HostPid: Int] = [:]

    static let mostAttempts = 64
    /// Of one queue: the kernel shows the n-th by counting from the first.
    static let mostSignals = 8192
    static let tooManySignals = Refusal(
        "has more than \(mostSignals) signals queued: to read them would take too long", help: "let it take some of them first")
    /// What ``Injection`` calls it.
    static let mappingCall = "mmap of working memory"

    /// - Preconditions: all tasks are stopped, and nothing was found that cannot be saved.
    /// - Parameters:
    ///   - permits: what threads may call: no other call is made in their names.
    ///   - copies: gets copies of the address spaces; nil: none are made.
    ///   - tracking: gets what tracks their pages; nil: nothing does.
    static func answers(
        of sight: TreeSight, _ calls: TimedCalls, _ permits: CallConfinement, copies: SpaceCopies? = nil, tracking: Tracking? = nil
    ) throws(CaptureError) -> Answers {
        var questioner = Questioner(sight, calls, permits)
        try questioner.ask()
        // After all questions, so that no signal that one of them lets through comes behind; before registers are read, for the same reason.
        if let copies { try questioner.copySpaces(into: copies) }
        if let tracking { try questioner.openTracking(into: tracking) }
        return try questioner.readStates()
    }

    private init(_ sight: TreeSight, _ calls: TimedCalls, _ permits: CallConfinement) {
        self.sight = sight
        self.calls = calls
        self.permits = permits
        confinement = Confinement(sight)
        children = ReportQuestions.livingChildren(sight)
        processes = sight.processes.map { ProcessAnswers(pid: $0.pid) }
        queues = sight.spaces.map { _ in [] }
        places = []
        var obstacles: [Int: Refusal] = [:]
        for (index, space) in sight.spaces.enumerated() {
            do throws(InjectionObstacle) { places.append(try InjectionPlace(in: space, on: sight.host)) } catch {
                places.append(nil)
                obstacles[index + 1] = error.refusal
            }
        }
        let wide = sight.processes.filter { $0.threads.count > 1 }
        let facts = wide.isEmpty ? [:] : calls.facts(of: wide.flatMap(\.threads).map(\.tid.rawValue))
        for (index, process) in sight.processes.enumerated() {
            if let refusal = obstacles[process.space] {
                processes[index].refusals.append(refusal)
                continue
            }
            queues[process.space - 1].append(.door(process: index))
            // A 32-bit thread has its robust list somewhere else.
            let is32Bit = sight[space: process.space].is32Bit
            for (place, thread) in process.threads.enumerated().dropFirst() {
                if !is32Bit, let known = facts[thread.tid.rawValue], Self.isLike(thread, process.door, of: process, facts) {
                    own[thread.tid] = ThreadAnswers.OwnAnswers(known)
                } else {
                    queues[process.space - 1].append(.thread(process: index, thread: place))
                }
            }
        }
        for index in queues.indices { queues[index].reverse() }
    }

    /// Whether a thread has the attributes of the door, which will be asked, as far as the kernel's memory shows it.
    private static func isLike(
        _ thread: ThreadSight, _ door: ThreadSight, of process: ProcessSight, _ facts: [Int32: ThreadFacts]
    ) -> Bool {
        facts[thread.tid.rawValue]?.traits == facts[door.tid.rawValue]?.traits
            && process.stat(of: thread).memoryFailureBits == process.stat(of: door).memoryFailureBits
    }

    // MARK: - Programs

    private mutating func ask() throws(CaptureError) {
        while true {
            var batch: [(space: Int, questions: ThreadQuestions?, reports: ReportQuestions?, job: Injection.Job)] = []
            for space in queues.indices where batch.count < InjectionBatch.width {
                while let interview = queues[space].last {
                    let task = task(of: interview)
                    do throws(SystemError) {
                        guard let (registers, raw) = try ownRegisters(of: task.thread) else {
                            queues[space].removeLast()
                            continue
                        }
                        if let place = places[space], !permits.letsIn(task.thread, place, registers) {
                            unasked[task.thread, default: []].formUnion(questions(of: interview))
                            queues[space].removeLast()
                            continue
                        }
                        if let place = places[space] { batch.append(job(interview, space, place, task.thread, registers, raw)) }
                    } catch { throw failure(task.process, task.thread, error) }
                    break
                }
            }
            if batch.isEmpty { return }
            let outcomes: [Injection.Outcome]
            do throws(BatchError) { outcomes = try InjectionBatch.run(batch.map(\.job)) } catch {
                if error.cause.call == Self.mappingCall {
                    refuseMapping(in: batch[error.place].space, error.cause)
                    continue
                }
                let task = batch[error.place].job.task
                throw failure(process(of: batch[error.place].space), task, error.cause)
            }
            for (entry, outcome) in zip(batch, outcomes) {
                try take(outcome, entry.space, entry.questions, entry.reports)
            }
        }
    }

    /// The kernel gave no working memory, for a reason that the sight does not show. All tasks are home: those whose answers
    /// are lost by this are asked again.
    private mutating func refuseMapping(in space: Int, _ error: SystemError) {
        queues[space].removeAll()
        for (index, process) in sight.processes.enumerated() where process.space == space + 1 {
            processes[index].refusals.append(
                Refusal(
                    "gets no \(InjectionPlace.memorySize >> 10) KiB of working memory, which crcheckpoint needs for moments: \(error.name)",
                    help: "has it reached vm.max_map_count, RLIMIT_AS, RLIMIT_DATA or RLIMIT_MEMLOCK? prlimit --pid \(process.pid) shows these limits"))
        }
    }

    private func process(of space: Int) -> ProcessSight {
        guard let interview = queues[space].last else { return sight.processes[0] }
        return task(of: interview).process
    }

    private func task(of interview: Interview) -> (process: ProcessSight, thread: HostPid) {
        switch interview {
        case .door(let process), .reports(let process, _):
            return (sight.processes[process], sight.processes[process].door.tid)
        case .thread(let process, let thread): return (sight.processes[process], sight.processes[process].threads[thread].tid)
        }
    }

    private func job(
        _ interview: Interview, _ space: Int, _ place: InjectionPlace, _ task: HostPid, _ registers: X86GeneralRegisters, _ raw: [UInt8]
    ) -> (space: Int, questions: ThreadQuestions?, reports: ReportQuestions?, job: Injection.Job) {
        func job(_ program: Program, _ dataSize: Int) -> Injection.Job {
            let (program, leftOut) = permits.permitted(program, task, in: place)
            return Injection.Job(
                task: task, place: place, program: program, dataSize: dataSize, registers: registers, raw: raw,
                callIs32Bit: registers.callIs32Bit(task.rawValue), leftOut: leftOut)
        }
        switch interview {
        case .door(let index):
            let process = sight.processes[index]
            let questions = ThreadQuestions(
                at: place.dataAddress, process: process, hasChildren: !(children[process.pid] ?? []).isEmpty,
                watcher: confinement.watcher(of: process, task), is32Bit: place.is32Bit)
            return (space, questions, nil, job(questions.program, questions.dataSize))
        case .thread(let index, _):
            let watcher = confinement.watcher(of: sight.processes[index], task)
            let questions = ThreadQuestions(at: place.dataAddress, process: nil, watcher: watcher, is32Bit: place.is32Bit)
            return (space, questions, nil, job(questions.program, questions.dataSize))
        case .reports(_, let children):
            let reports = ReportQuestions(at: place.dataAddress, children: children)
            return (space, nil, reports, job(reports.program, reports.dataSize))
        }
    }

    private mutating func take(
        _ outcome: Injection.Outcome, _ space: Int, _ questions: ThreadQuestions?, _ reports: ReportQuestions?
    ) throws(CaptureError) {
        guard let interview = queues[space].last else { return }
        let (process, thread) = task(of: interview)
        guard case .answer(let answer) = outcome else {
            disturbed.insert(process.pid)
            attempts[thread, default: 0] += 1
            if attempts[thread, default: 0] >= Self.mostAttempts {
                throw failure(process, thread, SystemError(Errno.EINTR, in: "too many signals on their way"))
            }
            return
        }
        queues[space].removeLast()
        if !answer.leftOut.isEmpty {
            let left = questions.map { questions in Set(answer.leftOut.map { questions.subjects[$0] }) } ?? [.reports]
            unasked[thread, default: []].formUnion(left)
        }
        switch interview {
        case .door(let index):
            guard let questions else { return }
            own[thread] = questions.read(answer)
            questions.read(answer, into: &processes[index], sight.instant)
            guard questions.hasUnreportedChildren(answer) else { return }
            var left = (children[process.pid] ?? [])[...]
            while !left.isEmpty {
                queues[space].append(.reports(process: index, children: Array(left.prefix(ReportQuestions.most))))
                left = left.dropFirst(ReportQuestions.most)
            }
        case .thread: if let questions { own[thread] = questions.read(answer) }
        case .reports(let index, _):
            if let reports { processes[index].unreportedChildren += reports.unreported(answer) }
        }
    }

    func failure(_ process: ProcessSight, _ thread: HostPid, _ error: SystemError) -> CaptureError {
        CaptureError(cannot: "ask thread \(thread) of", task: process.pid, process.stat.value.comm, error)
    }

    /// What an interview asks.
    private func questions(of interview: Interview) -> Set<Question> {
        switch interview {
        case .reports: return [.reports]
        case .door(let index), .thread(let index, _):
            let process = sight.processes[index]
            var isDoor = false
            if case .door = interview { isDoor = true }
            let questions = ThreadQuestions(
                at: 0, process: isDoor ? process : nil, hasChildren: !(children[process.pid] ?? []).isEmpty,
                watcher: confinement.watcher(of: process, task(of: interview).thread), is32Bit: sight[space: process.space].is32Bit)
            return Set(questions.subjects)
        }
    }
}
