internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// A system call that makes the kernel build the restart block that a thread had.
///
/// A block of a call that was made by the conventions of i386 comes from such a call: only then the kernel takes
/// it up again as one.
///
/// The user's own pointers (rmtp, poll entries, futex word) go in: the kernel keeps them in the block. Only
/// the time lies in the launchpad; it is read at once.
struct ArmedCall {
    let number: UInt64
    let arguments: [UInt64]
    /// What has to be at the operand's address: a timespec, or nothing.
    let operandBytes: [UInt8]
    /// Results, as negative errno or counts, that say that what the call waited for is there already.
    let earlyResults: ClosedRange<Int64>
    let earlyErrors: Set<Int64>

    /// - Parameters:
    ///   - remaining: nanoseconds from now, on the clock of the call.
    ///   - slack: what the kernel adds to the end of a sleep of this thread. The block that was saved held it
    ///     already: it is not added again at each restart.
    ///   - monotonicOffset: the tree's CLOCK_MONOTONIC minus ours; the tasks have joined its time namespace.
    /// - Source: arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl.
    init?(_ thread: ImageThread, operand: UInt64, remaining: Int64, slack: Int64, monotonicOffset: Int64) {
        let block = thread.restartBlock
        let is32Bit = thread.callIs32Bit
        func time(_ nanoseconds: Int64, _ form: TimeoutArgument.Form = .timespec) -> [UInt8] {
            form.bytes(nanoseconds: UInt64(max(0, nanoseconds)))
        }
        switch block.kind {
        case .nanosleep, .cpuNanosleep:
            // clock_nanosleep(clock, 0, time, rmtp). Of i386 there are two: what is left will be written as the
            // one that is armed does.
            number = !is32Bit ? Native.sleep : thread.timeLeftIs32Bit ? Compat.sleep : Compat.sleepTime64
            arguments = [UInt64(bitPattern: Int64(Int32(bitPattern: block.clock))), 0, operand, block.userAddress]
            operandBytes = time(
                remaining -| (block.kind == .nanosleep ? slack : 0),
                is32Bit && thread.timeLeftIs32Bit ? .timespec32 : .timespec)
            earlyResults = 0...0
            earlyErrors = []
        case .poll:
            number = is32Bit ? Compat.poll : Native.poll
            let timeout = block.hasTimeout_p ? Self.milliseconds(remaining) : UInt64(UInt32.max)
            arguments = [block.userAddress, block.count, timeout]
            operandBytes = []
            earlyResults = 0...Int64(Int32.max)
            earlyErrors = [-Int64(Errno.EFAULT)]  // another thread has unmapped the entries
        case .futex:
            earlyResults = 0...0
            earlyErrors = [-Int64(Errno.EAGAIN), -Int64(Errno.EFAULT), -Int64(Errno.ETIMEDOUT)]
            number = is32Bit ? Compat.futexTime64 : Native.futex
            let isRealtime = block.clockOfDeadline == UInt32(Clock.CLOCK_REALTIME)
            if block.bits == FutexWord.FUTEX_BITSET_MATCH_ANY && !isRealtime {
                // Relative, on the monotonic clock.
                arguments = [block.userAddress, Futex.FUTEX_WAIT | UInt64(block.flags), block.count, operand]
                operandBytes = time(remaining)
            } else {
                // Until a point in time on the clock that it was on.
                arguments = [
                    block.userAddress, Futex.FUTEX_WAIT_BITSET | UInt64(block.flags), block.count, operand, 0, UInt64(block.bits),
                ]
                let now = isRealtime ? SystemClock.realtime.now() : SystemClock.monotonic.now() +| monotonicOffset
                operandBytes = time(min(now +| remaining, TimePlan.farthest))
            }
        case .unknown, .UNRECOGNIZED:
            return nil
        }
    }

    /// Calls of the table for 64-bit programs.
    private enum Native {
        static let sleep = UInt64(SystemCallNumbers.clock_nanosleep)
        static let poll = UInt64(SystemCallNumbers.poll)
        static let futex = UInt64(SystemCallNumbers.futex)
    }

    /// Calls of the table for 32-bit programs.
    private enum Compat {
        static let sleep: UInt64 = 267
        static let sleepTime64: UInt64 = 407
        static let poll: UInt64 = 168
        static let futexTime64: UInt64 = 422
    }

    /// poll(2) counts in milliseconds: never less than asked.
    static func milliseconds(_ nanoseconds: Int64) -> UInt64 {
        UInt64(min((max(0, nanoseconds) +| 999_999) / 1_000_000, Int64(Int32.max)))
    }
}

extension ImageRestartBlock {
    /// The clock that the remaining time is measured on, by its number.
    var clockOfDeadline: UInt32 {
        switch kind {
        case .nanosleep, .cpuNanosleep: clock
        case .futex:
            UInt32(UInt64(flags) & Futex.FUTEX_CLOCK_REALTIME != 0 ? Clock.CLOCK_REALTIME : Clock.CLOCK_MONOTONIC)
        case .poll, .unknown, .UNRECOGNIZED: UInt32(Clock.CLOCK_MONOTONIC)
        }
    }
}
