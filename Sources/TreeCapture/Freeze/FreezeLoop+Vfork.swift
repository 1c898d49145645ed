internal import Kernel

/// A parent in vfork(2) cannot stop: it waits in the kernel, with its memory lent to its child, until that has called
/// execve or ended. So the child goes on until then, in short turns, and both are stopped afterwards.
extension FreezeLoop {
    /// Lets such children run for a moment. Gives how many there were: each has to be awaited again.
    ///
    /// - Parameter round: counts up as long as nothing stops; a machine that is busy needs longer moments.
    mutating func letVforkChildrenRun(round: Int) -> Int {
        var running: [Int32] = []
        for pair in vforkChildren() {
            for task in book.tasks.values where task.process == pair.child && task.isStopped && task.stopSignal == nil {
                running.append(task.tid)
            }
        }
        if running.isEmpty { return 0 }
        for tid in running {
            book.tasks[tid]?.isStopped = false
            ground.resume(tid, signal: 0)
        }
        // Ends with the first report: that the parent has stopped.
        ground.pause(atMost: Int64(min(max(1, round), 20)) * 1_000_000)
        for tid in running { ground.interrupt(tid) }
        return running.count
    }

    /// Children that have the memory of a parent which has not stopped.
    func vforkChildren() -> [(parent: Int32, child: Int32)] {
        let parents = Set(book.tasks.values.lazy.filter { !$0.isStopped }.map(\.process))
        if parents.isEmpty { return [] }
        return Set(book.tasks.values.lazy.filter(\.isStopped).map(\.process)).subtracting(parents).sorted().compactMap { process in
            ground.lender(of: process, among: parents).map { ($0, process) }
        }
    }
}
