import CheckpointImage
import LinuxABI
import StepProgram

extension PlanBuilder {
    static let cloexec = UInt64(OpenFlag.O_CLOEXEC)
    /// O_NONBLOCK: the flag that objects without a name get at their creation.
    static let nonblock = UInt64(OpenFlag.O_NONBLOCK)

    /// Makes the open files that descendants of this process inherit. Comes before it forks.
    mutating func makeShared(_ program: inout Program, _ pid: UInt32) { make(&program, graph.shared[pid] ?? []) }

    private mutating func make(_ program: inout Program, _ bundles: [ObjectGraph.Bundle]) {
        for bundle in bundles { ObjectPlans.make(bundle.files.compactMap { image.openFile($0) }, &program, &self) }
    }

    /// Makes the open files that no descendant inherits, at their high descriptors. The directories of the process are not
    /// those of the program yet: files are opened by their names as crrestart sees them.
    mutating func makeOwnFiles(_ program: inout Program, _ process: ImageProcess) {
        make(&program, graph.own[process.pid] ?? [])
        makeLateFiles(&program, process.pid)
    }

    /// Moves every open file to the descriptors that the program had, and closes the high descriptors.
    ///
    /// Comes when no process with this table opens anything for a moment any more: the kernel would open it at a low number.
    /// Objects are connected before that, while the low numbers are free: an epoll, for instance, has to register a file by
    /// its old number. High descriptors stay open if threads with a descriptor table of their own will be created.
    mutating func installDescriptors(_ program: inout Program, _ process: ImageProcess) {
        dropStrayDescriptors(&program)
        for file in (graph.kept[process.pid] ?? []).compactMap({ image.openFile($0) }) { ObjectPlans.connect(file, &program, &self) }
        takeLocks(&program, process.pid)
        install(&program, image.fileTable(of: process))
        if process.pid == image.header.root { handOver(&program) }
        awaitFetchers(&program, process.pid)
        if !threadCreation.hasOwnTables(process.pid) { dropHighDescriptors(&program, process) }
    }

    mutating func dropHighDescriptors(_ program: inout Program, _ process: ImageProcess) {
        close(&program, high.dropped, "drop what stood high")
        if !keepsLastPid(process) { closeLastPid(&program) }
    }

    /// Copies the open files from their high descriptors to the numbers of a descriptor table.
    mutating func install(_ program: inout Program, _ table: ImageFileTable?) {
        for descriptor in table?.descriptors ?? [] {
            guard let file = image.openFile(descriptor.file), file.saved?.isMadeLast != true else { continue }
            program.call(
                .dup3,
                [
                    .number(place(of: file, for: descriptor.number)), .number(descriptor.number),
                    descriptor.closeOnExec ? .value(Self.cloexec) : 0,
                ],
                check: .equals(Int64(descriptor.number)), note(file))
        }
    }

    /// Gives the root the descriptors of crrestart that it is to inherit.
    private func handOver(_ program: inout Program) {
        for (index, number) in valid.options.handed.enumerated() {
            program.call(
                .dup3, [.number(high.handed(index)), .number(number), 0], check: .equals(Int64(number)),
                "descriptor \(number) of crrestart (--fd)")
        }
    }

    /// Closes descriptors that may be open or not.
    func close(_ program: inout Program, _ ranges: [ClosedRange<UInt32>], _ note: String) {
        for range in ranges {
            program.call(.close_range, [.number(range.lowerBound), .number(range.upperBound), 0], note)
        }
    }

    /// The descriptor of an open file while the tree is built.
    func place(of file: ImageOpenFile, for number: UInt32) -> UInt32 {
        ObjectPlans.standIn(file, for: number, facts).map(high.standard) ?? graph.number[file.id] ?? 0
    }

    func note(_ file: ImageOpenFile) -> String { file.summary(in: image) }

    /// Does `go` (see `ObjectPlan`) for the open files that a process keeps and that this table has a descriptor of.
    ///
    /// - Parameter besides: a table for whose files it has been done already.
    mutating func setGoing(_ program: inout Program, _ pid: UInt32, by table: ImageFileTable?, besides: ImageFileTable? = nil) {
        let done = Set(besides?.descriptors.map(\.file) ?? [])
        let numbers = Dictionary((table?.descriptors ?? []).map { ($0.file, $0.number) }) { first, _ in first }
        for id in graph.kept[pid] ?? [] where !done.contains(id) {
            guard let number = numbers[id], let file = image.openFile(id) else { continue }
            ObjectPlans.go(file, at: number, &program, &self)
            setOwner(&program, of: file, at: number, by: pid)
            takeLeases(&program, of: file, at: number)
        }
        // A thread exists for certain only now and in its own process.
        let kept = Set(graph.kept[pid] ?? [])
        for descriptor in table?.descriptors ?? [] where !done.contains(descriptor.file) && !kept.contains(descriptor.file) {
            guard numbers[descriptor.file] == descriptor.number, let file = image.openFile(descriptor.file), ownerThread(of: file)?.process == pid
            else { continue }
            setOwner(&program, of: file, at: descriptor.number, by: pid)
        }
        QueueMaker.notify(&program, pid, numbers.filter { !done.contains($0.key) }, &self)
    }

    /// Moves the descriptor that an earlier step made to its high number.
    func settle(_ program: inout Program, _ made: Int, as number: UInt32) {
        program.call(.dup3, [.result(of: made), .number(number), .value(Self.cloexec)], check: .equals(Int64(number)))
        program.call(.close, [.result(of: made)])
    }

    /// Sets the out-of-memory score adjustment. Must come while the low descriptors are free.
    mutating func memoryKillAdjustment(_ program: inout Program, _ process: ImageProcess) {
        guard process.oomScoreAdjustment != facts.ownOomScoreAdjustment else { return }
        open(&program, Array("/proc/self/oom_score_adj".utf8), flags: 1, as: scratchDescriptor)
        let text = Array(String(process.oomScoreAdjustment).utf8)
        program.call(.write, [.number(scratchDescriptor), data(text), .number(text.count)], "oom_score_adj")
        program.call(.close, [.number(scratchDescriptor)])
    }

    /// Working directory, root, umask. Paths are as seen from the real root, so both directories are opened before chroot.
    mutating func placeInFiles(_ program: inout Program, _ process: ImageProcess) {
        guard let directories = image.directories(of: process) else { return }
        let working = enter(&program, directories.working, of: directories, "working directory")
        if directories.root.path.asBytes != [UInt8(ascii: "/")] {
            let root = enter(&program, directories.root, of: directories, "root")
            program.call(.chroot, [path(Array(".".utf8))], "root \(directories.root.path.asText)")
            program.call(.close, [.result(of: root)])
            program.call(.fchdir, [.result(of: working)], "working directory again")
        }
        program.call(.close, [.result(of: working)])
        program.call(.umask, [.number(directories.umask)], check: .none)
    }

    /// Goes into a directory, with the rights of the task that has it.
    ///
    /// - Parameter seen: its path as seen from the root directory that the task has already; nil: that of the image.
    /// - Returns: the step whose result is a descriptor of the directory.
    mutating func enter(
        _ program: inout Program, _ directory: ImageFileIdentity, of directories: ImageDirectories, seen: [UInt8]? = nil, _ note: String
    ) -> Int {
        let request = holders.request(directory, of: directories)
        let flags = UInt64(OpenFlag.O_PATH | OpenFlag.O_DIRECTORY)
        if directory.removed { return openRemoved(&program, directory, request.rights, flags: flags, enters: true) }
        let opened = open(&program, request, seen: seen, flags: flags)
        // Searching it takes a right that opening it does not.
        let rights = facts.door(request) == .asHolder ? request.rights : FileRights(facts.ownCredentials)
        takeRights(&program, rights)
        program.call(.fchdir, [.result(of: opened)], "\(note) \(directory.path.asText)")
        giveBackRights(&program, rights)
        return opened
    }
}
