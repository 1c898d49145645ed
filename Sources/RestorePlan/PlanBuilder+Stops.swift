import CheckpointImage
import PidControl
import StepProgram

/// Job control: processes that were stopped are stopped again, before they have threads, and their parents have been
/// told of it, or not, as before.
///
/// A traced process that has taken a stop can be resumed: it goes on with its program although its group is stopped,
/// and stops for good when it is let go.
///
/// - Source: "Group-stop" in ptrace(2); waitid(2); `do_signal_stop` and `prepare_signal` in kernel/signal.c.
extension PlanBuilder {
    private static let sigcont: UInt32 = 18
    private static let sigstop: UInt32 = 19

    /// Of a process that is stopped, or that has gone on without its parent having been told.
    mutating func stopOrGoOn(_ program: inout Program, _ process: ImageProcess) {
        guard process.state == .stopped || process.changeUnreported else { return }
        let signal = RestorePlan.stopSignal(of: process, in: image)
        let set = data([UInt8](repeating: 0, count: 8).settingBit(Int(signal) - 1))
        if signal != Self.sigstop { program.call(.rt_sigprocmask, [1, set, 0, 8], "unblock signal \(signal)") }
        program.call(.kill, [.number(process.ownPid), .number(signal)], "stop (job control)")
        if signal != Self.sigstop { program.call(.rt_sigprocmask, [0, set, 0, 8], "block signal \(signal)") }
        if process.state != .stopped {
            let set = data([UInt8](repeating: 0, count: 8).settingBit(Int(Self.sigcont) - 1))
            program.call(.kill, [.number(process.ownPid), .number(Self.sigcont)], "go on: the parent does not know yet")
            program.call(.rt_sigtimedwait, [set, 0, .value(zeroTime), 8], check: .none, "take back SIGCONT")
        }
        if process.pid != image.header.root { program.advance(word(.stopped(process.pid)), "stopped") }
    }

    /// Of the parent of such processes: waits until all have stopped, and for the report of those that had been reported.
    ///
    /// - Returns: whether there are any: each has sent a SIGCHLD.
    mutating func awaitStops(_ program: inout Program, of process: ImageProcess) -> Bool {
        let children = image.children(of: process.pid).filter {
            $0.state == .stopped || $0.state != .zombie && $0.changeUnreported
        }
        for child in children {
            program.wait(for: word(.stopped(child.pid)), toReach: 1, "until \(child.pid) has stopped")
            guard !child.changeUnreported, let number = child.pid(seenBy: process) else { continue }
            // P_PID, no siginfo, WSTOPPED | __WALL
            program.call(.waitid, [1, .number(number), 0, .value(0x4000_0002), 0], "take the report that \(child.pid) has stopped")
        }
        return !children.isEmpty
    }
}

extension RestorePlan {
    /// The signal that stops a process again. SIGSTOP always does. The one that stopped it matters only to a parent that
    /// has not been told, and SIGTSTP, SIGTTIN and SIGTTOU stop nobody who handles them or whose group is orphaned.
    static func stopSignal(of process: ImageProcess, in image: CheckpointImage) -> UInt32 {
        let sigstop: UInt32 = 19
        guard process.state == .stopped, process.changeUnreported, (20...22).contains(process.stopSignal),
            !process.actions.contains(where: { $0.signal == process.stopSignal && $0.handler != 0 }),
            let parent = image.process(process.parent), parent.session == process.session, parent.group != process.group
        else { return sigstop }
        return process.stopSignal
    }

    /// The signal that the program of a task stops its process by; nil: it does not.
    package func stopSignal(of index: Int) -> Int32? {
        guard index < tasks.count, tasks[index].isLeader, let process = valid.image.process(tasks[index].pid),
            process.state == .stopped || process.state == .running && process.changeUnreported
        else { return nil }
        return Int32(Self.stopSignal(of: process, in: valid.image))
    }
}
