internal import Kernel
internal import RestorePlan
internal import StepProgram

/// Every process has loaded everything, is still single-threaded, and waits for "go".
struct LoadedTree: ~Copyable {
    var tree: ForkedTree

    init(_ tree: consuming ForkedTree) { self.tree = tree }

    /// Puts back the words of mutexes that the kernel has marked as left by a dead owner. Those that have another value by now
    /// another process has taken over.
    private borrowing func takeBackMutexes() {
        for mutex in tree.plan.heldMutexes {
            let host = tree.hostPids[mutex.program]
            guard let now = RemoteMemory.word32(host, at: mutex.address), now == mutex.abandoned else { continue }
            try? RemoteMemory.write(host, at: mutex.address, (0..<4).map { UInt8(truncatingIfNeeded: mutex.value >> ($0 * 8)) })
        }
    }

    /// Chooses the instant of the release, says "go", and waits until every task has arrived at its park.
    consuming func awaitParked(_ watch: Watch) throws(RestoreError) -> ParkedTree {
        takeBackMutexes()
        let release = try ReleaseInstant(tree)
        tree.publish(.go, 1)
        watch.stage("park")
        let all = UInt32(tree.plan.tasks.count - tree.plan.zombieCount)
        try tree.pump(watch) { $0.word(.parked) >= all && $0.allAreBorn }
        return ParkedTree(tree, release)
    }
}
