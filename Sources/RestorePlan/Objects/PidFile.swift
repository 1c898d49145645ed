import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// pidfd_open(2): made when the task exists that it stands for.
enum PidFilePlan: ObjectPlan {
    static func make(_ bundle: [PlannedFile<ImagePidFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle {
            if file.state.ended { makeEnded(file, &program, &builder) } else { open(file, as: file.number, &program, &builder) }
        }
    }

    /// A process is made for it, ends, and is waited for. The number that it had is free again afterwards.
    private static func makeEnded(_ file: PlannedFile<ImagePidFile>, _ program: inout Program, _ builder: inout PlanBuilder) {
        let made = builder.room(8)
        builder.passingProcess(&program, "a process that ends", pidFile: made)
        let note = builder.note(file.file)
        program.call(
            .dup3, [.stored(at: made), .number(file.number), .value(PlanBuilder.cloexec)], check: .equals(Int64(file.number)), note)
        program.call(.close, [.stored(at: made)])
        let flags = UInt64(file.file.flags) & PlanBuilder.nonblock
        if flags != 0 { program.call(.fcntl, [.number(file.number), .value(Fcntl.F_SETFL), .value(flags)], "status flags") }
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
