internal import ArchState
internal import CheckpointImage
internal import Kernel

extension Collector {
    /// A restart block from the arguments of the call and what they point to.
    func fromArguments(_ tid: Int32, _ registers: X86GeneralRegisters) -> ImageRestartBlock {
        var image = ImageRestartBlock()
        image.source = .arguments
        image.hasTimeout_p = true
        guard let call = interruptedCall(tid, registers) else { return image }
        let arguments = call.arguments
        /// Of all its time, what has not gone by since it fell asleep.
        func rest(of whole: UInt64) -> UInt64 {
            guard let since = calls?.asleepSince[tid] else {
                calls?.beginsAnew(tid)
                return whole
            }
            image.source = .lastSleep
            return whole - min(whole, UInt64(max(0, stamp.now(on: .monotonic) - since)))
        }
        func time(at address: UInt64) -> UInt64? {
            let form =
                call.is32Bit
                ? TimeoutArgument.Form.timespec.compat(isWide: call.hasWideTimes) : TimeoutArgument.Form.timespec
            return (try? RemoteMemory.read(tid, at: address, count: form.size)).flatMap(form.nanoseconds)
        }
        /// The kernel has just written what is left where the caller wanted it.
        func sleep(_ request: UInt64, rest address: UInt64, onProcessorTime: Bool) -> UInt64 {
            if address != 0, let left = time(at: address) {
                image.source = .memory
                return left
            }
            let whole = time(at: request) ?? 0
            guard onProcessorTime else { return rest(of: whole) }
            calls?.beginsAnew(tid)
            return whole
        }
        switch call.native {
        case SystemCallNumbers.nanosleep:
            image.kind = .nanosleep
            image.clock = 1
            image.userAddress = arguments[1]
            image.remaining = sleep(arguments[0], rest: arguments[1], onProcessorTime: false)
        case SystemCallNumbers.clock_nanosleep:
            let clock = Int32(truncatingIfNeeded: arguments[0])
            let isProcessorTime = clock < 0 || clock == 2
            image.kind = isProcessorTime ? .cpuNanosleep : .nanosleep
            // Relative sleeps on the real-time clock run on the monotonic one; -6 is the caller's process.
            image.clock = UInt32(bitPattern: clock == 0 ? 1 : clock == 2 ? -6 : clock)
            image.userAddress = arguments[3]
            image.remaining = sleep(arguments[2], rest: arguments[3], onProcessorTime: isProcessorTime)
        case SystemCallNumbers.poll:
            image.kind = .poll
            image.userAddress = arguments[0]
            image.count = arguments[1] & 0xffff_ffff
            let milliseconds = Int32(truncatingIfNeeded: arguments[2])
            image.hasTimeout_p = milliseconds >= 0
            if milliseconds >= 0 { image.remaining = rest(of: UInt64(milliseconds) * 1_000_000) }
        case SystemCallNumbers.futex:
            image.kind = .futex
            image.userAddress = arguments[0]
            image.count = arguments[2] & 0xffff_ffff
            image.flags = UInt32(truncatingIfNeeded: arguments[1]) & 0x180
            let limit = time(at: arguments[3]) ?? 0
            if arguments[1] & 0x7f == 9 {  // FUTEX_WAIT_BITSET: a point in time, which says it all
                image.bits = UInt32(truncatingIfNeeded: arguments[5])
                let isRealtime = image.flags & 256 != 0
                image.source = .memory
                // As the task itself sees the clock.
                let end = Int64(clamping: limit) &- (isRealtime ? 0 : timeNamespace?.offsets.monotonic ?? 0)
                image.remaining = stamp.left(until: end, on: isRealtime ? .realtime : .monotonic)
            } else {
                image.bits = UInt32.max
                image.remaining = rest(of: limit)
            }
        default:
            image.kind = .unknown
        }
        return image
    }

    /// The call; behind `restart_syscall`, as the program's own instructions tell it.
    ///
    /// At the second interruption the kernel has forgotten the number, but the arguments are still in the
    /// registers, and the usual `mov $number,%eax; syscall` (or `int $0x80`) stands before the instruction pointer.
    private func interruptedCall(_ tid: Int32, _ registers: X86GeneralRegisters) -> X86Call? {
        let is32Bit = registers.callIs32Bit(tid)
        guard let call = registers.systemCall(is32Bit: is32Bit), call.isRestart else {
            return registers.systemCall(is32Bit: is32Bit)
        }
        let instruction: [UInt8] = is32Bit ? [0xcd, 0x80] : [0x0f, 0x05]
        guard let code = try? RemoteMemory.read(tid, at: registers.rip &- 7, count: 7), code[0] == 0xb8,
            code[5...].elementsEqual(instruction)
        else { return nil }
        let number = Int(code[1]) | Int(code[2]) << 8 | Int(code[3]) << 16 | Int(code[4]) << 24
        return registers.call(number, is32Bit: is32Bit)
    }
}
