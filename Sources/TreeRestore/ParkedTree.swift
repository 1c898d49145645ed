internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// Every task of the image is there, has done all its steps, and waits in its park.
struct ParkedTree: ~Copyable {
    private var tree: ForkedTree
    private let release: ReleaseInstant

    init(_ tree: consuming ForkedTree, _ release: ReleaseInstant) {
        self.tree = tree
        self.release = release
    }

    /// From "every task is parked" to "the tree runs". Numbered as in the design: each position has its reason.
    ///
    /// - If it fails, or this process dies before the point of no return: nothing is left of the tree.
    consuming func finalise(staysStopped: Bool, _ watch: Watch, _ terminal: (any TreeTerminal)?) throws(RestoreError) -> RunningTree {
        try tree.setGuard(watch)
        let kept = KeptNumber.all(in: tree)
        var finaliser = try Finaliser(tree, release, watch)
        // 1. All tasks stop, and are what the image says.
        try finaliser.stopAll()
        try TreeCheck(tree).check()
        // Tasks that undo something at their end need the sets while they can still make calls of ours. The guardian, which removes
        // sets that were made, has to outlive this process from then on.
        let hasUndo = tree.plan.undoRoom != 0
        var undo: [() -> Void] = []
        let cutter = FileCutter(tree)
        let connections = TCPStarter(tree)
        do throws(RestoreError) {
            if hasUndo {
                try finaliser.releaseGuardian(tree.inner)
                undo = try SemaphoreSetMaker(tree).run(tree.memory)
                try finaliser.makeUndo(tree.memory)
            }
            // 2. Restart blocks as late as possible, then the launchpad goes, then filters come: no thread has a call of ours left to make.
            try finaliser.armAll(tree.memory)
            try finaliser.unmapLaunchpads(size: tree.memory.size)
            try finaliser.confineAll()
            // 3. Registers and vector state, then masks: from here on signals find the thread as it was.
            try finaliser.loadAll()
            if staysStopped { try finaliser.stopRunning() }
            // Output files are cut while the tasks still die with this process: it may take a while.
            try cutter.run()
        } catch {
            for step in undo { step() }
            throw error
        }
        do throws(RestoreError) {
            // 4. No task dies with the monitor any more. The guardian first: it has to outlive it.
            if !hasUndo { try finaliser.releaseGuardian(tree.inner) }
            try finaliser.takeBackExitKill()
            // The last chance: what is made next belongs to no process, and would stay.
            try watch.check()
            let queues = MessageQueueMaker(tree)
            try queues.run(tree.memory)
            var lock = ConnectionUnlock(tree.plan.valid.image.header)
            do throws(RestoreError) {
                if !hasUndo { undo = try SemaphoreSetMaker(tree).run(tree.memory) }
                release.wait()
                // The last of all: their peers notice.
                try lock.run()
                try connections.run()
            } catch {
                lock.undo()
                queues.remove(tree.memory)
                throw error
            }
        } catch {
            for step in undo { step() }
            cutter.putBack()
            throw error
        }
        // 5. The point of no return, one store.
        tree.publish(.committed, 1)
        tree.letGo()
        // 6. Go. Before it runs a program has its terminal, or it would be stopped for using it.
        terminal?.give(to: TreeGroups(tree, staysStopped: staysStopped))
        finaliser.detachAll()
        // It still holds the standard streams of this command, and looks only now and then: this wakes it.
        try? tree.handles.send(Signal.SIGCHLD, to: tree.inner)
        return RunningTree(tree, release, kept: kept, beginAnew: finaliser.beginAnew, cuts: cutter.notices, terminal)
    }
}
