import CheckpointImage
import StepProgram

/// timer_create(2): made by the leader when all threads are there; set going when time counts again.
extension PlanBuilder {
    /// How many timers are made and thrown away at most, to reach an id where ids cannot be chosen.
    static let mostDiscarded: UInt32 = 1024

    /// Makes the timers with their ids.
    ///
    /// - Source: timer_create(2); include/uapi/linux/prctl.h, `PR_TIMER_CREATE_RESTORE_IDS`.
    mutating func makePosixTimers(_ program: inout Program, of process: ImageProcess) {
        if process.posixTimers.isEmpty { return }
        if facts.mayChooseTimerIDs { program.call(.prctl, [77, 1, 0, 0, 0], "PR_TIMER_CREATE_RESTORE_IDS") }
        var next: UInt32 = 0
        for timer in process.posixTimers {
            if !facts.mayChooseTimerIDs {
                // The kernel counts up from 0 in every process.
                while next < timer.id {
                    discardTimer(&program, next)
                    next += 1
                }
                next += 1
            }
            let id = launchpad.add(words: [UInt64(timer.id)])
            program.call(
                .timer_create, [.signed(Int64(timer.clock)), data(notification(timer)), .value(id)],
                "timer \(timer.id)")
        }
        if facts.mayChooseTimerIDs { program.call(.prctl, [77, 0, 0, 0, 0], "ids as usual") }
    }

    private mutating func discardTimer(_ program: inout Program, _ id: UInt32) {
        var none = ImagePosixTimer()
        none.notify = .none
        program.call(.timer_create, [1, data(notification(none)), .value(room(8))])
        program.call(.timer_delete, [.number(id)], "the next timer is \(id + 1)")
    }

    /// `struct sigevent`, 64 bytes: value, signal, notify, thread.
    private func notification(_ timer: ImagePosixTimer) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: timer.value)
        bytes.append(littleEndian32: timer.signal)
        switch timer.notify {
        case .none: bytes.append(littleEndian32: 1)
        case .thread: bytes.append(littleEndian32: 4)
        case .signal, .UNRECOGNIZED: bytes.append(littleEndian32: 0)
        }
        bytes.append(littleEndian32: image.thread(timer.thread)?.ownTid ?? 0)
        return bytes + [UInt8](repeating: 0, count: 64 - bytes.count)
    }

    /// Sets the timers going that have no signal pending. First those whose last signal had an overrun: they
    /// are let expire and their signal is taken while no other one waits.
    mutating func setPosixTimersGoing(_ program: inout Program, of process: ImageProcess) {
        let pending = timersWithSignal(process)
        let quiet = process.posixTimers.filter { !pending.contains($0.id) && $0.remaining != 0 }
        for timer in quiet where replaysOverrun(timer, process) { replayOverrun(&program, timer) }
        for timer in quiet where !replaysOverrun(timer, process) {
            set(&program, timer, left: Int64(timer.remaining))
        }
        // What went to a thread. Signals to the process keep their place among the others.
        for thread in image.threads(of: process.pid) {
            for signal in thread.pending {
                if let timer = timer(of: signal, process) { letExpire(&program, timer) }
            }
        }
    }

    /// Lets a timer expire at once, so that its signal is pending again and is the timer's own: then the kernel
    /// counts further expirations as overruns of that signal, and sets a periodic timer going when it is taken.
    mutating func letExpire(_ program: inout Program, _ timer: ImagePosixTimer) {
        // By whole periods back, so that the next expirations are where they were.
        let periods = timer.interval == 0 ? 0 : Int64(timer.remaining / timer.interval) + 1
        set(&program, timer, left: periods == 0 ? -1 : Int64(timer.remaining) - periods * Int64(timer.interval))
    }

    /// The timer that a pending signal belongs to. Source: sigaction(2), `SI_TIMER`: si_timerid follows the code.
    func timer(of signal: ImagePendingSignal, _ process: ImageProcess) -> ImagePosixTimer? {
        let info = signal.info.asBytes
        guard Int32(bitPattern: info.littleEndian32(at: 8)) == -2 else { return nil }
        let id = info.littleEndian32(at: 16)
        return process.posixTimers.first { $0.id == id && $0.notify != .none }
    }

    private func timersWithSignal(_ process: ImageProcess) -> Set<UInt32> {
        let all = process.pending + image.threads(of: process.pid).flatMap(\.pending)
        return Set(all.compactMap { timer(of: $0, process)?.id })
    }

    /// The kernel does not tell whether a timer follows its clock when that is set: it is taken not to.
    private mutating func set(_ program: inout Program, _ timer: ImagePosixTimer, left: Int64) {
        let arming = arming(clock: timer.clock, left: left, interval: timer.interval, isAbsolute: false)
        program.call(
            .timer_settime, [.number(timer.id), .value(arming.flags), .value(arming.value), 0],
            "set timer \(timer.id) going")
    }

    /// Whether timer_getoverrun(2) can be made to say what it said: the leader has to take the signal itself.
    private func replaysOverrun(_ timer: ImagePosixTimer, _ process: ImageProcess) -> Bool {
        guard timer.overrun > 0, timer.interval > 0, hasDeadlines(clock: timer.clock) else { return false }
        let (back, tooLong) = timer.interval.multipliedReportingOverflow(by: UInt64(timer.overrun) + 1)
        guard !tooLong, back < 1 << 62 else { return false }
        return timer.notify == .signal || timer.notify == .thread && timer.thread == process.pid
    }

    /// Expires as long ago as makes the overrun, and is taken: the kernel then sets it to where it was.
    private mutating func replayOverrun(_ program: inout Program, _ timer: ImagePosixTimer) {
        let back = Int64(timer.interval) * (Int64(timer.overrun) + 1)
        set(&program, timer, left: Int64(timer.remaining) - back)
        var signals: [UInt8] = []
        signals.append(littleEndian: 1 << UInt64(timer.signal - 1))
        program.call(
            .rt_sigtimedwait, [data(signals), 0, .value(launchpad.add(words: [1, 0])), 8],
            check: .equals(Int64(timer.signal)), "take its signal: overrun \(timer.overrun)")
    }
}

extension ValidImage {
    static func checkPosixTimers(
        _ image: CheckpointImage, _ facts: HostFacts, _ find: (String, String, String) -> Void
    ) {
        for process in image.processes {
            let whom = "\(process.pid) \(process.command.asText)"
            if let last = process.posixTimers.last, !facts.mayChooseTimerIDs, last.id > PlanBuilder.mostDiscarded {
                find(
                    whom, "its timer \(last.id) has a number that cannot be chosen here",
                    "a kernel with PR_TIMER_CREATE_RESTORE_IDS is needed, Linux 6.15 or newer")
            }
            if !facts.mayWakeSystem && process.posixTimers.contains(where: { $0.clock == 8 || $0.clock == 9 }) {
                find(whom, "a timer that wakes the system cannot be made", "CAP_WAKE_ALARM is needed: be root")
            }
        }
    }
}
