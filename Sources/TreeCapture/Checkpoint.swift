package import CheckpointImage
internal import HostProbe
package import Kernel
internal import LinuxABI
package import RestorePlan

/// A checkpoint: freeze, collect, write, commit, release.
///
/// Collect makes values, one after the other: what was seen of the tree from outside (``TreeSight``), what its tasks
/// answered (``Answers``), which pages hold contents (``MemorySight``); ``Recorder`` makes the records of them, and
/// ``ImageOutput`` writes these and the pages.
///
/// The original tree is never at risk: whatever fails, and if this process dies at any instant, it goes on.
package struct Checkpoint {
    let options: Options
    let log: (String) -> Void
    let watch: StopWatch
    /// This process, if it belongs to the tree.
    let checkpointer: Int32?
    private let progress: (Progress) -> Void

    package init(
        _ options: Options, log: @escaping (String) -> Void, progress: @escaping (Progress) -> Void = { _ in }
    ) {
        self.options = options
        self.log = log
        self.progress = progress
        checkpointer = Checkpointer.find(below: options.root)
        watch = StopWatch(root: options.root, timeout: options.freezeTimeout, words: options.lastWords)
    }

    /// Takes the checkpoint.
    package func run() throws(CaptureError) -> Result {
        let begin = SystemClock.monotonic.now()
        Processes.letWritesFail()
        try checkRoot()
        try checkReader()
        let output = try openOutput()
        let seal = try makeSeal(output)
        try requireOther(output)
        try requireKeeper(of: output)
        try watch.begin()

        report("freeze")
        let host = HostSight.look()
        let relatives = Relatives(of: HostPid(options.root))
        let calls = TimedCalls(log: log)
        // From here on more and more of the tree stands still.
        let stoppedAt = SystemClock.monotonic.now()
        watch.treeStops()
        var tree = try freeze(calls)
        let stamp = TimeStamp()
        try requireRoot(tree)
        let ender = try options.afterwards == .goOn ? nil : TreeEnder(tree)

        report("collect")
        let fence = try makeFence()
        // Removes the lock unless the tree has been ended.
        defer { fence?.open() }
        var sight = try TreeSight.look(
            at: TreeMembers(tree), on: host, at: stamp, relatives: relatives, connections: options.connections, fence: fence,
            refusesServers: !options.external.contains("/dev/fuse"), cameForward: watch.progressed)
        if let fence, fence.isInForce { sight.lock = LockSight(id: fence.lock.id, connections: fence.lock.connections) }
        sight.carry(options.carried)
        if !options.external.isEmpty { sight.external = options.external }
        sight.noteDomains(calls.confined(among: sight.threads.map(\.thread.tid.rawValue)))
        calls.memoryOwners = sight.memoryOwners
        try watch.check()
        // What makes the checkpoint impossible is found before any task is touched.
        var recorder = Recorder(sight)
        let permits = recorder.findings.isEmpty ? try CallConfinement(of: sight) : CallConfinement()
        recorder.check(permits)
        if !recorder.findings.isEmpty {
            try record(Recording(sight: sight))
            throw CaptureError(findings: recorder.findings)
        }
        var liveNotices: [String] = []
        let copies = makeCopies(for: sight, &liveNotices)
        let tracking = options.tracks ? Tracking() : nil
        let answers = try Questioner.answers(of: sight, calls, permits, copies: copies, tracking: tracking)
        try watch.check()
        let memory = try MemorySight.look(at: sight, recorder.tables, disturbed: Set(answers.disturbed))
        var recorded = recorder.records(answers, memory)
        recorded.records.header.identity = ImageIdentity.random().asData
        if let parent = options.parent { recorded.records.header.parent = parent.record }
        try record(Recording(sight: sight, answers: answers, memory: memory))
        if !recorded.findings.isEmpty { throw CaptureError(findings: recorded.findings) }
        if !checksFile(output) { try recorded.requireReadable(sight.root, recorder.command(of: sight.root)) }
        calls.report()

        var result = Result()
        let unchanged = track(sight, memory, tracking)
        var image = ImageOutput(
            recorded.records, pages: recorded.pages,
            as: PageForm(options.compression, options.parent, recorded.records, unchanged: unchanged), to: output, seal)
        // Holds what was set aside until it is written.
        let live = try copies.flatMap { copies throws(CaptureError) in
            try livePages(of: recorded, sight, copies, runs: image.runs, &liveNotices)
        }
        if let live, let copies {
            image.pages = live.pages
            watch.withoutLimit()
            tree.release()
            result.stoppedNanoseconds = SystemClock.monotonic.now() - stoppedAt
            result.copies = copies.count
            result.bytesSetAside = live.bytesAtOnce
        } else {
            copies?.end()
        }
        var asked: [RestartCheck.Asked] = []
        do {
            report("write")
            try image.encode()
            asked = askOfFile(output, image.metadata, recorded.records, LivingTree(tree))
            try image.write { done, total throws(CaptureError) in
                try watch.check()
                if live == nil { watch.progressed() }
                progress(Progress(stage: "write", done: done, total: total))
            }
        } catch {
            let error = explained(error, copies, sight, image: output.name)
            image.fail(error.sentence)
            throw error
        }
        withExtendedLifetime(live) {}
        copies?.end()
        result.tasks = recorded.records.threads.count
        result.processes = recorded.records.processes.count
        result.notices = leaverNotices(tree) + (options.live == nil ? [] : liveNotices) + recorded.notices

        watch.withoutLimit()
        // Everything is read: a tree that goes on need not wait for the disk.
        if options.afterwards == .goOn && live == nil {
            tree.release()
            result.stoppedNanoseconds = SystemClock.monotonic.now() - stoppedAt
        }
        report("commit")
        result.bytes = image.bytes
        result.bytesKnown = image.knownBytes
        try commit(output, recorded.records, LivingTree(tree), asked: asked)
        if let tracking {
            let refusal = tracking.keep(identity: recorded.records.header.identity.asBytes)
            result.bytesTracked = tracking.bytes
            result.notices += tracking.notices(sight) + (refusal.map { ["nothing is tracked: it \($0.reason)"] } ?? [])
        }
        result.afterwards = options.afterwards
        var staysLocked = true
        if let hold = options.hold {
            report("hold")
            (result.afterwards, staysLocked) = try decide(hold, result)
        }
        if result.afterwards != .goOn && staysLocked { result.notices += notice(of: fence, result.afterwards) }
        watch.end()
        report("release")
        if let ender {
            switch result.afterwards {
            case .kill: ender.kill(tree, silencing: options.connections == .keep ? TCPSocket.connections(in: sight) : [], keeping: staysLocked ? fence : nil)
            case .stop:
                try ender.stop()
                fence?.keep()
            case .goOn: break
            }
            tree.release()
            if result.afterwards == .kill { try ender.awaitEnd(image: output.name) }
        }
        tell(options.hold, result.afterwards)
        output.removeLeftovers()
        let end = SystemClock.monotonic.now()
        if options.afterwards != .goOn { result.stoppedNanoseconds = end - stoppedAt }
        result.totalNanoseconds = end - begin
        return result
    }

    private func report(_ stage: String) {
        watch.tell(stage)
        progress(Progress(stage: stage, done: 0, total: 0))
    }

    private func leaverNotices(_ tree: borrowing FrozenTree) -> [String] {
        tree.book.leavers.map { leaver in
            "\(leaver.pid) \(printable(leaver.command)) left the tree while that was being stopped, because its parent ended: it goes on and is not in the image"
        }
    }

    /// Stops the tree. A task that an earlier checkpoint's stub has not left yet is given the time to get home.
    private func freeze(_ calls: TimedCalls) throws(CaptureError) -> FrozenTree {
        let deadline = SystemClock.monotonic.now() &+ options.freezeTimeout
        // What the last look found. It cannot go on from there without the stub, which a restarted task does not have, nor be asked by
        // another one.
        var underWay: CaptureError?
        while true {
            let left = max(0, deadline - SystemClock.monotonic.now())
            let freezer = Freezer(timeoutNanoseconds: left, calls: calls, watch: watch)
            var tree: FrozenTree
            do throws(CaptureError) { tree = try freezer.freeze(options.root, besides: checkpointer) } catch {
                if let underWay, SystemClock.monotonic.now() >= deadline { throw underWay }
                throw error
            }
            if let tid = tree.insideVdso.filter({ $0.value.isStub }).keys.min() {
                let command = (try? ProcessStat(of: tid)).map { printable($0.comm) } ?? ""
                let error = CaptureError(
                    "cannot checkpoint thread \(tid) \(command): EBUSY (it answers a checkpoint that was killed, and a signal handler has interrupted that; try again when the handler has returned)")
                if SystemClock.monotonic.now() >= deadline { throw error }
                underWay = error
                tree.release()
                Waiting.pause(atMost: 20_000_000)
                continue
            }
            for tid in tree.insideVdso.keys.sorted() {
                let isInCode = if case .code? = tree.insideVdso[tid] { true } else { false }
                log(
                    "thread \(tid) was stopped \(isInCode ? "inside" : "in a signal handler that had interrupted") the vdso: this image can be restarted on kernels that map the same one")
            }
            return tree
        }
    }

    func record(_ recording: Recording) throws(CaptureError) {
        guard let path = options.recording else { return }
        try recording.write(to: path)
    }

    private func makeSeal(_ output: OutputFile) throws(CaptureError) -> OutputSeal? {
        guard let choice = options.seal else { return nil }
        do throws(SystemError) { return try OutputSeal(choice, on: output) } catch {
            throw CaptureError(cannot: "write image \(output.name)", error, help: error.call)
        }
    }

    private func openOutput() throws(CaptureError) -> OutputFile {
        do throws(SystemError) {
            guard let path = options.output else { return try OutputFile(standardOutput: ()) }
            return try OutputFile(path: path, force: options.force)
        } catch { throw CaptureError(cannot: "write image \(options.output ?? "-")", error, help: error.call) }
    }
}
