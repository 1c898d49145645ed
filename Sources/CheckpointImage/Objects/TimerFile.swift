/// Rules of a timerfd.
extension ImageLookup {
    /// CLOCK_REALTIME, _MONOTONIC, _BOOTTIME, _REALTIME_ALARM, _BOOTTIME_ALARM.
    private static let clocks: Set<UInt32> = [0, 1, 7, 8, 9]

    func validate(_ timer: ImageTimerFile, _ subject: @autoclosure () -> String) throws(ImageError) {
        try require(Self.clocks.contains(timer.clock), .clock, subject())
        try require(timer.flags <= 3, .timerFlags, subject())
        try require(timer.remaining < ImageLimits.time && timer.interval < ImageLimits.time, .timerRange, subject())
    }
}
