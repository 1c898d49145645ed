internal import ArchState
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// From the last byte of the image to the moment from which its tree may be ended.
extension Checkpoint {
    /// Nanoseconds that the reader of a stream has for its acknowledgement after the last byte.
    private static let longestAcknowledgement: Int64 = 60_000_000_000

    /// Refuses to end a tree for an image that may not be kept. Called before anything is stopped.
    func requireKeeper(of output: OutputFile) throws(CaptureError) {
        guard options.afterwards == .kill, !output.isRegularFile, options.acknowledgement == nil, options.hold == nil else { return }
        throw CaptureError(
            "cannot end the tree of \(options.root) after writing its image to standard output: EINVAL (it is no file, and no process says whether the image arrived: --ack FD names a descriptor by which crrestart --ack says so; -o IMG writes a file)")
    }

    /// Makes the image durable, finds out whether it could be restarted, and gives it its name.
    ///
    /// - Parameter asked: of ``askOfFile(_:_:_:_:)``.
    /// - Throws: where the tree has to go on. An image that is complete is kept even then.
    func commit(
        _ output: OutputFile, _ records: ImageRecords, _ tree: LivingTree, asked: [RestartCheck.Asked]
    ) throws(CaptureError) {
        let asked = asked + askOfStream(output, records, tree)
        for one in asked { one.goOn() }
        try writing(output) { () throws(SystemError) in try output.sync() }
        let deadline = SystemClock.monotonic.now() + max(options.freezeTimeout, 10_000_000_000)
        for one in asked { if let error = refusal(one.verdict(until: deadline), output) { throw error } }
        try writing(output) { () throws(SystemError) in try output.commit() }
        if options.afterwards == .kill { try awaitAcknowledgement(output) }
    }

    /// Begins the check of an image whose pages are about to be written: whether it can be read, and whether it can be planned, side by
    /// side. None: that is not wanted, or it is not a file.
    func askOfFile(_ output: OutputFile, _ metadata: [UInt8], _ records: ImageRecords, _ tree: LivingTree) -> [RestartCheck.Asked] {
        guard checksFile(output), let check = check(tree) else { return [] }
        let plan = RestartCheck.Asked { check.plan(records) }
        let reading = RestartCheck.Asked(inTwoParts: { isWritten in
            check.verdict(of: metadata, madeOf: records, in: output.ownPath, name: output.name, isWritten: isWritten)
        })
        return [reading, plan]
    }

    /// Whether the image is planned while it is written, and read back.
    func checksFile(_ output: OutputFile) -> Bool { options.afterwards != .goOn && !options.isUnchecked && !output.isStream }

    private func check(_ tree: LivingTree) -> RestartCheck? {
        if options.afterwards == .goOn || options.isUnchecked { return nil }
        return RestartCheck(
            tree: tree, ignoresCgroups: options.ignoresCgroups, keys: options.seal?.keys ?? .none,
            parentDirectory: options.parent?.record.directory.asBytes)
    }

    /// Of an image that went into a stream. It goes elsewhere, as a rule: there it only has to be one that our reader understands.
    private func askOfStream(_ output: OutputFile, _ records: ImageRecords, _ tree: LivingTree) -> [RestartCheck.Asked] {
        guard output.isStream, let check = check(tree) else { return [] }
        let isFile = output.isRegularFile
        let asked = RestartCheck.Asked {
            let verdict = check.verdict(of: records)
            if case .refused = verdict, !isFile { return .restartable }
            return verdict
        }
        return [asked]
    }

    private func refusal(_ verdict: RestartCheck.Verdict, _ output: OutputFile) -> CaptureError? {
        if verdict == .restartable { return nil }
        let kept: String
        do throws(SystemError) { kept = "the image is \(try output.commitBeside())" } catch { kept = "the image is lost: \(error)" }
        let goesOn = "the tree goes on; \(kept)"
        let verb = options.afterwards == .kill ? "end" : "stop"
        var error: CaptureError
        switch verdict {
        case .restartable: return nil
        case .refused(let findings):
            let count = findings.count
            error = CaptureError(
                "cannot \(verb) the tree of \(options.root), because its image could not be restarted here: \(count) reason\(count == 1 ? "" : "s") (\(goesOn); --unchecked is for images that go elsewhere)")
            error.fault = .host
            error.hostFindings = findings
        case .defect(let reason):
            error = CaptureError(
                "cannot \(verb) the tree of \(options.root), because crcheckpoint does not understand its own image: \(reason) (a defect: please report it; \(goesOn))")
            error.fault = .defect
        case .unreadable(let sentence): error = CaptureError("\(sentence) (\(goesOn))")
        }
        return error
    }

    /// Waits until the reader of a stream says that the tree runs there.
    private func awaitAcknowledgement(_ output: OutputFile) throws(CaptureError) {
        guard let number = options.acknowledgement, !output.isRegularFile else { return }
        // Filters in between (compression, ssh) may wait for the end before they hand over the last bytes.
        Channel.endOutput(output.descriptorNumber)
        let deadline = SystemClock.monotonic.now() + Self.longestAcknowledgement
        let said: String
        switch Channel.line(number, until: deadline) {
        case .text(let line) where line.elementsEqual(Acknowledgement.line.utf8): return
        case .text(let line): said = "said \"\(printable(line))\" instead of \"\(Acknowledgement.line)\""
        case .closed: said = "did not acknowledge it, and is gone"
        case .late: said = "did not acknowledge it within \(Self.longestAcknowledgement / 1_000_000_000) s: it may run there, too"
        }
        throw CaptureError("cannot end the tree of \(options.root): the reader of the image \(said) (the tree goes on here)")
    }

    private func writing(_ output: OutputFile, _ body: () throws(SystemError) -> Void) throws(CaptureError) {
        do throws(SystemError) { try body() } catch {
            throw CaptureError(cannot: "write image \(output.name)", error, help: error.call)
        }
    }
}

extension LivingTree {
    init(_ tree: borrowing FrozenTree) {
        self.init(tasks: Set(tree.processes + tree.zombies).union(tree.tasks.keys))
    }
}

// MARK: - Without an image

extension Checkpoint {
    /// Why a tree could not be restarted here, as far as that can be told without asking its tasks: their registers, signal
    /// actions and so on stand in as they are in a new program.
    func obstacles(to sight: TreeSight, _ memory: MemorySight) -> [HostFinding] {
        if options.isUnchecked { return [] }
        let records = Recorder.records(sight, Answers(plainFor: sight), memory).records
        let tasks = sight.processes.flatMap { [$0.pid.rawValue] + $0.threads.map(\.tid.rawValue) } + sight.zombies.map(\.pid.rawValue)
        let check = RestartCheck(tree: LivingTree(tasks: Set(tasks)), ignoresCgroups: options.ignoresCgroups)
        let asked = RestartCheck.Asked { check.verdict(of: records) }
        guard case .refused(let findings) = asked.verdict(until: SystemClock.monotonic.now() + 10_000_000_000) else { return [] }
        return findings
    }
}

extension Answers {
    /// What the tasks of a new program would answer.
    init(plainFor sight: TreeSight) {
        var area = [UInt8](repeating: 0, count: 576)
        // MXCSR: all exceptions are masked.
        (area[24], area[25]) = (0x80, 0x1f)
        for process in sight.processes {
            processes.append(ProcessAnswers(pid: process.pid, currentBreak: process.stat.value.breakStart))
            for thread in process.threads {
                var answer = ThreadAnswers(tid: thread.tid)
                answer.registers = RawText(X86GeneralRegisters().registerSet)
                answer.extendedState = RawText(area)
                threads.append(answer)
            }
        }
    }
}
