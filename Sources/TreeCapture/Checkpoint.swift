internal import ArchState
internal import CheckpointImage
internal import Kernel

/// A checkpoint: freeze, collect, write, commit, release.
///
/// The original tree is never at risk: whatever fails, and if this process dies at any instant, it goes on.
package struct Checkpoint {
    package enum Afterwards: Sendable { case goOn, kill, stop }

    package struct Options: Sendable {
        package var root: Int32
        /// Path of the image; nil: standard output.
        package var output: String?
        package var afterwards = Afterwards.goOn
        package var force = false
        package var freezeTimeout: Int64 = 10_000_000_000

        package init(root: Int32, output: String?) {
            self.root = root
            self.output = output
        }
    }

    package struct Result: Sendable {
        package var tasks = 0
        package var processes = 0
        package var bytes: UInt64 = 0
        package var stoppedNanoseconds: Int64 = 0
        package var totalNanoseconds: Int64 = 0
        package var notices: [String] = []
    }

    /// What is going on, for progress: the stage, bytes done and to do (0: unknown).
    package struct Progress: Sendable {
        package var stage: String
        package var done: UInt64
        package var total: UInt64
    }

    private let options: Options
    private let log: (String) -> Void
    private let progress: (Progress) -> Void

    package init(
        _ options: Options, log: @escaping (String) -> Void, progress: @escaping (Progress) -> Void = { _ in }
    ) {
        self.options = options
        self.log = log
        self.progress = progress
    }

    /// Takes the checkpoint.
    package func run() throws(CaptureError) -> Result {
        let begin = SystemClock.monotonic.now()
        try checkRoot()
        let output = try openOutput()
        var result = Result()

        report("freeze")
        var header = ImageHeader()
        fill(&header)
        var looked: Collector?
        let calls = TimedCalls(log: log)
        // From here on more and more of it stands still.
        let stoppedAt = SystemClock.monotonic.now()
        var tree = try freezeAndLook(&looked, calls)
        guard let collector = looked else { throw CaptureError("cannot collect: nothing was looked at") }
        collector.begin(header)

        report("collect")
        try collector.collectFromInside()
        collector.collectSemaphoreSets()
        try collector.collectPages()
        if !collector.findings.isEmpty { throw CaptureError(findings: collector.findings) }
        calls.report()

        let image = ImageOutput(collector, to: output)
        do {
            try image.write { done, total in progress(Progress(stage: "write", done: done, total: total)) }
        } catch {
            image.fail(error.sentence)
            throw error
        }
        result.tasks = collector.imageThreads.count
        result.processes = collector.imageProcesses.count
        result.notices = collector.notices

        // Everything is read: a tree that goes on need not wait for the disk.
        if options.afterwards == .goOn {
            tree.release()
            result.stoppedNanoseconds = SystemClock.monotonic.now() - stoppedAt
        }
        report("commit")
        result.bytes = image.bytes
        do throws(SystemError) { try output.commit() } catch {
            throw CaptureError(cannot: "write image \(output.name)", error, help: error.call)
        }
        report("release")
        switch options.afterwards {
        case .goOn: break
        case .stop:
            for pid in tree.processes { try? Processes.kill(pid, 19) }
            tree.release()
        case .kill:
            TreeKiller.kill(tree.processes)
            tree.release()
            TreeKiller.awaitEnd(of: tree.processes, except: options.root)
        }
        let end = SystemClock.monotonic.now()
        if options.afterwards != .goOn { result.stoppedNanoseconds = end - stoppedAt }
        result.totalNanoseconds = end - begin
        return result
    }

    /// Looks for what cannot be saved, without stopping anything.
    package func dryRun() throws(CaptureError) -> (findings: [Finding], notices: [String], result: Result) {
        try checkRoot()
        let entries: [ProcessTree.Entry]
        do throws(SystemError) { entries = try ProcessTree().entries(below: options.root) } catch {
            throw CaptureError(cannot: "look for the processes of \(options.root)", error, help: "")
        }
        var live: [Int32] = []
        var zombies: [Int32] = []
        var threads: [Int32: [FrozenTree.Task]] = [:]
        for entry in entries {
            let (pid, stat) = (entry.pid, entry.stat)
            if stat.isZombie && stat.threadCount <= 1 { zombies.append(pid) } else {
                live.append(pid)
                let living = entry.tasks.filter { !(stat.isZombie && $0 == pid) }
                threads[pid] = living.map { FrozenTree.Task(tid: $0, process: pid) }
            }
        }
        let collector = try Collector(root: options.root, processes: live, zombies: zombies, threads: threads, log: log)
        try collector.collectFromOutside()
        collector.collectSemaphoreSets()
        try collector.collectPages()
        var result = Result()
        result.processes = entries.count
        result.tasks = threads.values.reduce(0) { $0 + $1.count }
        result.bytes = collector.pageCount * pageSize
        return (collector.findings, collector.notices, result)
    }

    private func report(_ stage: String) { progress(Progress(stage: stage, done: 0, total: 0)) }

    /// Stops the tree and collects what can be seen from outside. A task that an earlier checkpoint's stub
    /// has not left yet is given the time to get home.
    private func freezeAndLook(_ looked: inout Collector?, _ calls: TimedCalls) throws(CaptureError) -> FrozenTree {
        let deadline = SystemClock.monotonic.now() + options.freezeTimeout
        while true {
            let freezer = Freezer(timeoutNanoseconds: options.freezeTimeout, calls: calls)
            var tree = try freezer.freeze(options.root)
            if SystemClock.monotonic.now() < deadline && holdsStub(tree) {
                tree.release()
                Waiting.pause(atMost: 20_000_000)
                continue
            }
            var threads: [Int32: [FrozenTree.Task]] = [:]
            for task in tree.tasks.values { threads[task.process, default: []].append(task) }
            for (pid, list) in threads {
                threads[pid] = list.sorted { first, second in
                    if first.tid == pid || second.tid == pid { return first.tid == pid }
                    return first.tid < second.tid
                }
            }
            let collector = try Collector(
                root: options.root, processes: tree.processes, zombies: tree.zombies, threads: threads, log: log)
            collector.calls = calls
            collector.insideVdso = Set(tree.insideVdso.keys)
            try collector.collectFromOutside()
            if !collector.findings.isEmpty { throw CaptureError(findings: collector.findings) }
            for tid in tree.insideVdso.keys.sorted() {
                let isInCode = if case .code? = tree.insideVdso[tid] { true } else { false }
                log(
                    "thread \(tid) was stopped \(isInCode ? "inside" : "in a signal handler that had interrupted") the vdso: this image can be restarted on kernels that map the same one")
            }
            looked = collector
            return tree
        }
    }

    /// Is any task inside the slack of its vdso? Then a stub is on its way home there.
    private func holdsStub(_ tree: borrowing FrozenTree) -> Bool {
        tree.insideVdso.values.contains(where: \.isStub)
    }

    /// Refuses a root that cannot be checkpointed, each for its own reason.
    private func checkRoot() throws(CaptureError) {
        let root = options.root
        func refuse(_ reason: String) -> CaptureError { CaptureError("cannot checkpoint \(root): \(reason)") }
        guard root > 0 else { throw refuse("ESRCH (a pid is a positive number)") }
        let stat: ProcessStat
        do throws(SystemError) { stat = try ProcessStat(of: root) } catch {
            throw refuse("ESRCH (there is no such process; ps lists those that are)")
        }
        let named = "\(root) \(text(stat.comm))"
        if stat.isKernelThread { throw CaptureError("cannot checkpoint \(named): EINVAL (it is a kernel thread)") }
        if let status = try? TaskStatus(of: root), status.processID != root {
            throw CaptureError("cannot checkpoint \(named): EINVAL (it is a thread of \(status.processID): name that)")
        }
        if stat.isZombie && stat.threadCount <= 1 { throw CaptureError("cannot checkpoint \(named): ESRCH (it has ended and waits for its parent)") }
        if options.afterwards != .goOn, let status = try? TaskStatus(of: root), let own = try? TaskStatus(of: Processes.ownPid),
            status.namespaceProcessIDs.last == 1, status.namespaceProcessIDs.count == own.namespaceProcessIDs.count
        {
            throw CaptureError(
                "cannot end or stop \(named): EPERM (it is the init of the pid namespace that crcheckpoint runs in: start crcheckpoint outside)")
        }
        var ancestor = Processes.ownPid
        while ancestor > 0 {
            if ancestor == root {
                throw CaptureError(
                    "cannot checkpoint \(named): EINVAL (it is \(ancestor == Processes.ownPid ? "crcheckpoint itself" : "an ancestor of crcheckpoint"); start crcheckpoint from outside of the tree, e.g. with setsid from another terminal)")
            }
            ancestor = (try? ProcessStat(of: ancestor))?.parent ?? 0
        }
        if Capabilities.currentEffective & 1 << 19 == 0, let status = try? TaskStatus(of: root),
            let own = try? TaskStatus(of: Processes.ownPid), status.users.first != own.users.first
        {
            throw CaptureError("cannot checkpoint \(named): EPERM (it belongs to uid \(status.users.first ?? 0); be that user, or have CAP_SYS_PTRACE)")
        }
    }

    private func openOutput() throws(CaptureError) -> OutputFile {
        guard let path = options.output else { return OutputFile(standardOutput: ()) }
        do throws(SystemError) { return try OutputFile(path: path, force: options.force) } catch {
            let help =
                error.name == "EEXIST"
                ? "the file is there already; --force replaces it"
                : error.name == "ENOENT" ? "the directory does not exist" : error.call
            throw CaptureError(cannot: "write image \(path)", error, help: help)
        }
    }

    private func fill(_ header: inout ImageHeader) {
        let kernel = KernelIdentity.current()
        header.kernelRelease = kernel.release
        header.kernelVersion = kernel.version
        header.hostName = kernel.node
        header.architecture = kernel.machine
        header.bootID = (try? bootID()) ?? ""
        header.pageSize = UInt32(pageSize)
    }
}
