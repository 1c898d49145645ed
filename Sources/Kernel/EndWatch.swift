internal import CKernel

/// A thread of this process that ends it when its time is over, or when a signal has asked for that and was not heeded.
///
/// It helps where the thread that does the work is stuck in a call that nothing interrupts: a look at a file that a stopped
/// task serves, a write into a pipe that a stopped task reads. It only waits, writes one sentence and ends the process:
/// what the process holds is then given back by the kernel.
///
/// Begun once: every signal but those of faults is blocked from then on. So a signal by which the kernel tells of the end
/// of a traced task, whichever that is (clone(2), `exit_signal`), does not hit this process, unless it is SIGKILL or
/// SIGSTOP.
package enum EndWatch {
    package static func begin() throws(SystemError) {
        _ = try SystemError.check(Int(ckernel_watch_start()), "pthread_create")
    }

    /// The point on the monotonic clock at which the process is ended with `status`; nil: never.
    package static func limit(_ deadline: Int64?, status: Int32) { ckernel_watch_limit(deadline ?? 0, status) }

    /// How long a signal may go unheeded, in nanoseconds; 0: for ever.
    package static func setGrace(_ nanoseconds: Int64) { ckernel_watch_grace(nanoseconds) }

    /// What is said on standard error at the deadline, or for a signal that was not heeded: 1,000 bytes at most.
    package static func setWords(atDeadline: [UInt8], interrupted: [UInt8]) {
        for (which, words) in [(Int32(0), atDeadline), (Int32(1), interrupted)] {
            // The bytes are copied before the call returns.
            unsafe words.withUnsafeBytes { buffer in
                unsafe ckernel_watch_words(which, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(buffer.count))
            }
        }
    }

    /// The signal that asks this process to end; nil: none has.
    package static var signal: Int32? {
        let signal = ckernel_watch_signal()
        return signal == 0 ? nil : signal
    }
}
