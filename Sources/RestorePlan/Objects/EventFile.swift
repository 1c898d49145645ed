import CheckpointImage
import StepProgram

/// eventfd(2).
enum EventFilePlan: ObjectPlan {
    static func make(_ bundle: [PlannedFile<ImageEventFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for event in bundle {
            let count = event.state.count
            let semaphore: UInt64 = event.state.semaphore ? 1 : 0  // EFD_SEMAPHORE
            let flags = semaphore | UInt64(event.file.flags) & PlanBuilder.nonblock | PlanBuilder.cloexec
            // The initial value has 32 bits; the rest is added by a write.
            let fits = count <= UInt64(UInt32.max)
            let made = program.call(.eventfd2, [.value(fits ? count : 0), .value(flags)], builder.note(event.file))
            if !fits {
                var bytes: [UInt8] = []
                bytes.append(littleEndian: count)
                program.call(.write, [.result(of: made), builder.data(bytes), 8], check: .equals(8), "count \(count)")
            }
            builder.settle(&program, made, as: event.number)
        }
    }
}
