import CheckpointImage
import StepProgram

extension PlanBuilder {
    private static let cloexec: UInt64 = 0o2000000

    /// Makes what this process's descendants share, before it forks.
    mutating func makeShared(_ program: inout Program, _ pid: UInt32) {
        for pipe in files.sharedPipes[pid] ?? [] { makePipe(&program, pipe) }
        for file in files.shared[pid] ?? [] { makeFile(&program, file) }
    }

    /// Puts every descriptor where the program had it and drops those that stood high.
    mutating func installDescriptors(_ program: inout Program, _ process: ImageProcess) {
        for pipe in files.ownPipes[process.pid] ?? [] { makePipe(&program, pipe) }
        for file in files.own[process.pid] ?? [] { makeFile(&program, file) }
        for descriptor in image.fileTable(process.fileTable)?.descriptors ?? [] {
            guard let file = image.openFile(descriptor.file) else { continue }
            let from = file.kind == .outside ? standIn(for: file, at: descriptor.number) : files.number[file.id] ?? 0
            program.call(
                .dup3,
                [.number(from), .number(descriptor.number), descriptor.closeOnExec ? .value(Self.cloexec) : 0],
                check: .equals(Int64(descriptor.number)), note(file))
        }
        program.call(.close_range, [.number(high.timeNamespace + 1), .value(0xffff_ffff), 0], "drop what stood high")
    }

    /// Which of 0, 1, 2 of crrestart stands in for something that belonged to somebody outside.
    private func standIn(for file: ImageOpenFile, at number: UInt32) -> UInt32 {
        if number <= 2 { return high.standard(number) }
        if file.preferred <= 2 { return high.standard(file.preferred) }
        let terminal = facts.terminals.firstIndex(of: true) ?? 0
        return high.standard(UInt32(terminal))
    }

    private func note(_ file: ImageOpenFile) -> String {
        switch file.kind {
        case .path: file.identity.path.asText
        case .pipeEnd: "\(file.writeEnd ? "write" : "read") end of pipe \(file.pipe)"
        case .object: "memory object \(file.object)"
        case .outside: "instead of \(file.description_p.asText)"
        case .UNRECOGNIZED: ""
        }
    }

    private mutating func makeFile(_ program: inout Program, _ id: UInt32) {
        guard let file = image.openFile(id), let number = files.number[id] else { return }
        // Without what only matters when a file is made: O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, __O_TMPFILE.
        var flags = UInt64(file.flags) & ~0o1700 & ~0o20000000
        let path: [UInt8]
        if file.kind == .object {
            let place = image.memoryObjects.firstIndex { $0.id == file.object } ?? 0
            path = Array("/proc/self/fd/\(high.object(place))".utf8)
            flags &= ~0o400000  // O_NOFOLLOW: this name is a link
        } else {
            path = file.identity.path.asBytes
            if file.identity.mode & 0o170000 == 0o040000 { flags |= 0o200000 }
        }
        open(&program, path, flags: flags, as: number)
        if file.offset != 0 && flags & 0o10000000 == 0 {
            program.call(
                .lseek, [.number(number), .signed(file.offset), 0], check: .equals(file.offset), "file position")
        }
    }

    /// A pipe with what was in it. Each open file of an end stands at its own high number.
    private mutating func makePipe(_ program: inout Program, _ id: UInt32) {
        guard let pipe = image.pipe(id) else { return }
        let pair = room(16)
        program.call(.pipe2, [.value(pair), .value(Self.cloexec | (pipe.packets ? 0o40000 : 0))], "pipe \(id)")
        let reader = Step.Argument.stored(at: pair)
        let writer = Step.Argument.stored(at: pair + 4)
        if pipe.capacity != 65536 {
            program.call(
                .fcntl, [writer, 1031, .number(pipe.capacity)], check: .equals(Int64(pipe.capacity)), "capacity")
        }
        for piece in pipe.contents where !piece.isEmpty {
            let address = launchpad.add(piece.asBytes)
            program.call(
                .write, [writer, .value(address), .number(piece.count)], check: .equals(Int64(piece.count)),
                "\(byteCount(UInt64(piece.count))) in flight")
        }
        var madeReader = false
        var madeWriter = false
        for end in files.ends[id] ?? [] {
            guard let number = files.number[end.id] else { continue }
            let source = end.writeEnd ? writer : reader
            let isFirst = end.writeEnd ? !madeWriter : !madeReader
            if isFirst {
                program.call(.dup3, [source, .number(number), .value(Self.cloexec)], note(end))
                if end.writeEnd { madeWriter = true } else { madeReader = true }
            } else {
                // Opened once more through /proc: a description of its own for the same end.
                let first = files.ends[id]?.first { $0.writeEnd == end.writeEnd }.flatMap { files.number[$0.id] } ?? 0
                open(
                    &program, Array("/proc/self/fd/\(first)".utf8), flags: (end.writeEnd ? 1 : 0) | 0o4000, as: number)
            }
            // O_NONBLOCK, O_APPEND, O_DIRECT are what can be set.
            let flags = UInt64(end.flags) & (0o4000 | 0o2000 | 0o40000)
            program.call(.fcntl, [.number(number), 4, .value(flags)], "status flags")
        }
        program.call(.close, [reader])
        program.call(.close, [writer])
    }

    /// How readily the kernel kills it when memory runs out. While the low numbers are free.
    mutating func memoryKillAdjustment(_ program: inout Program, _ process: ImageProcess) {
        guard process.oomScoreAdjustment != facts.ownOomScoreAdjustment else { return }
        open(&program, Array("/proc/self/oom_score_adj".utf8), flags: 1, as: high.scratch)
        let text = Array(String(process.oomScoreAdjustment).utf8)
        program.call(.write, [.number(high.scratch), data(text), .number(text.count)], "oom_score_adj")
        program.call(.close, [.number(high.scratch)])
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
