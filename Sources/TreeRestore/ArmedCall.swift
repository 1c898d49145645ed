internal import CheckpointImage
internal import Kernel
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

    /// - Parameters:
    ///   - remaining: nanoseconds from now.
    ///   - monotonicOffset: the tree's CLOCK_MONOTONIC minus ours; the tasks have joined its time namespace.
    init?(_ block: ImageRestartBlock, operand: UInt64, remaining: Int64, monotonicOffset: Int64) {
        func time(_ nanoseconds: Int64) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: UInt64(nanoseconds / 1_000_000_000))
            bytes.append(littleEndian: UInt64(nanoseconds % 1_000_000_000))
            return bytes
        }
        switch block.kind {
        case .nanosleep, .cpuNanosleep:
            number = 230  // clock_nanosleep(clock, 0, time, rmtp)
            arguments = [UInt64(block.clock), 0, operand, block.userAddress]
            operandBytes = time(remaining)
        case .poll:
            number = 7
            let milliseconds = (remaining + 999_999) / 1_000_000
            let timeout = block.hasTimeout_p ? UInt64(min(milliseconds, Int64(Int32.max))) : UInt64(UInt32.max)
            arguments = [block.userAddress, block.count, timeout]
            operandBytes = []
        case .futex:
            // FUTEX_WAIT_BITSET with an absolute time on the clock that it was on.
            number = 202
            let isRealtime = block.clockOfDeadline == 0
            let now = isRealtime ? SystemClock.realtime.now() : SystemClock.monotonic.now() + monotonicOffset
            arguments = [
                block.userAddress, 9 | UInt64(block.flags), block.count, operand, 0, UInt64(block.bits),
            ]
            operandBytes = time(now + remaining)
        case .unknown, .UNRECOGNIZED:
            return nil
        }
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
