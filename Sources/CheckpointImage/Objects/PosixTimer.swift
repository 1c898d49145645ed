/// Rules of POSIX timers.
extension ImageLookup {
    /// CLOCK_REALTIME, _MONOTONIC, _BOOTTIME, _REALTIME_ALARM, _BOOTTIME_ALARM, _TAI.
    private static let clocks: Set<Int32> = [0, 1, 7, 8, 9, 11]

    func validate(
        _ timers: [ImagePosixTimer], of process: ImageProcess, _ threads: [ImageThread]
    ) throws(ImageError) {
        var next: UInt64 = 0
        for timer in timers {
            let subject = { "timer \(timer.id) of process \(process.pid)" }
            try require(timer.id <= Int32.max, .timerRange, subject())
            try require(UInt64(timer.id) >= next, .duplicateID, subject())
            next = UInt64(timer.id) + 1
            let isOwn = { (tid: UInt32) in thread[tid].map { threads[$0].process } == process.pid }
            let seesOwn = { (number: UInt32) in
                self.thread(number, in: pidNumber(of: process)).map { threads[$0].process } == process.pid
            }
            try require(isKnown(clock: timer.clock, seesOwn), .clock, subject())
            switch timer.notify {
            case .none: break
            case .signal: try require(ImageLimits.signals.contains(timer.signal), .signalRange, subject())
            case .thread:
                try require(ImageLimits.signals.contains(timer.signal), .signalRange, subject())
                try require(isOwn(timer.thread), .noSuchThread, subject())
            case .UNRECOGNIZED: throw .rule(.notify, subject())
            }
            try require(
                timer.remaining <= ImageLimits.time && timer.interval <= ImageLimits.time && timer.overrun <= Int32.max,
                .timerRange, subject())
        }
    }

    private func isKnown(clock: Int32, _ isOwn: (UInt32) -> Bool) -> Bool {
        guard let cpu = CPUClock(clock) else { return Self.clocks.contains(clock) }
        return cpu.task == 0 || isOwn(cpu.task)
    }
}
