internal import Kernel
internal import LinuxABI

/// A tree whose tasks are all ptrace-stopped by this process.
///
/// What is taken is given back when this value ends: every task is detached and goes on, on every path.
/// If this process dies, the kernel does the same.
package struct FrozenTree: ~Copyable {
    /// One stopped task.
    package struct Task: Sendable {
        package var tid: Int32
        package var process: Int32
        /// The signal of a job-control stop that was in force before the freeze, or that came during it.
        package var stopSignal: Int32?
        var isStopped = false
    }

    package let root: Int32
    /// Processes, parents before children.
    package internal(set) var processes: [Int32] = []
    package internal(set) var zombies: [Int32] = []
    package internal(set) var tasks: [Int32: Task] = [:]
    /// Tasks that were found in their vdso to the last, by tid.
    var insideVdso: [Int32: VdsoLook.Place] = [:]
    private let calls: TimedCalls
    private var released = false

    init(root: Int32, calls: TimedCalls) {
        self.root = root
        self.calls = calls
    }

    deinit {
        guard !released else { return }
        calls.shorten(tasks.mapValues(\.process))
        for tid in tasks.keys { try? Trace.detach(tid) }
    }

    /// Lets every task go on (or die, where a kill is pending), each interrupted call with the time it has left.
    package mutating func release() {
        calls.shorten(tasks.mapValues(\.process))
        for tid in tasks.keys { try? Trace.detach(tid) }
        tasks = [:]
        released = true
    }
}

/// Stops every task of a tree, including those born meanwhile.
///
/// Seizes all tasks that can be seen, notes what they wait for, interrupts them, waits until they have stopped, and looks
/// again, until a look is conclusive: it saw no new task, no known task had died, and no process was made on the whole
/// machine meanwhile (`processes` of /proc/stat); where processes outside of the tree keep forking, three such looks in a
/// row count as conclusive.
/// Children of traced tasks are traced from birth, so the tree cannot outrun this.
package struct Freezer {
    private static let options =
        Trace.Option.systemCallStops | Trace.Option.fork | Trace.Option.vfork | Trace.Option.clone
    package var timeout: Int64
    private let walker = ProcessTree()
    /// Told of tasks before they are stopped, and at each stop before they may run on: mends what it disturbs.
    let calls: TimedCalls

    init(timeoutNanoseconds: Int64, calls: TimedCalls) {
        timeout = timeoutNanoseconds
        self.calls = calls
    }

    package func freeze(_ root: Int32) throws(CaptureError) -> FrozenTree {
        SignalMask.blockChildSignals()
        let deadline = SystemClock.monotonic.now() + timeout
        var tree = FrozenTree(root: root, calls: calls)
        calls.begin()
        var cleanLooks = 0
        var leads = 0
        while true {
            let forksBefore = try? forkCount()
            let found = try look(&tree)
            let died = try waitForStops(&tree, until: deadline)
            if found || died {
                cleanLooks = 0
            } else {
                cleanLooks += 1
                let forksAfter = try? forkCount()
                if forksBefore != nil && forksBefore == forksAfter || cleanLooks >= 3 {
                    guard try leadOutOfVdso(&tree, mayRun: leads < 3, until: deadline) else { break }
                    leads += 1
                    cleanLooks = 0
                }
            }
            if SystemClock.monotonic.now() > deadline {
                throw CaptureError(
                    "cannot freeze the tree of \(root) within the time given (--freeze-timeout gives it longer)")
            }
        }
        return tree
    }

    /// One look over /proc. True if there was anything new.
    private func look(_ tree: inout FrozenTree) throws(CaptureError) -> Bool {
        var new = false
        var seized: [Int32] = []
        var processes: [Int32] = []
        var zombies: [Int32] = []
        let entries: [ProcessTree.Entry]
        do throws(SystemError) { entries = try walker.entries(below: tree.root) } catch {
            let hasEnded = (try? ProcessStat(of: tree.root)) == nil && (try? forkCount()) != nil
            throw CaptureError(
                cannot: "look for the processes of \(tree.root)", error, help: hasEnded ? "it ended meanwhile" : "is /proc mounted?")
        }
        for entry in entries {
            let (pid, stat) = (entry.pid, entry.stat)
            if stat.isZombie && stat.threadCount <= 1 {
                zombies.append(pid)
                continue
            }
            processes.append(pid)
            for tid in entry.tasks where tree.tasks[tid] == nil {
                do throws(SystemError) {
                    try Trace.seize(tid, options: Self.options)
                } catch {
                    if error.number == Errno.ESRCH { continue }
                    // EPERM: already traced (also by us, from birth), not ours, or dead.
                    if error.number == Errno.EPERM, adopt(tid, of: pid, in: &tree) {
                        new = true
                        continue
                    }
                    if let now = try? ProcessStat(of: pid, task: tid), now.isZombie {
                        // A first thread that has exited stays, dead, until the last one has; others have died meanwhile.
                        if tid == pid && !stat.isZombie { new = true }
                        continue
                    }
                    if (try? ProcessStat(of: pid, task: tid)) == nil { continue }
                    let tracer = (try? TaskStatus(of: pid, task: tid))?.tracer ?? 0
                    let help =
                        tracer != 0
                        ? "it is traced by \(tracer): end the debugger first"
                        : "it belongs to another user: be root, or its owner"
                    throw CaptureError(cannot: "seize \(tid) \(printable(stat.comm))", error, help: help)
                }
                tree.tasks[tid] = FrozenTree.Task(tid: tid, process: pid)
                seized.append(tid)
                new = true
            }
            if stat.isZombie && !tree.tasks.values.contains(where: { $0.process == pid }) {
                // All its threads are on their way out.
                new = true
                Waiting.pause(atMost: 500_000)
            }
        }
        if !seized.isEmpty { calls.look(at: seized) }
        for tid in seized { try? Trace.interrupt(tid) }
        if zombies != tree.zombies { new = true }
        tree.processes = processes
        tree.zombies = zombies
        return new
    }

    /// A task that was traced from birth by its parent's options and not yet heard of.
    private func adopt(_ tid: Int32, of pid: Int32, in tree: inout FrozenTree) -> Bool {
        guard let status = try? TaskStatus(of: pid, task: tid), status.tracer == Processes.ownPid else { return false }
        tree.tasks[tid] = FrozenTree.Task(tid: tid, process: pid)
        try? Trace.interrupt(tid)
        return true
    }

    /// Takes stops until every known task is in one. True if any died.
    func waitForStops(_ tree: inout FrozenTree, until deadline: Int64) throws(CaptureError) -> Bool {
        let awaited = tree.tasks.values.filter { !$0.isStopped }.map(\.tid)
        var waiting = awaited.count
        var reports = TaskReports(awaited)
        var died = false
        var quiet = 0
        while true {
            // When all have stopped, one look for reports of tasks that are not awaited: stopped ones that were killed.
            guard let found = waiting > 0 ? reports.take() : TaskReports.ofAnybody() else {
                if waiting == 0 { break }
                if SystemClock.monotonic.now() > deadline { throw stuck(tree) }
                quiet += 1
                if quiet == 25 { try refuseFrozen(tree) }
                if quiet % 4 == 0 {
                    for tid in exitedFirstThreads(tree) {
                        tree.tasks[tid] = nil
                        reports.dismiss(tid)
                        waiting -= 1
                        died = true
                    }
                }
                if quiet == 1 || quiet % 4 == 0 { waiting += letVforkChildrenRun(&tree, round: quiet) }
                Waiting.pause(atMost: 2_000_000)
                continue
            }
            quiet = 0
            let tid = found.task
            switch found.status {
            case .exited, .killed:
                reports.dismiss(tid)
                if let task = tree.tasks.removeValue(forKey: tid) {
                    died = true
                    if !task.isStopped { waiting -= 1 }
                }
            case .stopped(let signal, TraceEvent.stop):
                let known = tree.tasks[tid]
                if known == nil { waiting += 1 }
                var task = known ?? FrozenTree.Task(tid: tid, process: processOf(tid))
                if !task.isStopped { waiting -= 1 }
                task.isStopped = true
                task.stopSignal = signal == Signal.SIGTRAP ? nil : signal
                reports.dismiss(tid)
                tree.tasks[tid] = task
                calls.mend(tid)
            case .stopped(_, let event) where event != 0:
                // A fork, vfork or clone: the child is traced and reports itself.
                if let child = try? Trace.eventMessage(tid), tree.tasks[Int32(truncatingIfNeeded: child)] == nil {
                    let born = Int32(truncatingIfNeeded: child)
                    tree.tasks[born] = FrozenTree.Task(tid: born, process: processOf(born))
                    waiting += 1
                    reports.await(born)
                }
                resumeToStop(tid, signal: 0)
            case .stopped(let signal, _):
                // On the way to a signal: it is delivered as if the task were not traced, and the stop comes after.
                calls.mend(tid)
                resumeToStop(tid, signal: signal & 0x7f)
            case .continued: break
            }
        }
        return died
    }

    /// Any trap takes back a stop that was asked for: ask again, then let it run into it.
    private func resumeToStop(_ tid: Int32, signal: Int32) {
        try? Trace.interrupt(tid)
        try? Trace.resume(tid, signal: signal)
    }

    private func processOf(_ tid: Int32) -> Int32 { (try? TaskStatus(of: tid))?.processID ?? tid }

    /// The end of a first thread is not reported while others live.
    private func exitedFirstThreads(_ tree: borrowing FrozenTree) -> [Int32] {
        tree.tasks.values.filter { task in
            !task.isStopped && task.tid == task.process && (try? ProcessStat(of: task.tid, task: task.tid))?.isZombie == true
        }.map(\.tid)
    }

    /// A task that the freezer of a cgroup holds would never stop.
    private func refuseFrozen(_ tree: borrowing FrozenTree) throws(CaptureError) {
        let findings = FrozenTasks.findings(tree.tasks.values.filter { !$0.isStopped })
        if !findings.isEmpty { throw CaptureError(findings: findings) }
    }

    private func stuck(_ tree: borrowing FrozenTree) -> CaptureError {
        guard let task = tree.tasks.values.filter({ !$0.isStopped }).min(by: { $0.tid < $1.tid }) else {
            return CaptureError("cannot freeze the tree of \(tree.root) within the time given")
        }
        let stat = try? ProcessStat(of: task.process, task: task.tid)
        if let child = vforkChildren(in: tree).first(where: { $0.parent == task.process })?.child {
            let name = (try? ProcessStat(of: child)).map { printable($0.comm) } ?? ""
            return CaptureError(
                "cannot stop \(task.tid) \(printable(stat?.comm ?? [])): it waits in vfork for its child \(child) \(name), which has neither called execve nor ended in time (--freeze-timeout gives it longer)")
        }
        let state = stat.map { String(UnicodeScalar($0.state)) } ?? "?"
        return CaptureError(
            "cannot stop \(task.tid) \(printable(stat?.comm ?? [])): it is in state \(state) and did not stop in time (D: it waits in the kernel; --freeze-timeout gives it longer)")
    }
}
