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
        for bundle in bundles { ObjectPlans.make(bundle.files.compactMap(image.openFile), &program, &self) }
    }

    /// Moves every open file to the descriptors that the program had, and closes the high descriptors.
    ///
    /// Objects are connected before that, while the low numbers are free: an epoll, for instance, has to register a file by
    /// its old number. High descriptors stay open if threads with a descriptor table of their own will be created.
    mutating func installDescriptors(_ program: inout Program, _ process: ImageProcess) {
        dropStrayDescriptors(&program)
        make(&program, graph.own[process.pid] ?? [])
        for file in (graph.kept[process.pid] ?? []).compactMap(image.openFile) { ObjectPlans.connect(file, &program, &self) }
        install(&program, image.fileTable(of: process))
        if !threadCreation.hasOwnTables(process.pid) { dropHighDescriptors(&program, process) }
    }

    mutating func dropHighDescriptors(_ program: inout Program, _ process: ImageProcess) {
        program.call(.close_range, [.number(high.firstDropped), .value(0xffff_ffff), 0], "drop what stood high")
        if !keepsLastPid(process) { closeLastPid(&program) }
    }

    /// Copies the open files from their high descriptors to the numbers of a descriptor table.
    mutating func install(_ program: inout Program, _ table: ImageFileTable?) {
        for descriptor in table?.descriptors ?? [] {
            guard let file = image.openFile(descriptor.file) else { continue }
            program.call(
                .dup3,
                [
                    .number(place(of: file, for: descriptor.number)), .number(descriptor.number),
                    descriptor.closeOnExec ? .value(Self.cloexec) : 0,
                ],
                check: .equals(Int64(descriptor.number)), note(file))
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
        }
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

    /// Working directory, root, umask. Paths are as seen from the real root: chroot comes last.
    mutating func placeInFiles(_ program: inout Program, _ process: ImageProcess) {
        guard let directories = image.directories(of: process) else { return }
        let (working, root) = (directories.working.path, directories.root.path)
        program.call(.chdir, [path(working.asBytes)], "working directory \(working.asText)")
        if root.asBytes != [UInt8(ascii: "/")] { program.call(.chroot, [path(root.asBytes)], "root \(root.asText)") }
        program.call(.umask, [.number(directories.umask)], check: .none)
    }
}
