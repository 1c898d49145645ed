internal import Kernel
internal import LinuxABI

/// What is found before anything is stopped.
extension FreezeLoop {
    /// A task has one tracer at a time. All such tasks are told at once, one of each process.
    func tracedFindings(_ tasks: [(tid: Int32, entry: ProcessTree.Entry, tracer: Int32)]) -> [Finding] {
        var findings: [Finding] = []
        var told: Set<[Int32]> = []
        for (tid, entry, tracer) in tasks where told.insert([entry.pid, tracer]).inserted {
            let command = ground.stat(of: tracer).map { " \(printable($0.comm))" } ?? ""
            findings.append(
                Finding(
                    pid: HostPid(entry.pid), command: printable(entry.stat.comm), object: tid == entry.pid ? "task" : "thread \(tid)",
                    reason: "is traced by \(tracer)\(command)", help: "end the debugger first, or detach it from \(tid)"))
        }
        return findings
    }

    /// When the last thread of a process has ended whose first one ended before, the kernel sends the process's end signal
    /// to the tracer. All but two can be blocked.
    ///
    /// - Source: kernel/exit.c, `release_task`.
    func refuseEndSignals(_ entries: [ProcessTree.Entry]) throws(CaptureError) {
        let findings = entries.filter { entry in
            !entry.stat.isZombie && book.tasks[entry.pid] == nil && [Signal.SIGKILL, Signal.SIGSTOP].contains(entry.stat.exitSignal)
        }.map { entry in
            Finding(
                pid: HostPid(entry.pid), command: printable(entry.stat.comm), object: "task",
                reason:
                    "was made by clone with \(entry.stat.exitSignal == Signal.SIGKILL ? "SIGKILL" : "SIGSTOP") as the signal that tells of its end: that could hit crcheckpoint",
                help: "make it with SIGCHLD, or let it end first")
        }
        if !findings.isEmpty { throw CaptureError(findings: findings) }
    }
}
