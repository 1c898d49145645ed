import CheckpointImage
import StepProgram

/// signalfd(2).
extension PlanBuilder {
    mutating func makeSignalFile(_ program: inout Program, _ file: ImageOpenFile, as number: UInt32) {
        var mask: [UInt8] = []
        mask.append(littleEndian: file.signal.mask)
        let flags = UInt64(file.flags) & Self.nonblock | Self.cloexec
        let made = program.call(.signalfd4, [.signed(-1), data(mask), 8, .value(flags)], note(file))
        settle(&program, made, as: number)
    }
}
