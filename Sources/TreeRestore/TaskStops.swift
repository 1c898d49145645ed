internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Waits for the next stop of one traced task, never for ever.
///
/// - Errors: `ETIMEDOUT` after 30 seconds; `EINTR`: the user wants an end; `ESRCH`: the task was killed from outside; `EFAULT`: it got a
///   signal of its own instruction's making, which would come again for ever.
struct TaskStops {
    let watch: Watch
    private static let patience: Int64 = 30_000_000_000

    /// A stop asked for by `PTRACE_INTERRUPT`; other stops are passed over.
    ///
    /// - Returns: SIGTRAP, or the signal by which the task's process is stopped.
    @discardableResult
    func awaitStop(_ pid: Int32) throws(SystemError) -> Int32 {
        while true {
            switch try next(pid) {
            case .stopped(let signal, TraceEvent.stop): return signal
            case .stopped:
                try Trace.interrupt(pid)
                try Trace.resume(pid)
            default: break
            }
        }
    }

    /// The next stop at the entry or the exit of a system call, to which the task was let run.
    func awaitCallStop(_ pid: Int32) throws(SystemError) {
        while true {
            switch try next(pid) {
            case .stopped(Signal.SIGTRAP | 0x80, 0): return  // PTRACE_O_TRACESYSGOOD
            case .stopped: try Trace.resumeToCall(pid)
            default: break
            }
        }
    }

    /// A first thread that exits is still in the launchpad when it has said that it is done.
    func awaitEnd(of pid: Int32) throws(SystemError) {
        let deadline = SystemClock.monotonic.now() + Self.patience
        while try !ProcessStat(of: pid).isZombie { try pause(until: deadline, "its first thread does not end") }
    }

    private func next(_ pid: Int32) throws(SystemError) -> WaitStatus {
        let deadline = SystemClock.monotonic.now() + Self.patience
        while true {
            guard let found = try Waiting.wait(pid, block: false) else {
                try pause(until: deadline, "it does not stop")
                continue
            }
            switch found.status {
            case .exited, .killed: throw SystemError(Errno.ESRCH, in: "it was killed from outside")
            case .stopped(let signal, 0) where RestorePlan.isSynchronous(signal):
                throw SystemError(Errno.EFAULT, in: "signal \(signal) of its own instruction")
            default: return found.status
            }
        }
    }

    /// Until some task changes its state, or a while: SIGCHLD of a report that was taken already ends it early.
    private func pause(until deadline: Int64, _ what: String) throws(SystemError) {
        Waiting.pause(atMost: 10_000_000)
        if watch.isInterrupted { throw SystemError(Errno.EINTR, in: what) }
        if SystemClock.monotonic.now() > deadline { throw SystemError(Errno.ETIMEDOUT, in: what) }
    }
}

/// Names the task that something failed for.
func naming(_ task: RestorePlan.Task, _ body: () throws(SystemError) -> Void) throws(RestoreError) {
    do throws(SystemError) { try body() } catch {
        if error.number == Errno.EINTR { throw RestoreError.interrupted }
        throw RestoreError(cannot: "finalise \(task.title)", error)
    }
}
