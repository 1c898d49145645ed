internal import ArchState
internal import CheckpointImage

/// Finds calls that wait until a point in time, given as an absolute time in the program's own memory.
///
/// The kernel makes them again from their arguments. In a time namespace the tree's clocks continue from the checkpoint, so
/// the wait is as long as it would have been. Without one the host's clocks have moved on, and the wait ends too early.
extension ValidImage {
    /// The threads that wait until a time of the monotonic or boot-time clock, e.g. `4711 worker (clock_nanosleep)`.
    package var waitsUntilOwnDeadline: [String] {
        zip(image.threads, states).compactMap { thread, state in
            guard let call = state.general.callUntilOwnDeadline else { return nil }
            return "\(thread.tid) \(thread.name.asText) (\(call))"
        }
    }
}

extension X86GeneralRegisters {
    /// The name of the call that the thread is in, if it waits until a time of a clock that a time namespace moves.
    ///
    /// - Source: clock_nanosleep(2), futex(2), futex_waitv(2); a call without a timeout waits for ever.
    var callUntilOwnDeadline: String? {
        guard interruptedCall != .none, !is32Bit, let number = callNumber else { return nil }
        func isMoved(_ clock: UInt64) -> Bool { [1, 7, 9].contains(clock & 0xffff_ffff) }
        let waits =
            switch number {
            case SystemCallNumbers.clock_nanosleep: rsi & 1 != 0 && isMoved(rdi)  // TIMER_ABSTIME
            // FUTEX_WAIT_REQUEUE_PI 11 and FUTEX_LOCK_PI2 13, without FUTEX_CLOCK_REALTIME.
            case SystemCallNumbers.futex: [11, 13].contains(rsi & 0x7f) && rsi & 0x100 == 0 && r10 != 0
            case SystemCallNumbers.futex_waitv: r10 != 0 && isMoved(r8)
            case SystemCallNumbers.futex_wait: r8 != 0 && isMoved(r9)
            default: false
            }
        return waits ? SystemCallNumbers.name(number) : nil
    }
}
