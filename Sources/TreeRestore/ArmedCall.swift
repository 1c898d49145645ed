internal import CheckpointImage
internal import Kernel
internal import RestorePlan
internal import StepProgram

/// A system call that makes the kernel build the restart block that a thread had.
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
    init?(_ block: ImageRestartBlock, operand: UInt64, remaining: Int64, slack: Int64, monotonicOffset: Int64) {
        func time(_ nanoseconds: Int64) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: UInt64(nanoseconds / 1_000_000_000))
            bytes.append(littleEndian: UInt64(nanoseconds % 1_000_000_000))
            return bytes
        }
        switch block.kind {
        case .nanosleep, .cpuNanosleep:
            number = 230  // clock_nanosleep(clock, 0, time, rmtp)
            arguments = [UInt64(bitPattern: Int64(Int32(bitPattern: block.clock))), 0, operand, block.userAddress]
            operandBytes = time(max(0, remaining - (block.kind == .nanosleep ? slack : 0)))
            earlyResults = 0...0
            earlyErrors = []
        case .poll:
            number = 7
            let timeout = block.hasTimeout_p ? Self.milliseconds(remaining) : UInt64(UInt32.max)
            arguments = [block.userAddress, block.count, timeout]
            operandBytes = []
            earlyResults = 0...Int64(Int32.max)
            earlyErrors = [-14]  // EFAULT: another thread has unmapped the entries
        case .futex:
            earlyResults = 0...0
            earlyErrors = [-11, -14, -110]  // EAGAIN, EFAULT, ETIMEDOUT
            number = 202
            let isRealtime = block.clockOfDeadline == 0
            if block.bits == UInt32.max && !isRealtime {
                // FUTEX_WAIT, relative on the monotonic clock.
                arguments = [block.userAddress, UInt64(block.flags), block.count, operand]
                operandBytes = time(remaining)
            } else {
                // FUTEX_WAIT_BITSET, until a point in time on the clock that it was on.
                arguments = [
                    block.userAddress, 9 | UInt64(block.flags), block.count, operand, 0, UInt64(block.bits),
                ]
                let now = isRealtime ? SystemClock.realtime.now() : SystemClock.monotonic.now() + monotonicOffset
                operandBytes = time(now + remaining)
            }
        case .unknown, .UNRECOGNIZED:
            return nil
        }
    }

    /// poll(2) counts in milliseconds: never less than asked.
    static func milliseconds(_ nanoseconds: Int64) -> UInt64 {
        UInt64(min((max(0, nanoseconds) + 999_999) / 1_000_000, Int64(Int32.max)))
    }
}

extension ImageRestartBlock {
    /// The clock that the remaining time is measured on, by its number.
    var clockOfDeadline: UInt32 {
        switch kind {
        case .nanosleep, .cpuNanosleep: clock
        case .futex: flags & 256 != 0 ? 0 : 1  // FUTEX_CLOCK_REALTIME
        case .poll, .unknown, .UNRECOGNIZED: 1
        }
    }
}
