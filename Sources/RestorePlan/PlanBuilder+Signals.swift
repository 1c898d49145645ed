import CheckpointImage
import PidControl
import StepProgram

extension PlanBuilder {
    /// Sets signal actions that differ from the default. Tasks begin with the default ones and all signals blocked.
    ///
    /// The action of SIGCHLD is set later, when no ghosts, placeholders and zombies die any more.
    mutating func signalActions(_ program: inout Program, _ process: ImageProcess) {
        for action in image.actions(of: process) where action.signal != CreationPlan.childSignal {
            signalAction(&program, action, of: process)
        }
    }

    /// Sets one action. For a 32-bit program it has to be a 32-bit call, because the kernel notes with the action which kind
    /// of stack frame the handler gets.
    mutating func signalAction(_ program: inout Program, _ action: ImageSignalAction, of process: ImageProcess) {
        let words = [action.handler, action.flags, action.restorer, action.mask]
        var bytes: [UInt8] = []
        if is32Bit(process) {
            // struct compat_sigaction: handler, flags, restorer (32 bits each), mask
            for word in words + [action.mask >> 32] { bytes.append(littleEndian32: UInt32(truncatingIfNeeded: word)) }
            program.call32(.rt_sigaction, [.number(action.signal), data(bytes), 0, 8], "signal action")
        } else {
            // struct kernel_sigaction: handler, flags, restorer, mask
            for word in words { bytes.append(littleEndian: word) }
            program.call(.rt_sigaction, [.number(action.signal), data(bytes), 0, 8], "signal action")
        }
    }

    /// Puts a signal back into the queue of the process, or of the calling thread. It stays there: all
    /// signals are blocked until the monitor sets the thread's own mask.
    private mutating func queue(_ program: inout Program, _ signal: ImagePendingSignal, pid: UInt32, tid: UInt32?) {
        let info = signal.info.asBytes
        let number = info.littleEndian32(at: 0)
        // A process may send itself any siginfo, whatever its code (rt_sigqueueinfo(2)).
        if let tid {
            program.call(
                .rt_tgsigqueueinfo, [.number(pid), .number(tid), .number(number), data(info)],
                "pending signal \(number) of the thread")
        } else {
            program.call(.rt_sigqueueinfo, [.number(pid), .number(number), data(info)], "pending signal \(number)")
        }
    }

    mutating func pendingSignals(_ program: inout Program, of process: ImageProcess) {
        for signal in process.pending {
            if let timer = timer(of: signal, process) {
                letExpire(&program, timer)
            } else {
                queue(&program, signal, pid: process.ownPid, tid: nil)
            }
        }
    }

    /// Signals of POSIX timers are left out: the timers themselves send them again.
    mutating func pendingSignals(_ program: inout Program, of thread: ImageThread, _ process: ImageProcess) {
        for signal in thread.pending where timer(of: signal, process) == nil {
            queue(&program, signal, pid: process.ownPid, tid: thread.ownTid)
        }
    }

    /// Sets interval timers. ITIMER_REAL runs from this step on, so the monitor adds the time until the release to it.
    mutating func timers(_ program: inout Program, of process: ImageProcess) {
        for timer in process.timers {
            let words = [
                timer.interval / 1_000_000, timer.interval % 1_000_000, timer.remaining / 1_000_000,
                max(1, timer.remaining % 1_000_000),
            ]
            let value = launchpad.add(words: words)
            if timer.which == 0 {
                releaseTimes.append(
                    ReleaseTime(address: value + 16, unit: .microseconds, left: timer.remaining &* 1000, clock: 1))
            }
            program.call(.setitimer, [.number(timer.which), .value(value), 0], "interval timer")
        }
    }

    /// The address of a `struct timespec` of zero.
    var zeroTime: UInt64 { launchpad.dataStart }
}
