internal import Kernel

/// A parent in vfork(2) cannot stop: it waits in the kernel, with its memory lent to its child, until that has called
/// execve or ended. So the child goes on until then, in short turns, and both are stopped afterwards.
extension Freezer {
    /// Lets such children run for a moment. Gives how many there were: each has to be awaited again.
    ///
    /// - Parameter round: counts up as long as nothing stops; a machine that is busy needs longer moments.
    func letVforkChildrenRun(_ tree: inout FrozenTree, round: Int) -> Int {
        var running: [Int32] = []
        for pair in vforkChildren(in: tree) {
            for task in tree.tasks.values where task.process == pair.child && task.isStopped && task.stopSignal == nil {
                running.append(task.tid)
            }
        }
        if running.isEmpty { return 0 }
        for tid in running {
            tree.tasks[tid]?.isStopped = false
            try? Trace.resume(tid)
        }
        // Ends with the first report: that the parent has stopped.
        Waiting.pause(atMost: Int64(min(max(1, round), 20)) * 1_000_000)
        for tid in running { try? Trace.interrupt(tid) }
        return running.count
    }

    /// Children that have the memory of a parent which has not stopped.
    func vforkChildren(in tree: borrowing FrozenTree) -> [(parent: Int32, child: Int32)] {
        let parents = Set(tree.tasks.values.lazy.filter { !$0.isStopped }.map(\.process))
        if parents.isEmpty { return [] }
        var pairs: [(parent: Int32, child: Int32)] = []
        for process in Set(tree.tasks.values.lazy.filter(\.isStopped).map(\.process)).subtracting(parents).sorted() {
            guard let stat = try? ProcessStat(of: process), parents.contains(stat.parent),
                (try? compare(.memory, of: stat.parent, with: process)) == .same
            else { continue }
            pairs.append((stat.parent, process))
        }
        return pairs
    }
}
