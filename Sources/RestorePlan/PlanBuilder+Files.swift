import CheckpointImage
import StepProgram

extension PlanBuilder {
    static let cloexec: UInt64 = 0o2000000
    /// O_NONBLOCK: what objects without a name take when they are made.
    static let nonblock: UInt64 = 0o4000

    /// Makes what this process's descendants share, before it forks.
    mutating func makeShared(_ program: inout Program, _ pid: UInt32) {
        for pipe in files.sharedPipes[pid] ?? [] { makePipe(&program, pipe) }
        for file in files.shared[pid] ?? [] { makeFile(&program, file) }
    }

    /// Puts every descriptor where the program had it and drops those that stood high.
    ///
    /// Epolls take their registrations before that, while the low numbers are free: each registration wants
    /// its file at the number it had.
    mutating func installDescriptors(_ program: inout Program, _ process: ImageProcess) {
        dropStrayDescriptors(&program)
        for pipe in files.ownPipes[process.pid] ?? [] { makePipe(&program, pipe) }
        for file in files.own[process.pid] ?? [] { makeFile(&program, file) }
        for file in files.kept[process.pid] ?? [] where file.kind == .epoll { watch(&program, file) }
        for descriptor in image.fileTable(process.fileTable)?.descriptors ?? [] {
            guard let file = image.openFile(descriptor.file) else { continue }
            program.call(
                .dup3,
                [
                    .number(place(of: file, for: descriptor.number)), .number(descriptor.number),
                    descriptor.closeOnExec ? .value(Self.cloexec) : 0,
                ],
                check: .equals(Int64(descriptor.number)), note(file))
        }
        program.call(.close_range, [.number(high.firstDropped), .value(0xffff_ffff), 0], "drop what stood high")
        if !keepsLastPid(process) { closeLastPid(&program) }
    }

    /// Where an open file stands while the tree is built.
    func place(of file: ImageOpenFile, for number: UInt32) -> UInt32 {
        file.kind == .outside ? high.standard(file.standIn(for: number, facts)) : files.number[file.id] ?? 0
    }

    func note(_ file: ImageOpenFile) -> String {
        switch file.kind {
        case .path: file.identity.path.asText
        case .pipeEnd: "\(file.writeEnd ? "write" : "read") end of pipe \(file.pipe)"
        case .object: "memory object \(file.object)"
        case .outside: "instead of \(file.description_p.asText)"
        case .event: "eventfd \(file.id)"
        case .signal: "signalfd \(file.id)"
        case .timer: "timerfd \(file.id)"
        case .epoll: "epoll \(file.id)"
        case .UNRECOGNIZED: ""
        }
    }

    /// Makes an open file at its high number: each kind has a file in `Objects`.
    private mutating func makeFile(_ program: inout Program, _ id: UInt32) {
        guard let file = image.openFile(id), let number = files.number[id] else { return }
        switch file.kind {
        case .path, .object: openNamedFile(&program, file, as: number)
        case .event: makeEventFile(&program, file, as: number)
        case .signal: makeSignalFile(&program, file, as: number)
        case .timer: makeTimerFile(&program, file, as: number)
        case .epoll: makeEpoll(&program, file, as: number)
        case .pipeEnd, .outside, .UNRECOGNIZED: break
        }
    }

    /// Moves what an earlier step made to its high number.
    func settle(_ program: inout Program, _ made: Int, as number: UInt32) {
        program.call(.dup3, [.result(of: made), .number(number), .value(Self.cloexec)], check: .equals(Int64(number)))
        program.call(.close, [.result(of: made)])
    }

    /// How readily the kernel kills it when memory runs out. While the low numbers are free.
    mutating func memoryKillAdjustment(_ program: inout Program, _ process: ImageProcess) {
        guard process.oomScoreAdjustment != facts.ownOomScoreAdjustment else { return }
        open(&program, Array("/proc/self/oom_score_adj".utf8), flags: 1, as: scratchDescriptor)
        let text = Array(String(process.oomScoreAdjustment).utf8)
        program.call(.write, [.number(scratchDescriptor), data(text), .number(text.count)], "oom_score_adj")
        program.call(.close, [.number(scratchDescriptor)])
    }

    /// Working directory, root, umask. Paths are as seen from the real root: chroot comes last.
    mutating func placeInFiles(_ program: inout Program, _ process: ImageProcess) {
        program.call(
            .chdir, [path(process.workingDirectory.asBytes)], "working directory \(process.workingDirectory.asText)")
        if process.rootDirectory.asText != "/" && !process.rootDirectory.isEmpty {
            program.call(.chroot, [path(process.rootDirectory.asBytes)], "root \(process.rootDirectory.asText)")
        }
        program.call(.umask, [.number(process.umask)], check: .none)
    }
}
