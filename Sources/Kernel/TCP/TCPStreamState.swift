internal import CKernel
internal import Glibc
internal import LinuxABI

/// Both directions of a TCP connection, as the kernel tells them in repair mode.
package struct TCPStreamState: Sendable, Equatable {
    package var state: UInt32 = 0
    /// TCPI_OPT_*
    package var options: UInt32 = 0
    package var sendScale: UInt32 = 0
    package var receiveScale: UInt32 = 0
    /// Behind the last byte of the send queue; behind the FIN, where that is queued or was sent.
    package var sendSequence: UInt32 = 0
    package var unacknowledged: UInt32 = 0
    package var unsent: UInt32 = 0
    package var receiveSequence: UInt32 = 0
    package var segment: UInt32 = 0
    package var timestamp: UInt32 = 0
    /// `struct tcp_repair_window`
    package var window: [UInt32] = [0, 0, 0, 0, 0]
    package var sendQueue: [UInt8] = []
    package var receiveQueue: [UInt8] = []

    package init() {}

    // MARK: - From a child

    private static let words = 17

    /// What the child answers for one socket: an errno, then words and queues.
    fileprivate var bytes: [UInt8] {
        let head: [UInt32] =
            [0, state, options, sendScale, receiveScale, sendSequence, unacknowledged, unsent, receiveSequence, segment, timestamp] + window
            + [UInt32(sendQueue.count)]
        return (head + [UInt32(receiveQueue.count)]).flatMap { Self.bytes($0) } + sendQueue + receiveQueue
    }

    fileprivate static func bytes(_ word: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }

    /// - Returns: nil: the answer is cut off.
    fileprivate static func read(_ bytes: [UInt8], at place: inout Int) -> Result<TCPStreamState, SystemError>? {
        guard place + 4 <= bytes.count else { return nil }
        let errno = bytes.word(at: place)
        if errno != 0 {
            place += 4
            return .failure(SystemError(Int32(bitPattern: errno), in: "TCP_REPAIR"))
        }
        let size = (words + 1) * 4
        guard place + size <= bytes.count else { return nil }
        func word(_ index: Int) -> UInt32 { bytes.word(at: place + index * 4) }
        var stream = TCPStreamState()
        (stream.state, stream.options, stream.sendScale, stream.receiveScale) = (word(1), word(2), word(3), word(4))
        (stream.sendSequence, stream.unacknowledged, stream.unsent) = (word(5), word(6), word(7))
        (stream.receiveSequence, stream.segment, stream.timestamp) = (word(8), word(9), word(10))
        stream.window = (11..<16).map { word($0) }
        let (sent, received) = (Int(word(16)), Int(word(17)))
        let start = place + size
        guard start + sent + received <= bytes.count else { return nil }
        stream.sendQueue = Array(bytes[start..<start + sent])
        stream.receiveQueue = Array(bytes[start + sent..<start + sent + received])
        place = start + sent + received
        return .success(stream)
    }

    // MARK: - Look

    /// Looks into connections by descriptors of this process.
    ///
    /// The kernel shows what is in a connection only in repair mode, in which nothing of it is sent. A forked child switches it on and
    /// off, each connection for some microseconds; if this process dies meanwhile, the child still finishes. No peer notices.
    ///
    /// - Preconditions: no process uses them meanwhile. CAP_NET_ADMIN.
    /// - Source: tcp(7) does not tell it; net/ipv4/tcp.c, TCP_REPAIR.
    package static func look(at numbers: [Int32]) throws(SystemError) -> [Result<TCPStreamState, SystemError>] {
        let question = try ForkedQuestion(at: .forkCheck, finishes: true) {
            // What is in use by then does not move the time into the window.
            var room = [UInt8](repeating: 1, count: largestQueue(of: numbers) + 1 << 16)
            return numbers.flatMap { number in
                do throws(SystemError) { return try inRepair(number, &room).bytes } catch { return bytes(UInt32(bitPattern: error.number)) }
            }
        }
        guard case .bytes(let bytes) = question.answer(until: SystemClock.monotonic.now() + 60_000_000_000) else {
            throw SystemError(Errno.EPROTO, in: "TCP_REPAIR")
        }
        var place = 0
        var found: [Result<TCPStreamState, SystemError>] = []
        for _ in numbers {
            guard let one = read(bytes, at: &place) else { throw SystemError(Errno.EPROTO, in: "TCP_REPAIR") }
            found.append(one)
        }
        return found
    }

    private static func largestQueue(of numbers: [Int32]) -> Int {
        numbers.reduce(0) { largest, number in
            max(largest, (try? SocketCalls.count(Ioctl.SIOCINQ, of: number)) ?? 0, (try? SocketCalls.count(Ioctl.SIOCOUTQ, of: number)) ?? 0)
        }
    }

    private static func inRepair(_ number: Int32, _ room: inout [UInt8]) throws(SystemError) -> TCPStreamState {
        let reuse = try SocketCalls.word(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, of: number)
        let offset = try? SocketCalls.word(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, of: number)
        let hasOffset = offset.map { $0 != .max } ?? false
        if hasOffset { try SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, of: number, to: .max) }
        defer { if hasOffset, let offset { try? SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, of: number, to: offset) } }
        try set(number, TCP.TCP_REPAIR, 1)
        defer {
            try? set(number, TCP.TCP_REPAIR, TCP.TCP_REPAIR_OFF_NO_WP)
            // The end of repair mode takes it away.
            if reuse != 0 { try? SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, of: number, to: reuse) }
        }
        // Packets still arrive: what was read before and after the queues has to be the same, but for the clock.
        for _ in 0..<20 {
            let before = try head(of: number)
            var stream = before
            if stream.state == TCP.TCP_CLOSE { throw SystemError(ECONNRESET, in: "TCP_REPAIR") }
            let waiting = try SocketCalls.count(Ioctl.SIOCINQ, of: number)
            let queued = Int(stream.unacknowledged)
            if max(waiting, queued) > room.count { room = [UInt8](repeating: 1, count: max(waiting, queued) * 2) }
            var count = 0
            if queued > 0 {
                try set(number, TCP.TCP_REPAIR_QUEUE, TCP.TCP_SEND_QUEUE)
                count = try SocketCalls.receive(number, into: &room, count: room.count)
            }
            let sendQueue = room[..<count]
            var unread = 0
            try set(number, TCP.TCP_REPAIR_QUEUE, TCP.TCP_RECV_QUEUE)
            stream.sendQueue = Array(sendQueue)
            if waiting > 0 { unread = try SocketCalls.receive(number, into: &room, count: waiting) }
            stream.receiveQueue = Array(room[..<unread])
            var after = try head(of: number)
            after.timestamp = before.timestamp
            guard after == before, unread == waiting, try SocketCalls.count(Ioctl.SIOCINQ, of: number) == waiting else { continue }
            return stream
        }
        throw SystemError(EAGAIN, in: "TCP_REPAIR")
    }

    /// Everything but the queues.
    private static func head(of number: Int32) throws(SystemError) -> TCPStreamState {
        var stream = TCPStreamState()
        let info = SocketCalls.option(TCP.IPPROTO_TCP, TCP.TCP_INFO, of: number, upTo: 104) ?? []
        guard info.count >= 8 else { throw SystemError(EINVAL, in: "getsockopt(TCP_INFO)") }
        stream.state = UInt32(info[0])
        stream.options = UInt32(info[5])
        (stream.sendScale, stream.receiveScale) = (UInt32(info[6] & 0xf), UInt32(info[6] >> 4))
        try set(number, TCP.TCP_REPAIR_QUEUE, TCP.TCP_SEND_QUEUE)
        stream.sendSequence = try word(number, TCP.TCP_QUEUE_SEQ)
        stream.unacknowledged = UInt32(try SocketCalls.count(Ioctl.SIOCOUTQ, of: number))
        stream.unsent = UInt32(try SocketCalls.count(Self.SIOCOUTQNSD, of: number))
        try set(number, TCP.TCP_REPAIR_QUEUE, TCP.TCP_RECV_QUEUE)
        stream.receiveSequence = try word(number, TCP.TCP_QUEUE_SEQ)
        try set(number, TCP.TCP_REPAIR_QUEUE, TCP.TCP_NO_QUEUE)
        stream.segment = try word(number, TCP.TCP_MAXSEG)
        if stream.options & TCP.TCPI_OPT_TIMESTAMPS != 0 { stream.timestamp = try word(number, TCP.TCP_TIMESTAMP) }
        let window = SocketCalls.option(TCP.IPPROTO_TCP, TCP.TCP_REPAIR_WINDOW, of: number, upTo: 20) ?? []
        guard window.count == 20 else { throw SystemError(EINVAL, in: "getsockopt(TCP_REPAIR_WINDOW)") }
        stream.window = (0..<5).map { window.word(at: $0 * 4) }
        return stream
    }

    private static let SIOCOUTQNSD: UInt64 = 0x894b

    private static func word(_ number: Int32, _ option: UInt32) throws(SystemError) -> UInt32 {
        try SocketCalls.word(TCP.IPPROTO_TCP, option, of: number)
    }

    private static func set(_ number: Int32, _ option: UInt32, _ value: UInt32) throws(SystemError) {
        try SocketCalls.set(TCP.IPPROTO_TCP, option, of: number, to: value)
    }

    // MARK: - Silence

    /// Puts a connection into repair mode for good: its end makes it vanish without a packet.
    ///
    /// - Preconditions: its process is about to be ended.
    package static func silence(_ number: Int32) throws(SystemError) { try set(number, TCP.TCP_REPAIR, 1) }
}
