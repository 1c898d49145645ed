/// timerfd_create(2): its clock, the time to its next expiration, and expirations that have not been read yet.
extension ImageTimerFile: SavedObject {
    /// CLOCK_REALTIME, _MONOTONIC, _BOOTTIME, _REALTIME_ALARM, _BOOTTIME_ALARM.
    private static let clocks: Set<UInt32> = [0, 1, 7, 8, 9]
    /// TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET.
    private static let flags: UInt32 = 3

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(Self.clocks.contains(clock), .clock)
        try rules.require(flags & ~Self.flags == 0, .timerFlags)
        try rules.require(remaining <= ImageLimits.time && interval <= ImageLimits.time, .timerRange)
    }

    package func summary(in image: CheckpointImage) -> String {
        var parts = ["timerfd"]
        parts.append(remaining == 0 ? "not armed" : "\(Self.seconds(remaining)) left")
        if interval != 0 { parts.append("every \(Self.seconds(interval))") }
        if expirations != 0 { parts.append("expired \(expirations) times") }
        return parts.joined(separator: ", ")
    }

    private static func seconds(_ nanoseconds: UInt64) -> String {
        let milliseconds = nanoseconds / 1_000_000
        return "\(milliseconds / 1000).\(String(1000 + milliseconds % 1000).dropFirst()) s"
    }
}
