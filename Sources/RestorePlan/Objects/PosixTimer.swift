import CheckpointImage
import LinuxABI
import StepProgram

/// timer_create(2). The leader makes the timers when all threads exist, and starts them when the tree's time runs again.
extension PlanBuilder {
    /// The most timers that are made and deleted only to reach an id, on kernels where ids cannot be chosen.
    static let mostDiscarded: UInt32 = 1024

    /// Makes the timers with their ids.
    ///
    /// - Source: timer_create(2); include/uapi/linux/prctl.h, `PR_TIMER_CREATE_RESTORE_IDS`.
    mutating func makePosixTimers(_ program: inout Program, of process: ImageProcess) {
        if process.posixTimers.isEmpty { return }
        if facts.mayChooseTimerIDs { program.call(.prctl, [.value(Prctl.PR_TIMER_CREATE_RESTORE_IDS), .value(Prctl.PR_TIMER_CREATE_RESTORE_IDS_ON), 0, 0, 0], "PR_TIMER_CREATE_RESTORE_IDS") }
        var next: UInt32 = 0
        for timer in process.posixTimers {
            if !facts.mayChooseTimerIDs {
                // The kernel numbers the timers of each process from 0.
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
        if facts.mayChooseTimerIDs { program.call(.prctl, [.value(Prctl.PR_TIMER_CREATE_RESTORE_IDS), .value(Prctl.PR_TIMER_CREATE_RESTORE_IDS_OFF), 0, 0, 0], "ids as usual") }
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

    /// Starts the timers without a pending signal, and makes pending signals of timers for threads again. Timers whose last
    /// signal had an overrun come first: they expire, and their signal is taken while no other signal is pending.
    mutating func setPosixTimersGoing(_ program: inout Program, of process: ImageProcess) {
        let pending = timersWithSignal(process)
        let quiet = process.posixTimers.filter { !pending.contains($0.id) && $0.remaining != 0 }
        for timer in quiet where replaysOverrun(timer, process) { replayOverrun(&program, timer) }
        for timer in quiet where !replaysOverrun(timer, process) {
            set(&program, timer, left: Int64(timer.remaining))
        }
        // Only signals to a thread: those to the process are made with its other pending signals, to keep their order.
        for thread in image.threads(of: process.pid) {
            for signal in thread.pending {
                if let timer = timer(of: signal, process) { letExpire(&program, timer) }
            }
        }
    }

    /// Makes a timer expire at once, so that the kernel itself makes its signal pending. For a signal of its own making the
    /// kernel counts further expirations as overruns, and starts a periodic timer again when the signal is taken.
    mutating func letExpire(_ program: inout Program, _ timer: ImagePosixTimer) {
        // Set back by whole periods, so that later expirations come when they would have.
        let left = timer.interval == 0 ? -1 : Int64(timer.remaining % timer.interval) - Int64(timer.interval)
        set(&program, timer, left: left)
    }

    /// The timer that a pending signal belongs to. Source: sigaction(2), `SI_TIMER`: si_timerid follows the code.
    func timer(of signal: ImagePendingSignal, _ process: ImageProcess) -> ImagePosixTimer? {
        let info = signal.info.asBytes
        guard Int32(bitPattern: info.littleEndian32(at: 8)) == -2 else { return nil }
        let id = info.littleEndian32(at: 16)
        // By ascending ids.
        var (low, high) = (0, process.posixTimers.count)
        while low < high {
            let middle = low + (high - low) / 2
            if process.posixTimers[middle].id < id { low = middle + 1 } else { high = middle }
        }
        guard low < process.posixTimers.count, process.posixTimers[low].id == id, process.posixTimers[low].notify != .none else { return nil }
        return process.posixTimers[low]
    }

    private func timersWithSignal(_ process: ImageProcess) -> Set<UInt32> {
        let all = process.pending + image.threads(of: process.pid).flatMap(\.pending)
        return Set(all.compactMap { timer(of: $0, process)?.id })
    }

    /// Starts a timer. The kernel does not tell whether a timer was set to an absolute time, which moves with the clock
    /// when that is set; a relative one is assumed.
    private mutating func set(_ program: inout Program, _ timer: ImagePosixTimer, left: Int64) {
        let arming = arming(clock: timer.clock, left: left, interval: timer.interval, isAbsolute: false)
        program.call(
            .timer_settime, [.number(timer.id), .value(arming.flags), .value(arming.value), 0],
            "set timer \(timer.id) going")
    }

    /// Whether the result of timer_getoverrun(2) can be made the same again. The leader has to take a signal for that, so it
    /// must be one that the leader can take.
    private func replaysOverrun(_ timer: ImagePosixTimer, _ process: ImageProcess) -> Bool {
        guard timer.overrun > 0, timer.interval > 0, hasDeadlines(clock: timer.clock) else { return false }
        let (back, tooLong) = timer.interval.multipliedReportingOverflow(by: UInt64(timer.overrun) + 1)
        guard !tooLong, back < 1 << 62 else { return false }
        return timer.notify == .signal || timer.notify == .thread && timer.thread == process.pid
    }

    /// Sets a timer to an expiration in the past that gives the old overrun, and takes its signal. The kernel then sets the
    /// timer to its next regular expiration.
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
            let subject = "\(process.pid) \(process.command.asText)"
            if let last = process.posixTimers.last, !facts.mayChooseTimerIDs, last.id > PlanBuilder.mostDiscarded {
                find(
                    subject, "its timer \(last.id) has a number that cannot be chosen here",
                    "a kernel with PR_TIMER_CREATE_RESTORE_IDS is needed, Linux 6.15 or newer")
            }
            if !facts.mayWakeSystem && process.posixTimers.contains(where: { $0.clock == 8 || $0.clock == 9 }) {
                find(subject, "a timer that wakes the system cannot be made", "CAP_WAKE_ALARM is needed: be root")
            }
        }
    }
}
