internal import CKernel
internal import Glibc
internal import LinuxABI

/// A question that a forked child answers with bytes. Whatever becomes of the child, this process goes on, and with it
/// whatever it holds.
///
/// A child that is not asked any more is ended. If this process dies, the kernel ends the child. Only one that `finishes`
/// goes on to its end in both cases, and no signal of a terminal or a shell reaches it: what it has begun is put right again.
package final class ForkedQuestion {
    package enum Answer: Equatable, Sendable {
        case bytes([UInt8])
        /// The child ended without an answer.
        case ended(WaitStatus)
        case late
    }

    private let child: Int32
    private let reply: Int32
    private let finishes: Bool
    private var isReaped = false

    /// - Parameters:
    ///   - finishes: the child is not ended before it has answered.
    ///   - answer: runs in the child, which is ended by it or after it. At least one byte.
    package init(at point: FaultPoint, finishes: Bool = false, _ answer: () -> [UInt8]) throws(SystemError) {
        self.finishes = finishes
        let ends = try DescriptorTable.pipe()
        do throws(SystemError) { child = try Processes.fork(at: point) } catch {
            DescriptorTable.close(ends.read)
            DescriptorTable.close(ends.write)
            throw error
        }
        if child == 0 {
            DescriptorTable.close(ends.read)
            Self.dieQuietly()
            if finishes { Self.leave() } else { _ = ckernel_prctl(Int(Prctl.PR_SET_PDEATHSIG), Int(SIGKILL), 0, 0, 0) }
            Channel.send(answer(), over: ends.write)
            Processes.exitNow(0)
        }
        DescriptorTable.close(ends.write)
        reply = ends.read
    }

    deinit {
        DescriptorTable.close(reply)
        if !isReaped && !finishes { end() }
    }

    /// Waits for the whole answer, until `deadline` on the monotonic clock.
    package func answer(until deadline: Int64) -> Answer {
        var bytes: [UInt8] = []
        while true {
            guard Channel.wait(reply, until: deadline) else { return .late }
            guard let part = try? readBytes(reply, upTo: 65536, at: nil) else { break }
            if part.isEmpty { break }
            bytes += part
        }
        isReaped = true
        let status = ending
        return status == .exited(0) && !bytes.isEmpty ? .bytes(bytes) : .ended(status)
    }

    private func end() {
        if Processes.endsByKill(child) { _ = ending }
    }

    /// Waits for the end of the child.
    private var ending: WaitStatus {
        while true {
            do throws(SystemError) {
                if let found = try Waiting.wait(child, block: true), found.status.isDead { return found.status }
            } catch { if error.number != EINTR { return .exited(0) } }
        }
    }

    /// Into a session of its own, where the signals of a terminal do not come.
    private static func leave() {
        SignalMask.blockAll()
        Processes.leaveSession()
    }

    /// A fault ends the child as the kernel would: no backtrace is printed, no core is written.
    private static func dieQuietly() {
        for number in [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV] { _ = signal(number, SIG_DFL) }
        Processes.writeNoCore()
    }
}
