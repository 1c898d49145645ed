internal import Kernel
internal import LinuxABI

extension FreezeLoop {
    /// Takes stops until every known task is in one. True if any died.
    mutating func waitForStops() throws(CaptureError) -> Bool {
        let awaited = book.tasks.values.filter { !$0.isStopped }.map(\.tid)
        var waiting = awaited.count
        ground.await(awaited)
        var died = false
        var quiet = 0
        while true {
            // When all have stopped, one look for reports of tasks that are not awaited: stopped ones that were killed.
            guard let found = waiting > 0 ? ground.report() : ground.reportOfAnybody() else {
                if waiting == 0 { break }
                if let interruption = ground.interruption() { throw interruption }
                if ground.now() > deadline { throw stuck() }
                quiet += 1
                if quiet == 25 {
                    let findings = ground.heldByCgroup(book.tasks.values.filter { !$0.isStopped })
                    if !findings.isEmpty { throw CaptureError(findings: findings) }
                }
                if quiet % 4 == 0 {
                    for tid in exitedFirstThreads() {
                        book.tasks[tid] = nil
                        ground.dismiss(tid)
                        waiting -= 1
                        died = true
                    }
                }
                // A thread that called execve has another number now: what was asked of it under the old one got lost.
                if quiet % 8 == 0 { for task in book.tasks.values where !task.isStopped { ground.interrupt(task.tid) } }
                if quiet == 1 || quiet % 4 == 0 { waiting += letVforkChildrenRun(round: quiet) }
                ground.pause(atMost: 2_000_000)
                continue
            }
            quiet = 0
            let tid = found.task
            switch found.status {
            case .exited, .killed:
                ground.dismiss(tid)
                if let task = book.tasks.removeValue(forKey: tid) {
                    died = true
                    if !task.isStopped { waiting -= 1 }
                }
            case .stopped(let signal, TraceEvent.stop):
                let known = book.tasks[tid]
                if known == nil { waiting += 1 }
                var task = known ?? FrozenTree.Task(tid: tid, process: ground.process(of: tid) ?? tid)
                if !task.isStopped { waiting -= 1 }
                task.isStopped = true
                task.stopSignal = signal == Signal.SIGTRAP ? nil : signal
                ground.dismiss(tid)
                book.tasks[tid] = task
                ground.mend(tid)
            case .stopped(_, let event) where event != 0:
                // A fork, vfork or clone: the child is traced and reports itself.
                if let born = ground.bornTask(tid), book.tasks[born] == nil {
                    book.tasks[born] = FrozenTree.Task(tid: born, process: ground.process(of: born) ?? born)
                    waiting += 1
                    ground.alsoAwait(born)
                }
                waiting += resumeToStop(tid, signal: 0)
            case .stopped(let signal, _):
                // On the way to a signal: it is delivered as if the task were not traced, and the stop comes after.
                ground.mend(tid)
                waiting += resumeToStop(tid, signal: signal & 0x7f)
            case .continued: break
            }
            if let interruption = ground.interruption() { throw interruption }
            if ground.now() > deadline, waiting > 0 { throw stuck() }
        }
        return died
    }

    /// Any trap takes back a stop that was asked for: ask again, then let it run into it.
    ///
    /// - Returns: 1 if the task counted as stopped until now.
    private mutating func resumeToStop(_ tid: Int32, signal: Int32) -> Int {
        ground.interrupt(tid)
        ground.resume(tid, signal: signal)
        guard book.tasks[tid]?.isStopped == true else { return 0 }
        book.tasks[tid]?.isStopped = false
        ground.alsoAwait(tid)
        return 1
    }

    /// The end of a first thread is not reported while others live.
    private func exitedFirstThreads() -> [Int32] {
        book.tasks.values.filter { task in
            !task.isStopped && task.tid == task.process && ground.condition(of: task.tid, in: task.tid) == .ended
        }.map(\.tid)
    }

    private func stuck() -> CaptureError {
        guard let task = book.tasks.values.filter({ !$0.isStopped }).min(by: { $0.tid < $1.tid }) else {
            return CaptureError("cannot freeze the tree of \(book.root) within the time given (--freeze-timeout gives it longer)")
        }
        let stat = ground.stat(of: task.tid)
        let name = "\(task.tid) \(printable(stat?.comm ?? []))"
        if let child = vforkChildren().first(where: { $0.parent == task.process })?.child {
            let command = ground.stat(of: child).map { printable($0.comm) } ?? ""
            return CaptureError(
                "cannot stop \(name): it waits in vfork for its child \(child) \(command), which has neither called execve nor ended in time (--freeze-timeout gives it longer)")
        }
        let state = stat.map { String(UnicodeScalar($0.state)) } ?? "?"
        return CaptureError(
            "cannot stop \(name): it is in state \(state) and did not stop in time (D: it waits in the kernel; --freeze-timeout gives it longer)")
    }
}
