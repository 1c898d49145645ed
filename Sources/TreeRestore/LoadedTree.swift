internal import Kernel
internal import RestorePlan
internal import StepProgram

/// Every process has loaded everything, is still single-threaded, and waits for "go".
struct LoadedTree: ~Copyable {
    private var tree: ForkedTree

    init(_ tree: consuming ForkedTree) { self.tree = tree }

    /// Chooses the instant of the release, says "go", and waits until every task has arrived at its park.
    consuming func awaitParked(_ watch: Watch) throws(RestoreError) -> ParkedTree {
        let release = try ReleaseInstant(tree)
        tree.publish(.go, 1)
        watch.stage("park")
        let all = UInt32(tree.plan.tasks.count - tree.plan.zombieCount)
        try tree.pump(watch) { $0.word(.parked) >= all && $0.allAreBorn }
        return ParkedTree(tree, release)
    }
}
