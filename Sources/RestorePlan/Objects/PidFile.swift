import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// pidfd_open(2): made when the task exists that it stands for.
enum PidFilePlan: ObjectPlan {
    static func make(_ bundle: [PlannedFile<ImagePidFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle { open(file, as: file.number, &program, &builder) }
    }

    /// Those of threads, which exist only now: opened, and put to all numbers of the one table that has them.
    static func go(_ file: PlannedFile<ImagePidFile>, at number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder) {
        guard file.state.isMadeLast else { return }
        program.wait(for: builder.word(.threads), toReach: UInt32(builder.threadCount), "until all threads are there")
        let scratch = builder.scratchDescriptor
        open(file, as: scratch, &program, &builder)
        builder.putToAllNumbers(&program, file.file, from: scratch)
    }

    private static func open(_ file: PlannedFile<ImagePidFile>, as number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder) {
        let task = file.state.thread == 0 ? file.state.process : file.state.thread
        let seen = builder.valid.creation.number(of: task, seenBy: builder.image.header.root) ?? task
        let flags = UInt64(file.file.flags) & (PlanBuilder.nonblock | UInt64(OpenFlag.O_EXCL))
        let made = program.call(.pidfd_open, [.number(seen), .value(flags)], builder.note(file.file))
        builder.settle(&program, made, as: number)
    }
}
