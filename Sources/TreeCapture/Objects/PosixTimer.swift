internal import CheckpointImage
internal import Kernel
internal import StepProgram

/// timer_create(2): what `/proc` tells, completed by what the process itself can ask.
extension Collector {
    func collectPosixTimers(of pid: Int32, into process: inout ImageProcess) throws(SystemError) {
        let states = try PosixTimerState.all(of: pid)
        if states.count > TimerQuestions.most {
            find(pid, "task", "has \(states.count) POSIX timers; at most \(TimerQuestions.most) can be saved")
            return
        }
        var timers: [ImagePosixTimer] = []
        for state in states {
            guard accepts(clockOf: state, pid) else { continue }
            var timer = ImagePosixTimer()
            timer.id = state.id
            timer.clock = state.clock
            timer.signal = state.signal
            timer.value = state.value
            switch state.notify {
            case .signal: timer.notify = .signal
            case .none: timer.notify = .none
            case .thread(let tid):
                timer.notify = .thread
                timer.thread = numbers(of: tid, in: pid).first ?? 0
                if timer.thread == 0 {
                    find(pid, "timer \(state.id)", "notifies a thread that has ended, which cannot be saved")
                }
            }
            timers.append(timer)
        }
        process.posixTimers = timers
    }

    /// Counts what POSIX and interval timers have left from the stop of the tree.
    ///
    /// - Parameter instant: when they were asked, on the monotonic clock.
    func countTimersFromStop(_ process: inout ImageProcess, askedAt instant: Int64) {
        // ITIMER_REAL runs on the monotonic clock, the others on CPU time.
        for index in process.timers.indices where process.timers[index].which == 0 {
            let left = process.timers[index].remaining * 1000
            process.timers[index].remaining = stamp.left(of: left, clock: 1, at: instant) / 1000
        }
        process.posixTimers = process.posixTimers.map { timer in
            var timer = timer
            timer.remaining = stamp.left(of: timer.remaining, clock: timer.clock, at: instant)
            return timer
        }
    }

    /// From the pid namespace of the root to its own; empty for a thread that is not there.
    private func numbers(of tid: Int32, in pid: Int32) -> [UInt32] {
        guard threads[pid]?.contains(where: { $0.tid == tid }) == true else { return [] }
        return namespaces.inside((try? TaskStatus(of: pid, task: tid))?.namespaceTaskIDs ?? [])
    }

    /// Clocks of CPU time are those of a task: it has to be one of this process, and it has to be known.
    private func accepts(clockOf timer: PosixTimerState, _ pid: Int32) -> Bool {
        guard timer.clock < 0 else { return true }
        let tasks = threads[pid] ?? []
        guard let clock = CPUClock(timer.clock) else {
            find(pid, "timer \(timer.id)", "runs on the clock of a device, which cannot be saved yet")
            return false
        }
        if clock.task == 0 && clock.isOfThread && tasks.count > 1 {
            find(
                pid, "timer \(timer.id)",
                "runs on the CPU time of a thread, and the kernel does not tell of which one (CLOCK_THREAD_CPUTIME_ID in a process of \(tasks.count) threads)",
                help: "pthread_getcpuclockid(3) gives a clock that names its thread")
            return false
        }
        if clock.task != 0, !tasks.contains(where: { numbers(of: $0.tid, in: pid).last == clock.task }) {
            find(pid, "timer \(timer.id)", "runs on the CPU time of \(clock.task), another process, which cannot be saved yet")
            return false
        }
        return true
    }
}

/// What a process asks about its timers: when each expires next, and the overrun of its last signal.
struct TimerQuestions {
    /// As many as have room beside the other questions of a process.
    static let most = 200

    private let offset: Int
    private var overruns: [Int] = []

    /// Appends the questions; the answers go to `data + offset`, 32 bytes a timer.
    init(_ timers: [ImagePosixTimer], at data: UInt64, offset: Int, to program: inout Program) {
        self.offset = offset
        for (index, timer) in timers.enumerated() {
            let place = data + UInt64(offset + index * 32)
            program.call(.timer_gettime, [.number(timer.id), .value(place)])
            overruns.append(program.call(.timer_getoverrun, [.number(timer.id)], check: .none))
        }
    }

    var dataSize: Int { overruns.count * 32 }

    func fill(_ timers: inout [ImagePosixTimer], from answer: Injection.Answer) {
        for (index, step) in overruns.enumerated() {
            // struct itimerspec: interval, value
            let start = offset + index * 32
            func time(_ at: Int) -> UInt64 {
                answer.data.littleEndian64(at: at) &* 1_000_000_000 &+ answer.data.littleEndian64(at: at + 8)
            }
            timers[index].interval = time(start)
            timers[index].remaining = time(start + 16)
            timers[index].overrun = UInt32(clamping: max(0, answer.result(of: step)))
        }
    }
}
