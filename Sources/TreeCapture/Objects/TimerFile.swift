internal import CheckpointImage
internal import Kernel

/// timerfd_create(2): a clock, a time to the next expiration, an interval, and expirations not read yet.
extension Collector {
    func timerFile(_ file: inout ImageOpenFile, _ look: DescriptorLook) throws(SystemError) -> Bool {
        guard let state = try TimerFileState.read(of: look.pid, descriptor: look.number) else {
            return refuse(look, "is a timerfd whose times this kernel does not tell")
        }
        file.kind = .timer
        file.timer.clock = state.clock
        file.timer.flags = state.flags
        file.timer.remaining = stamp.left(of: state.remaining, clock: Int32(state.clock))
        file.timer.interval = state.interval
        file.timer.expirations = state.expirations
        return true
    }
}
