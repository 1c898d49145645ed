import CheckpointImage
import StepProgram

/// timerfd_create(2): made like every open file, set going by one of its holders when time counts again.
extension PlanBuilder {
    mutating func makeTimerFile(_ program: inout Program, _ file: ImageOpenFile, as number: UInt32) {
        let flags = UInt64(file.flags) & Self.nonblock | Self.cloexec
        let made = program.call(.timerfd_create, [.number(file.timer.clock), .value(flags)], note(file))
        settle(&program, made, as: number)
    }

    /// - Preconditions: the process has its descriptors where the program had them.
    mutating func setTimerFilesGoing(_ program: inout Program, of process: ImageProcess) {
        let descriptors = image.fileTable(process.fileTable)?.descriptors ?? []
        for file in files.kept[process.pid] ?? [] where file.kind == .timer {
            guard let number = descriptors.first(where: { $0.file == file.id })?.number else { continue }
            let timer = file.timer
            if timer.remaining != 0 || timer.interval != 0 {
                let arming =
                    timer.remaining == 0
                    ? disarmed(interval: timer.interval)
                    : arming(
                        clock: Int32(timer.clock), left: Int64(timer.remaining), interval: timer.interval,
                        isAbsolute: timer.flags & 1 != 0)
                // TFD_TIMER_CANCEL_ON_SET is heeded with TFD_TIMER_ABSTIME only.
                let flags = arming.flags | UInt64(timer.flags & 2)
                program.call(
                    .timerfd_settime, [.number(number), .value(flags), .value(arming.value), 0],
                    "set \(note(file)) going")
            }
            // After the time, which takes the count back.
            if timer.expirations != 0 {
                let count = launchpad.add(words: [timer.expirations])
                program.call(
                    .ioctl, [.number(number), 0x4008_5400, .value(count)],
                    "\(timer.expirations) expirations (TFD_IOC_SET_TICKS)")
            }
        }
    }
}

extension ValidImage {
    static func checkTimerFiles(
        _ image: CheckpointImage, _ facts: HostFacts, _ find: (String, String, String) -> Void
    ) {
        let timers = image.openFiles.filter { $0.kind == .timer }.map(\.timer)
        if !facts.maySetExpirations && timers.contains(where: { $0.expirations > 0 }) {
            find(
                "timerfd", "this kernel does not let expirations be set that nobody has read yet",
                "a kernel with CONFIG_CHECKPOINT_RESTORE is needed")
        }
        // CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM
        if !facts.mayWakeSystem && timers.contains(where: { $0.clock == 8 || $0.clock == 9 }) {
            find("timerfd", "a timer that wakes the system cannot be made", "CAP_WAKE_ALARM is needed: be root")
        }
    }
}
