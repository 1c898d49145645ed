import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// Job control. A process that was stopped is stopped again, before it has threads. Its parent receives the report of the
/// stop by wait(2) if it had received it before the checkpoint.
///
/// The monitor traces the processes and resumes a stopped one, so that it goes on with its program although its thread
/// group is stopped. It really stops when the monitor detaches.
///
/// - Source: "Group-stop" in ptrace(2); waitid(2); `do_signal_stop` and `prepare_signal` in kernel/signal.c.
extension PlanBuilder {
    private static let sigcont = UInt32(Signal.SIGCONT)
    private static let sigstop = UInt32(Signal.SIGSTOP)

    /// Stops a process again. A process that had been continued is continued again, if its parent did not know that yet.
    mutating func stopOrGoOn(_ program: inout Program, _ process: ImageProcess) {
        guard process.state == .stopped || process.changeUnreported else { return }
        let signal = RestorePlan.stopSignal(of: process, in: image)
        let set = data([UInt8](repeating: 0, count: 8).settingBit(Int(signal) - 1))
        if signal != Self.sigstop { program.call(.rt_sigprocmask, [.value(Sigprocmask.SIG_UNBLOCK), set, 0, 8], "unblock signal \(signal)") }
        program.call(.kill, [.number(process.ownPid), .number(signal)], "stop (job control)")
        if signal != Self.sigstop { program.call(.rt_sigprocmask, [.value(Sigprocmask.SIG_BLOCK), set, 0, 8], "block signal \(signal)") }
        if process.state != .stopped {
            let set = data([UInt8](repeating: 0, count: 8).settingBit(Int(Self.sigcont) - 1))
            program.call(.kill, [.number(process.ownPid), .number(Self.sigcont)], "go on: the parent does not know yet")
            program.call(.rt_sigtimedwait, [set, 0, .value(zeroTime), 8], check: .none, "take back SIGCONT")
        }
        if process.pid != image.header.root { program.advance(word(.stopped(process.pid)), "stopped") }
    }

    /// Lets a parent wait until all such children have stopped, and receive the reports that it had received before.
    ///
    /// - Returns: whether there are such children: each has sent a SIGCHLD.
    mutating func awaitStops(_ program: inout Program, of process: ImageProcess) -> Bool {
        let children = image.children(of: process.pid).filter {
            $0.state == .stopped || $0.state != .zombie && $0.changeUnreported
        }
        for child in children {
            program.wait(for: word(.stopped(child.pid)), toReach: 1, "until \(child.pid) has stopped")
            guard !child.changeUnreported, let number = child.pid(seenBy: process) else { continue }
            let how = UInt64(WaitOption.WSTOPPED) | UInt64(WaitOption.__WALL)
            program.call(.waitid, [.value(UInt64(WaitID.P_PID)), .number(number), 0, .value(how), 0], "take the report that \(child.pid) has stopped")
        }
        return !children.isEmpty
    }
}

extension RestorePlan {
    /// The signal that stops a process again. It is SIGSTOP, which always stops it, unless another one stopped it: its parent
    /// may have still to learn which by wait(2), and a tracer sees it at any time. Even then it is SIGSTOP for a process that
    /// handles the old signal or whose process group is orphaned: SIGTSTP, SIGTTIN and SIGTTOU do not stop such a process.
    static func stopSignal(of process: ImageProcess, in image: CheckpointImage) -> UInt32 {
        let sigstop = UInt32(Signal.SIGSTOP)
        guard process.state == .stopped,
            [Signal.SIGTSTP, Signal.SIGTTIN, Signal.SIGTTOU].contains(Int32(clamping: process.stopSignal)),
            !image.actions(of: process).contains(where: { $0.signal == process.stopSignal && $0.handler != 0 }),
            let parent = image.process(process.parent), parent.session == process.session, parent.group != process.group
        else { return sigstop }
        return process.stopSignal
    }

    /// The signal by which the program of a task stops its process; nil: it does not stop it.
    package func stopSignal(of index: Int) -> Int32? {
        guard index < tasks.count, tasks[index].isLeader, let process = valid.image.process(tasks[index].pid),
            process.state == .stopped || process.state == .running && process.changeUnreported
        else { return nil }
        return Int32(Self.stopSignal(of: process, in: valid.image))
    }
}
