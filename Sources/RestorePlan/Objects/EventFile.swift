import CheckpointImage
import StepProgram

/// eventfd(2).
extension PlanBuilder {
    mutating func makeEventFile(_ program: inout Program, _ file: ImageOpenFile, as number: UInt32) {
        let count = file.event.count
        let semaphore: UInt64 = file.event.semaphore ? 1 : 0  // EFD_SEMAPHORE
        let flags = semaphore | UInt64(file.flags) & Self.nonblock | Self.cloexec
        // The initial value has 32 bits: what does not fit is written.
        let fits = count <= UInt64(UInt32.max)
        let made = program.call(.eventfd2, [.value(fits ? count : 0), .value(flags)], note(file))
        if !fits {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: count)
            program.call(.write, [.result(of: made), data(bytes), 8], check: .equals(8), "count \(count)")
        }
        settle(&program, made, as: number)
    }
}
