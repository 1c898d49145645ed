import CheckpointImage
import LinuxABI
import StepProgram

/// Pipes. One process makes both ends and writes the contents.
enum PipePlan: ObjectPlan {
    private static let settable = OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND | OpenFlag.O_DIRECT

    static func make(_ bundle: [PlannedFile<ImagePipeEnd>], _ program: inout Program, _ builder: inout PlanBuilder) {
        guard let id = bundle.first?.state.pipe, let pipe = builder.image.pipe(id) else { return }
        let pair = builder.room(16)
        program.call(.pipe2, [.value(pair), .value(PlanBuilder.cloexec | UInt64(pipe.packets ? OpenFlag.O_DIRECT : 0))], "pipe \(id)")
        let reader = Step.Argument.stored(at: pair)
        let writer = Step.Argument.stored(at: pair + 4)
        if pipe.capacity != 65536 {
            program.call(
                .fcntl, [writer, .value(Fcntl.F_SETPIPE_SZ), .number(pipe.capacity)], check: .equals(Int64(pipe.capacity)), "capacity")
        }
        for piece in pipe.contents where !piece.isEmpty {
            let address = builder.launchpad.add(piece.asBytes)
            program.call(
                .write, [writer, .value(address), .number(piece.count)], check: .equals(Int64(piece.count)),
                "\(byteCount(UInt64(piece.count))) in flight")
        }
        var first: [Bool: UInt32] = [:]
        for end in bundle {
            let isWriter = end.state.writeEnd
            if end.state.bothEnds {
                let scratch = builder.scratchDescriptor
                program.call(.dup3, [reader, .number(scratch), .value(PlanBuilder.cloexec)])
                builder.open(
                    &program, Array("/proc/self/fd/\(scratch)".utf8), flags: UInt64(OpenFlag.O_RDWR | OpenFlag.O_NONBLOCK), as: end.number)
                program.call(.close, [.number(scratch)])
            } else if let known = first[isWriter] {
                // Another open file of the same end is opened through /proc.
                builder.open(
                    &program, Array("/proc/self/fd/\(known)".utf8),
                    flags: UInt64((isWriter ? OpenFlag.O_WRONLY : 0) | OpenFlag.O_NONBLOCK), as: end.number)
            } else {
                program.call(
                    .dup3, [isWriter ? writer : reader, .number(end.number), .value(PlanBuilder.cloexec)], builder.note(end.file))
                first[isWriter] = end.number
            }
            program.call(
                .fcntl, [.number(end.number), .value(Fcntl.F_SETFL), .number(end.file.flags & settable)], "status flags")
        }
        program.call(.close, [reader])
        program.call(.close, [writer])
    }
}
