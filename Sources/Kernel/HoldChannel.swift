internal import Glibc
internal import LinuxABI

/// Lines from and to the process that decides about a tree that is held.
///
/// It owns no descriptor that it was given: they stay open as long as this process lives, so that its end is seen at the
/// other side.
package final class HoldChannel {
    /// What came of waiting.
    package enum Word: Equatable {
        /// A line without its newline.
        case line(String)
        /// The other end is gone. A line that it had begun does not count.
        case closed
        case silent
        case interrupted
    }

    private let pair: DescriptorPair
    /// The FIFO from which orders come in place of the first descriptor; open for as long as this process lives.
    private var fifo: Int32?
    private var pending: [UInt8] = []
    /// The longest line that is taken, in bytes.
    private static let longest = 8192

    /// - Parameter text: as ``DescriptorPair`` reads it. Nil: it is something else.
    package init?(_ text: String) {
        guard let pair = DescriptorPair(text) else { return nil }
        self.pair = pair
    }

    /// The descriptors that were named.
    package var numbers: [Int32] { pair.numbers }

    /// Waits for the next line.
    ///
    /// - Parameters:
    ///   - patience: nanoseconds within which a line has to come; nil: for ever.
    ///   - isInterrupted: asked several times a second.
    package func next(within patience: Int64?, unless isInterrupted: () -> Bool) -> Word {
        let deadline = patience.map { SystemClock.monotonic.now() &+ $0 }
        while true {
            if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(pending[..<end])
                pending.removeSubrange(...end)
                return .line(String(decoding: line, as: UTF8.self))
            }
            if isInterrupted() { return .interrupted }
            if pending.count > Self.longest { return .closed }
            if let deadline, SystemClock.monotonic.now() > deadline { return .silent }
            if !take() { return .closed }
        }
    }

    /// Waits up to a tenth of a second for input. False: there will be none.
    ///
    /// The end of the process that reads our answers is an end, too: where both directions are pipes of one network connection,
    /// that is how its loss is seen.
    private func take() -> Bool {
        if let fifo {
            var look = pollfd(fd: fifo, events: Int16(POLLIN), revents: 0)
            guard unsafe Glibc.poll(&look, 1, 100) > 0 else { return true }
            pending += (try? readBytes(fifo, upTo: 4096, at: nil)) ?? []
            return true
        }
        var looks = [pollfd(fd: pair.input, events: Int16(POLLIN), revents: 0), pollfd(fd: pair.output, events: 0, revents: 0)]
        guard unsafe Glibc.poll(&looks, 2, 100) > 0 else { return true }
        if looks[0].revents != 0 {
            guard let bytes = try? readBytes(pair.input, upTo: 4096, at: nil), !bytes.isEmpty else { return false }
            pending += bytes
            return true
        }
        return looks[1].revents & Int16(POLLERR | POLLHUP | POLLNVAL) == 0
    }

    /// - Precondition: writes to a closed pipe fail and do not end this process (``Processes/letWritesFail()``).
    /// - Returns: false: the other end is gone.
    @discardableResult
    package func tell(_ line: String) -> Bool { (try? Channel.tell(line, over: pair.output)) != nil }

    /// Takes orders from a FIFO instead, which is open for writing here, too: there is no end of it.
    ///
    /// - Errors: `EINVAL`: it is no FIFO, or another user's.
    package func follow(_ path: String) throws(SystemError) {
        let opened = try Descriptor.open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW)
        let status = try FileStatus(of: opened)
        guard status.kind == .pipe, status.owner == geteuid() else { throw SystemError(Errno.EINVAL, in: "the FIFO") }
        fifo = opened.release()
    }

    /// Closes what was given: the tree runs, and whichever process waits for the end of these descriptors sees it.
    package func close() { for number in numbers where number > 2 { DescriptorTable.close(number) } }
}
