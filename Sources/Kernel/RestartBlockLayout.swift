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
    init(_ types: KernelTypes) throws(SystemError) {
        let taskStruct = try types.find("task_struct", .structure)
        let blockMember = try types.member("restart_block", of: taskStruct)
        let restart = blockMember.type
        // Kernels before 6.18 keep two numbers in place of a timespec.
        let endTime = types.optionalMember("poll.end_time", of: restart) != nil ? "poll.end_time" : "poll"
        self.init(
            task: try types.member("pid", of: taskStruct).offset,
            process: try types.member("tgid", of: taskStruct).offset,
            tracing: try types.member("ptrace", of: taskStruct).offset,
            block: blockMember.offset,
            blockSize: types.size(of: restart),
            function: try types.member("fn", of: restart).offset,
            sleepClock: try types.member("nanosleep.clockid", of: restart).offset,
            sleepType: try types.member("nanosleep.type", of: restart).offset,
            sleepRemaining: try types.member("nanosleep.rmtp", of: restart).offset,
            sleepExpires: try types.member("nanosleep.expires", of: restart).offset,
            pollDescriptors: try types.member("poll.ufds", of: restart).offset,
            pollCount: try types.member("poll.nfds", of: restart).offset,
            pollHasTimeout: try types.member("poll.has_timeout", of: restart).offset,
            pollSeconds: try types.member("\(endTime).tv_sec", of: restart).offset,
            pollNanoseconds: try types.member("\(endTime).tv_nsec", of: restart).offset,
            futexAddress: try types.member("futex.uaddr", of: restart).offset,
            futexValue: try types.member("futex.val", of: restart).offset,
            futexFlags: try types.member("futex.flags", of: restart).offset,
            futexBitset: try types.member("futex.bitset", of: restart).offset,
            futexTime: try types.member("futex.time", of: restart).offset)
        guard blockSize > 0, blockSize <= 256, task < 1 << 15, tracing < 1 << 15, block < 1 << 20 else {
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
