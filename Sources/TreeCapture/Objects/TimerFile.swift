internal import CheckpointImage
internal import Kernel

/// timerfd_create(2): a clock, a time to the next expiration, an interval, and expirations not read yet.
///
/// Details: `clock`, `flags`, `expirations`; `remaining` (nanoseconds, when the tree had stopped) and `interval`.
enum TimerFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.target == "anon_inode:[timerfd]" }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            guard let state = try TimerFileState.read(of: sights[index].holder.rawValue, descriptor: sights[index].number)
            else { continue }
            sights[index][number: "clock"] = UInt64(state.clock)
            sights[index][number: "flags"] = UInt64(state.flags)
            sights[index][number: "expirations"] = state.expirations
            sights[index][number: "remaining"] = tree.sight.instant.left(of: state.remaining, clock: Int32(bitPattern: state.clock))
            sights[index][number: "interval"] = state.interval
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        guard let clock = sight[number: "clock"], let flags = sight[number: "flags"], let remaining = sight[number: "remaining"],
            let interval = sight[number: "interval"], let expirations = sight[number: "expirations"]
        else { return .refused("is a timerfd whose times this kernel does not tell") }
        var object = ImageTimerFile()
        object.clock = UInt32(truncatingIfNeeded: clock)
        object.flags = UInt32(truncatingIfNeeded: flags)
        object.remaining = remaining
        object.interval = interval
        object.expirations = expirations
        return .object(.timer(object))
    }
}
