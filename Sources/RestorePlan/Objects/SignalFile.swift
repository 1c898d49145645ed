import CheckpointImage
import StepProgram

/// signalfd(2).
enum SignalFilePlan: ObjectPlan {
    static func make(_ bundle: [PlannedFile<ImageSignalFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle {
            var mask: [UInt8] = []
            mask.append(littleEndian: file.state.mask)
            let flags = UInt64(file.file.flags) & PlanBuilder.nonblock | PlanBuilder.cloexec
            let made = program.call(
                .signalfd4, [.signed(-1), builder.data(mask), 8, .value(flags)], builder.note(file.file))
            builder.settle(&program, made, as: file.number)
        }
    }
}
