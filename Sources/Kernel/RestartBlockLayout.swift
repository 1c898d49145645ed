/// Where the running kernel keeps what ``RestartBlockProbe`` reads. Offsets in bytes.
struct RestartBlockLayout: Equatable, Sendable {
    // In struct task_struct.
    var task: Int
    var process: Int
    var tracing: Int
    var block: Int
    var blockSize: Int

    // In struct restart_block.
    var function: Int
    var sleepClock: Int
    var sleepType: Int
    var sleepRemaining: Int
    var sleepExpires: Int
    var pollDescriptors: Int
    var pollCount: Int
    var pollHasTimeout: Int
    var pollSeconds: Int
    var pollNanoseconds: Int
    var futexAddress: Int
    var futexValue: Int
    var futexFlags: Int
    var futexBitset: Int
    var futexTime: Int
}

extension RestartBlockLayout {
    init(_ kernel: KernelLayout) throws(SystemError) {
        let (task, restart) = ("task_struct", "restart_block")
        // Kernels before 6.18 keep two numbers in place of a timespec.
        let endTime = try kernel.optionalOffset(restart, "poll.end_time") != nil ? "poll.end_time" : "poll"
        self.init(
            task: try kernel.offset(task, "pid"),
            process: try kernel.offset(task, "tgid"),
            tracing: try kernel.offset(task, "ptrace"),
            block: try kernel.offset(task, "restart_block"),
            blockSize: try kernel.size(restart),
            function: try kernel.offset(restart, "fn"),
            sleepClock: try kernel.offset(restart, "nanosleep.clockid"),
            sleepType: try kernel.offset(restart, "nanosleep.type"),
            sleepRemaining: try kernel.offset(restart, "nanosleep.rmtp"),
            sleepExpires: try kernel.offset(restart, "nanosleep.expires"),
            pollDescriptors: try kernel.offset(restart, "poll.ufds"),
            pollCount: try kernel.offset(restart, "poll.nfds"),
            pollHasTimeout: try kernel.offset(restart, "poll.has_timeout"),
            pollSeconds: try kernel.offset(restart, "\(endTime).tv_sec"),
            pollNanoseconds: try kernel.offset(restart, "\(endTime).tv_nsec"),
            futexAddress: try kernel.offset(restart, "futex.uaddr"),
            futexValue: try kernel.offset(restart, "futex.val"),
            futexFlags: try kernel.offset(restart, "futex.flags"),
            futexBitset: try kernel.offset(restart, "futex.bitset"),
            futexTime: try kernel.offset(restart, "futex.time"))
        guard blockSize > 0, blockSize <= 256, self.task < 1 << 15, tracing < 1 << 15, block < 1 << 20 else {
            throw malformed("BTF: restart_block")
        }
    }

    /// The block in plain words.
    ///
    /// - Parameter name: the kernel's name of the function that the block points to.
    func decode(_ block: [UInt8], name: String) -> RestartBlock {
        func wide(_ offset: Int) -> UInt64 {
            offset + 8 <= block.count ? littleEndian8(block, at: offset) : 0
        }
        func narrow(_ offset: Int) -> UInt32 {
            guard offset + 4 <= block.count else { return 0 }
            return (0..<4).reduce(0) { $0 | UInt32(block[offset + $1]) << UInt32($1 * 8) }
        }
        // enum timespec_type: none, native, 32-bit.
        let type = narrow(sleepType)
        let clock = Int32(bitPattern: narrow(sleepClock))
        let remaining = type == 0 ? 0 : wide(sleepRemaining)
        let expires = Int64(bitPattern: wide(sleepExpires))

        // Link-time optimisation appends to the names of static functions.
        switch name.prefix(while: { $0 != "." }) {
        case "do_no_restart_syscall":
            return .none
        case "hrtimer_nanosleep_restart":
            return .nanosleep(clock: clock, remaining: remaining, isCompat: type == 2, expires: expires)
        case "posix_cpu_nsleep_restart":
            return .cpuNanosleep(clock: clock, remaining: remaining, isCompat: type == 2, expires: expires)
        case "alarm_timer_nsleep_restart":
            // Here the field holds the kind of alarm: 0 real time, 1 boot time.
            return .nanosleep(
                clock: clock == 0 ? 8 : 9, remaining: remaining, isCompat: type == 2, expires: expires)
        case "do_restart_poll":
            let deadline =
                Int64(bitPattern: wide(pollSeconds)) &* 1_000_000_000
                &+ Int64(bitPattern: wide(pollNanoseconds))
            return .poll(
                descriptors: wide(pollDescriptors), count: narrow(pollCount),
                deadline: narrow(pollHasTimeout) != 0 ? deadline : nil)
        case "futex_wait_restart":
            return .futex(
                address: wide(futexAddress), value: narrow(futexValue),
                flags: FutexFlags(rawValue: narrow(futexFlags)), bitset: narrow(futexBitset),
                expires: Int64(bitPattern: wide(futexTime)))
        default:
            return .unknown(function: wide(function), name: name)
        }
    }
}
