import CheckpointImage
import LinuxABI
import StepProgram

/// Files and directories below `/proc/PID` of a task of the tree: opened by name when that task exists.
enum ProcFilePlan: ObjectPlan {
    static func make(_ bundle: [PlannedFile<ImageProcFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle { open(file, as: file.number, &program, &builder) }
    }

    /// Those of threads, which exist only now: opened, and put to all numbers of the one table that has them.
    static func go(_ file: PlannedFile<ImageProcFile>, at number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder) {
        guard file.state.isMadeLast else { return }
        program.wait(for: builder.word(.threads), toReach: UInt32(builder.threadCount), "until all threads are there")
        let scratch = builder.scratchDescriptor
        open(file, as: scratch, &program, &builder)
        builder.putToAllNumbers(&program, file.file, from: scratch)
    }

    /// Opens it and sets its position.
    ///
    /// What such a file says changes while the tree is built, and lseek(2) makes the kernel go through it and keep the
    /// rest of the line that it ended in. Reading at another place makes it drop that: the program's next read
    /// goes through the text anew, up to the position.
    ///
    /// - Source: fs/seq_file.c, `seq_lseek`, `seq_read_iter`, `traverse`.
    private static func open(
        _ file: PlannedFile<ImageProcFile>, as number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        let flags = file.file.flags & ~(OpenFlag.O_CREAT | OpenFlag.O_EXCL | OpenFlag.O_TRUNC | OpenFlag.FASYNC)
        builder.open(&program, file.state.path, flags: UInt64(flags), as: number)
        let position = file.file.offset
        guard position != 0, flags & OpenFlag.O_PATH == 0 else { return }
        program.call(
            .lseek, [.number(number), .signed(position), 0], check: position > 0 ? .equals(position) : .none, "file position")
        program.call(
            .pread64, [.number(number), .value(builder.room(8)), .number(position == 1 ? 2 : 1), 0], check: .none,
            "the next read looks for its position anew")
    }
}
