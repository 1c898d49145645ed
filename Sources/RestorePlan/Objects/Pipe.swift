import CheckpointImage
import StepProgram

/// Pipes: made whole, with what was in them, by one process.
extension PlanBuilder {
    /// A pipe with what was in it. Each open file of an end stands at its own high number.
    mutating func makePipe(_ program: inout Program, _ id: UInt32) {
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
}
