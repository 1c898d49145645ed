internal import Kernel
internal import LinuxABI

/// Stops every task of a tree, including those born meanwhile.
package struct Freezer {
    package var timeout: Int64
    /// Told of tasks before they are stopped, and at each stop before they may run on: mends what it disturbs.
    let calls: TimedCalls
    let watch: StopWatch

    init(timeoutNanoseconds: Int64, calls: TimedCalls, watch: StopWatch) {
        timeout = timeoutNanoseconds
        self.calls = calls
        self.watch = watch
    }

    /// - Parameter checkpointer: this process, if it belongs to the tree.
    package func freeze(_ root: Int32, besides checkpointer: Int32?) throws(CaptureError) -> FrozenTree {
        SignalMask.blockChildSignals()
        var tree = FrozenTree(root: root, calls: calls)
        calls.begin()
        var loop = FreezeLoop(root: root, on: TreeGround(root: root, calls: calls, watch: watch), timeout: timeout, besides: checkpointer)
        let outcome: CaptureError?
        do throws(CaptureError) {
            try loop.run()
            outcome = nil
        } catch { outcome = error }
        // Also after an error: what was seized is given back by the tree.
        tree.book = loop.book
        if let outcome { throw outcome }
        return tree
    }
}

/// The decisions of a freeze, over the real ground or a model of it.
///
/// Seizes all tasks that can be seen, notes what they wait for, interrupts them, waits until they have stopped, and looks
/// again, until the looks are conclusive.
///
/// **A look is clean** if it met no task that was not held; nothing that it was told of had vanished when it came there
/// (also a task that ended before it could be seized); no task that is held has ended or runs again; the zombies are
/// those of the look before; and each process has exactly as many threads (`num_threads`, which the kernel counts under
/// one lock) as are held of it. All that are held were stopped before the look began.
///
/// **Two clean looks, one after the other, have missed nothing** below the root, whatever goes on outside:
/// - Threads are made by threads of their own process: where the count is equal, there are no others, and none will come.
/// - Children of a task that is held from before their birth are held from birth (`PTRACE_O_TRACEFORK` and its like).
/// - So an unknown process has an unknown parent, or it is a child of a held one: born before that was seized, or come to
///   it as an orphan. The walk reads the children of a parent before those of its descendants. An unknown child of a held
///   process either is seen in the first look, or has ended before its turn came. Then its own children have gone to the
///   nearest subreaper; if that is in the tree, it is held and does not end, and they stay its children: those and their
///   successors come to it in the very instant (`tasklist_lock`) in which their parent leaves it. In the second look, one
///   of them is among its children.
/// - One clean look is enough where no task was made on the whole host since the beginning of the look before it
///   (`processes` of /proc/stat): the look before it then plays the part of the first one.
/// - Kernels without `CONFIG_PROC_CHILDREN` give no such order: there, the count has to stand still.
///
/// If the nearest subreaper is outside of the tree, an orphan leaves it: see ``Leavers``.
struct FreezeLoop<Ground: FreezeGround> {
    var ground: Ground
    var book: TaskBook
    let deadline: Int64
    var leavers: Leavers

    /// - Parameter checkpointer: this process, if it belongs to the tree.
    init(root: Int32, on ground: Ground, timeout: Int64, besides checkpointer: Int32? = nil) {
        self.ground = ground
        book = TaskBook(root: root, checkpointer: checkpointer)
        deadline = ground.now() &+ timeout
        leavers = Leavers(before: self.ground.outsideChildren())
    }

    mutating func run() throws(CaptureError) {
        var cleanLooks = 0
        var leads = 0
        var countBeforeLast: UInt64?
        while true {
            let countBefore = ground.forkCount()
            let isClean = try look()
            let anyDied = try waitForStops()
            let countAfter = ground.forkCount()
            let stoodStill = countBeforeLast != nil && countBeforeLast == countAfter
            countBeforeLast = countBefore
            cleanLooks = isClean && !anyDied ? cleanLooks + 1 : 0
            if cleanLooks >= 1 && stoodStill || cleanLooks >= 2 && ground.isOrdered {
                guard try leadOutOfVdso(mayRun: leads < 3) else { break }
                leads += 1
                cleanLooks = 0
                countBeforeLast = nil
            }
            try checkTime { "cannot freeze the tree of \(book.root): it changes faster than it can be stopped (--freeze-timeout gives it longer)" }
        }
        noteLeavers()
    }

    /// - Throws: what was asked for by a signal, or the sentence if the time is over.
    func checkTime(_ sentence: () -> String) throws(CaptureError) {
        if let interruption = ground.interruption() { throw interruption }
        if ground.now() > deadline { throw CaptureError(sentence()) }
    }

    /// One look over the tree. True if it was clean.
    private mutating func look() throws(CaptureError) -> Bool {
        let found: ProcessTree.Found
        do throws(SystemError) { found = try ground.look(below: book.root) } catch {
            throw CaptureError(
                cannot: "look for the processes of \(book.root)", error,
                help: error.isGone && ground.forkCount() != nil ? "it ended meanwhile" : "is /proc mounted?")
        }
        let entries = Checkpointer.withoutOwn(found.entries, book.checkpointer)
        try refuseEndSignals(entries)
        var isClean = !found.hasGaps
        var seized: [Int32] = []
        var processes: [Int32] = []
        var zombies: [Int32] = []
        var held = book.heldCounts
        var foreign: [(tid: Int32, entry: ProcessTree.Entry, tracer: Int32)] = []
        for entry in entries {
            if entry.pid == book.checkpointer {
                zombies.append(entry.pid)
                continue
            }
            leavers.learn(entry.stat)
            let (pid, stat) = (entry.pid, entry.stat)
            let firstHasExited = stat.isZombie && stat.threadCount > 1
            if stat.isZombie && !firstHasExited {
                if pid == book.root {
                    throw CaptureError("cannot freeze the tree of \(pid) \(printable(stat.comm)): ESRCH (it ended meanwhile)")
                }
                zombies.append(pid)
                continue
            }
            processes.append(pid)
            for tid in entry.tasks where book.tasks[tid] == nil && !(firstHasExited && tid == pid) {
                isClean = false
                switch try seize(tid, of: entry) {
                case .free: seized.append(tid)
                case .ours: ground.interrupt(tid)
                case .traced(let tracer):
                    foreign.append((tid, entry, tracer))
                    continue
                case .gone, .ended: continue
                }
                book.tasks[tid] = FrozenTree.Task(tid: tid, process: pid)
                held[pid, default: 0] += 1
            }
            if held[pid, default: 0] + (firstHasExited ? 1 : 0) != stat.threadCount { isClean = false }
            // All its threads are on their way out.
            if firstHasExited && held[pid, default: 0] == 0 { ground.pause(atMost: 500_000) }
            // Another thread that calls execve takes the place of the first one, and runs.
            if stat.state != Self.stopped, book.tasks[pid]?.isStopped == true {
                isClean = false
                book.tasks[pid]?.isStopped = false
                ground.interrupt(pid)
            }
        }
        if !foreign.isEmpty { throw CaptureError(findings: tracedFindings(foreign)) }
        if !seized.isEmpty { ground.note(seized) }
        for tid in seized { ground.interrupt(tid) }
        if zombies != book.zombies { isClean = false }
        book.processes = processes
        book.zombies = zombies
        return isClean
    }

    /// Seizes a task; gives what it is, where that cannot be done.
    private mutating func seize(_ tid: Int32, of entry: ProcessTree.Entry) throws(CaptureError) -> TaskCondition {
        do throws(SystemError) {
            try ground.seize(tid)
            return .free
        } catch {
            if error.number == Errno.ESRCH { return .gone }
            // EPERM: already traced (also by us, from birth), not ours, or dead.
            let condition = ground.condition(of: tid, in: entry.pid)
            guard condition == .free else { return condition }
            throw CaptureError(
                cannot: "seize \(tid) \(printable(entry.stat.comm))", error, help: "it belongs to another user: be root, or its owner")
        }
    }

    /// `t` of `/proc/PID/stat`
    private static var stopped: UInt8 { UInt8(ascii: "t") }
}
