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
    /// Where the word to go on is sent; nil: none is waited for, or it has been sent.
    private var word: Int32?
    private let finishes: Bool
    private var isReaped = false

    /// - Parameters:
    ///   - finishes: the child is not ended before it has answered.
    ///   - answer: runs in the child, which is ended by it or after it. At least one byte.
    package convenience init(at point: FaultPoint, finishes: Bool = false, _ answer: () -> [UInt8]) throws(SystemError) {
        try self.init(at: point, finishes: finishes, word: nil, answer)
    }

    /// A question in two parts.
    ///
    /// - Parameter answer: runs in the child. It is given what waits for ``goOn()``; false: that will not come.
    package convenience init(at point: FaultPoint, inTwoParts answer: (_ awaitWord: () -> Bool) -> [UInt8]) throws(SystemError) {
        let word = try DescriptorTable.pipe()
        defer { DescriptorTable.close(word.read) }
        try self.init(at: point, finishes: false, word: word.write) {
            DescriptorTable.close(word.write)
            return answer { Channel.awaitByte(word.read) }
        }
    }

    /// - Parameter word: closed by this question, also where it cannot be asked.
    private init(at point: FaultPoint, finishes: Bool, word: Int32?, _ answer: () -> [UInt8]) throws(SystemError) {
        self.finishes = finishes
        self.word = word
        let ends: (read: Int32, write: Int32)
        do throws(SystemError) { ends = try DescriptorTable.pipe() } catch {
            if let word { DescriptorTable.close(word) }
            throw error
        }
        do throws(SystemError) { child = try Processes.fork(at: point) } catch {
            for number in [ends.read, ends.write, word].compactMap(\.self) { DescriptorTable.close(number) }
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

    /// Lets the second part begin. Once.
    package func goOn() {
        guard let number = word else { return }
        Channel.send([1], over: number)
        DescriptorTable.close(number)
        word = nil
    }

    deinit {
        DescriptorTable.close(reply)
        if let word { DescriptorTable.close(word) }
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
