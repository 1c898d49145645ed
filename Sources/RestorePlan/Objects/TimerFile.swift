import CheckpointImage
import LinuxABI
import StepProgram

/// timerfd_create(2). It is made like every open file; one of its holders starts it when the tree's time runs again.
enum TimerFilePlan: ObjectPlan {
    static func check(_ file: PlannedFile<ImageTimerFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        if !host.facts.maySetExpirations && file.state.expirations > 0 {
            findings.find(
                "timerfd", "this kernel does not let expirations be set that no read has taken yet",
                help: "a kernel with CONFIG_CHECKPOINT_RESTORE is needed")
        }
        let wakesSystem = [Clock.CLOCK_REALTIME_ALARM, Clock.CLOCK_BOOTTIME_ALARM].contains(Int32(clamping: file.state.clock))
        if !host.facts.mayWakeSystem && wakesSystem {
            findings.find("timerfd", "a timer that wakes the system cannot be made", help: "CAP_WAKE_ALARM is needed: be root")
        }
    }

    static func make(_ bundle: [PlannedFile<ImageTimerFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle {
            let flags = UInt64(file.file.flags) & PlanBuilder.nonblock | PlanBuilder.cloexec
            let made = program.call(.timerfd_create, [.number(file.state.clock), .value(flags)], builder.note(file.file))
            builder.settle(&program, made, as: file.number)
        }
    }

    static func go(
        _ file: PlannedFile<ImageTimerFile>, at number: UInt32, _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        let timer = file.state
        if timer.remaining != 0 || timer.interval != 0 || timer.flags != 0 {
            let arming =
                timer.remaining == 0
                ? builder.disarmed(interval: timer.interval)
                : builder.arming(
                    clock: Int32(clamping: timer.clock), left: Int64(clamping: timer.remaining), interval: timer.interval,
                    isAbsolute: timer.flags & 1 != 0)
            // TFD_TIMER_CANCEL_ON_SET counts with TFD_TIMER_ABSTIME only. A timer that is not armed keeps both: it still tells
            // when the clock was set.
            let flags = arming.flags | UInt64(timer.flags & (timer.remaining == 0 ? 3 : 2))
            program.call(
                .timerfd_settime, [.number(number), .value(flags), .value(arming.value), 0],
                "set \(builder.note(file.file)) going")
        }
        // Must come after timerfd_settime, which sets the count to 0.
        if timer.expirations != 0 {
            let count = builder.launchpad.add(words: [timer.expirations])
            program.call(
                .ioctl, [.number(number), .value(Ioctl.TFD_IOC_SET_TICKS), .value(count)],
                "\(timer.expirations) expirations (TFD_IOC_SET_TICKS)")
        }
    }
}
