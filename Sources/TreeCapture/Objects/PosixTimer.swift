internal import CheckpointImage
internal import Kernel
internal import StepProgram

/// timer_create(2): what `/proc` tells, completed by what the process itself can ask.
enum PosixTimer {
    /// The timers of a process, without their times.
    static func record(of process: ProcessSight, _ recorder: inout Recorder) -> [ImagePosixTimer] {
        let states = process.posixTimers.value.all
        if states.count > TimerQuestions.most {
            recorder.find(process.pid, "task", "has \(states.count) POSIX timers; at most \(TimerQuestions.most) can be saved")
            return []
        }
        return states.compactMap { state in
            if let refusal = refusal(ofClock: state, process, recorder) {
                recorder.find(process.pid, "timer \(state.id)", refusal.reason, help: refusal.help)
                return nil
            }
            var timer = ImagePosixTimer()
            timer.id = state.id
            timer.clock = state.clock
            timer.signal = state.signal
            timer.value = state.value
            switch state.notify {
            case .signal: timer.notify = .signal
            case .none: timer.notify = .none
            case .thread(let tid):
                let thread = process.threads.first { $0.tid == HostPid(tid) }
                timer.thread = thread.flatMap { recorder.numbers(of: process.status(of: $0).namespaceTaskIDs).first } ?? 0
                // The kernel sends nothing to a thread that has ended, nor to a later one with its number: such a timer goes on as one
                // without notification.
                timer.notify = timer.thread == 0 ? .none : .thread
            }
            return timer
        }
    }

    /// Clocks of CPU time are those of a task: it has to be one of this process, and it has to be known.
    private static func refusal(ofClock timer: PosixTimerState, _ process: ProcessSight, _ recorder: Recorder) -> Refusal? {
        guard timer.clock < 0 else { return nil }
        guard let clock = CPUClock(timer.clock) else { return Refusal("runs on the clock of a device, which cannot be saved yet") }
        if clock.task == 0 && clock.isOfThread && process.threads.count > 1 {
            return Refusal(
                "runs on the CPU time of a thread, and the kernel does not tell of which one (CLOCK_THREAD_CPUTIME_ID in a process of \(process.threads.count) threads)",
                help: "pthread_getcpuclockid(3) gives a clock that names its thread")
        }
        let isOwn = process.threads.contains { recorder.numbers(of: process.status(of: $0).namespaceTaskIDs).last == clock.task }
        if clock.task != 0, !isOwn {
            return Refusal("runs on the CPU time of \(clock.task), another process, which cannot be saved yet")
        }
        return nil
    }

    /// Completes the records of the timers that were asked about.
    static func complete(_ timers: inout [ImagePosixTimer], with answers: [PosixTimerAnswer]) {
        let byID = Dictionary(answers.map { ($0.id, $0) }) { first, _ in first }
        for index in timers.indices {
            guard let answer = byID[timers[index].id] else { continue }
            timers[index].interval = answer.interval
            timers[index].remaining = answer.remaining
            timers[index].overrun = answer.overrun
        }
    }
}

/// What a process answered about one of its timers.
struct PosixTimerAnswer: Codable, Sendable {
    var id: UInt32
    /// Nanoseconds, when the tree had stopped; 0: it is not armed.
    var remaining: UInt64
    /// Nanoseconds.
    var interval: UInt64
    /// Of its last signal.
    var overrun: UInt32
}

/// What a process asks about its timers: when each expires next, and the overrun of its last signal.
struct TimerQuestions {
    /// As many as have room beside the other questions of a process.
    static let most = 200
    /// `struct itimerspec`
    private static let size = 32

    private let offset: Int
    private let timers: [PosixTimerState]
    private var overruns: [Int] = []

    /// Appends the questions; the answers go to `data + offset`, 32 bytes a timer.
    init(_ timers: [PosixTimerState], at data: UInt64, offset: Int, to program: inout Program) {
        self.offset = offset
        self.timers = timers
        for (index, timer) in timers.enumerated() {
            program.call(.timer_gettime, [.number(timer.id), .value(data + UInt64(offset + index * Self.size))])
            overruns.append(program.call(.timer_getoverrun, [.number(timer.id)], check: .none))
        }
    }

    var dataSize: Int { overruns.count * Self.size }

    /// - Parameter stamp: when the tree had stopped; what was left is counted from there.
    func read(_ answer: ProgramAnswer, _ stamp: TimeStamp) -> [PosixTimerAnswer] {
        zip(timers, overruns).enumerated().map { index, pair in
            let (timer, step) = pair
            // struct itimerspec: interval, value
            let start = offset + index * Self.size
            func time(_ at: Int) -> UInt64 {
                answer.data.littleEndian64(at: at) &* 1_000_000_000 &+ answer.data.littleEndian64(at: at + 8)
            }
            return PosixTimerAnswer(
                id: timer.id, remaining: stamp.left(of: time(start + 16), clock: timer.clock, at: answer.instant),
                interval: time(start), overrun: UInt32(clamping: max(0, answer.result(of: step))))
        }
    }
}
