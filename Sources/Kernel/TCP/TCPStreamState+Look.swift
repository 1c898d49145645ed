internal import CKernel
internal import Glibc
internal import LinuxABI

extension TCPStreamState {
    /// Looks into connections by descriptors of this process.
    ///
    /// The kernel shows what was sent and is not acknowledged, and sequence numbers, only in repair mode, in which every call of the
    /// program on the connection fails. Where the kernel can, each connection is in that mode within one system call of this thread
    /// (``SocketRing``): the program cannot run before it is over, whatever becomes of this process. Elsewhere a forked child switches
    /// it on and off by calls of its own, and goes on to the next connection only while this process lives: one connection can be in
    /// repair mode for some microseconds after the death of this process. No peer notices either.
    ///
    /// - Preconditions: no process uses them meanwhile: the calling thread is the tracer of all that have them. CAP_NET_ADMIN.
    /// - Source: tcp(7) does not tell it; net/ipv4/tcp.c, TCP_REPAIR.
    package static func look(at numbers: [Int32]) throws(SystemError) -> [Result<TCPStreamState, SystemError>] {
        guard let ring = try? SocketRing() else { return try askChild(about: numbers) }
        var room = [UInt8](repeating: 0, count: largestQueue(of: numbers) + 1 << 16)
        return numbers.map { number in
            do throws(SystemError) { return .success(try look(at: number, &room, ring)) } catch { return .failure(error) }
        }
    }

    private static func askChild(about numbers: [Int32]) throws(SystemError) -> [Result<TCPStreamState, SystemError>] {
        let asking = Processes.ownPid
        let question = try ForkedQuestion(at: .forkCheck, finishes: true) {
            // What is in use by then does not move the time into the window.
            var room = [UInt8](repeating: 1, count: largestQueue(of: numbers) + 1 << 16)
            return numbers.flatMap { number in
                if Processes.parentPid != asking { return bytes(UInt32(bitPattern: ESRCH)) }
                do throws(SystemError) { return try look(at: number, &room, nil).bytes } catch { return bytes(UInt32(bitPattern: error.number)) }
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

    /// The kernel goes on meanwhile: it sends, and packets arrive. What is read here fits together all the same. The program stands
    /// still, so that the ends of what it has sent and of what it has received do not move: what can be acknowledged meanwhile only makes
    /// the send queue shorter, and bytes that arrive between the three looks at the receive queue are noticed.
    private static func look(at number: Int32, _ room: inout [UInt8], _ ring: SocketRing?) throws(SystemError) -> TCPStreamState {
        let socket = RepairedSocket(number, try SocketCalls.word(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, of: number), ring)
        for _ in 0..<20 {
            var stream = TCPStreamState()
            let info = try Self.info(of: number)
            stream.state = UInt32(info[0])
            if stream.state == TCP.TCP_CLOSE { throw SystemError(ECONNRESET, in: "TCP_REPAIR") }
            stream.options = UInt32(info[5])
            (stream.sendScale, stream.receiveScale) = (UInt32(info[6] & 0xf), UInt32(info[6] >> 4))

            // Sent: the bytes before the FIN, which has a sequence number and no byte. Of a segment that is acknowledged in part the
            // kernel has all.
            let end = sentEnd.contains(stream.state) ? 1 : 0
            let unacknowledged = max(0, try SocketCalls.count(Ioctl.SIOCOUTQ, of: number) - end)
            let sent = try socket.peek(TCP.TCP_SEND_QUEUE, into: &room, count: unacknowledged)
            stream.sendQueue = Array(room[max(0, sent - unacknowledged)..<sent])
            stream.sendSequence = try socket.sequence
            stream.unacknowledged = UInt32(stream.sendQueue.count + end)
            stream.unsent = min(stream.unacknowledged, UInt32(try SocketCalls.count(SIOCOUTQNSD, of: number)))

            let waiting = try SocketCalls.count(Ioctl.SIOCINQ, of: number)
            let received = try socket.peek(TCP.TCP_RECV_QUEUE, into: &room, count: waiting)
            stream.receiveQueue = Array(room[..<received])
            stream.receiveSequence = try socket.sequence
            stream.segment = socket.segment ?? info.word(at: 16) + (stream.hasTimestamps ? 12 : 0)
            if stream.hasTimestamps { stream.timestamp = try SocketCalls.word(TCP.IPPROTO_TCP, TCP.TCP_TIMESTAMP, of: number) }
            let after = try Self.info(of: number)
            stream.window = socket.window ?? window(after, stream)
            guard received == waiting, try SocketCalls.count(Ioctl.SIOCINQ, of: number) == waiting, UInt32(after[0]) == stream.state else { continue }
            return stream
        }
        throw SystemError(EAGAIN, in: "TCP_REPAIR")
    }

    private var hasTimestamps: Bool { options & TCP.TCPI_OPT_TIMESTAMPS != 0 }

    private static let sentEnd: Set<UInt32> = [TCP.TCP_FIN_WAIT1, TCP.TCP_CLOSING, TCP.TCP_LAST_ACK]

    /// `struct tcp_info`: state 0, options 5, scales 6, snd_mss 16, snd_wnd 228, rcv_wnd 232.
    private static func info(of number: Int32) throws(SystemError) -> [UInt8] {
        let info = SocketCalls.option(TCP.IPPROTO_TCP, TCP.TCP_INFO, of: number, upTo: 240) ?? []
        guard info.count >= 104 else { throw SystemError(EINVAL, in: "getsockopt(TCP_INFO)") }
        return info
    }

    /// As told by TCP_INFO: windows begin at what was received last. The largest window that the peer has told is forgotten, and grows
    /// with the next one that it tells.
    private static func window(_ info: [UInt8], _ stream: TCPStreamState) -> [UInt32] {
        let (send, receive) = (info.word(at: 228), info.word(at: 232))
        return [stream.receiveSequence, send, send, receive, stream.receiveSequence]
    }

    private static let SIOCOUTQNSD: UInt64 = 0x894b
}

/// A connection that is put into repair mode for a moment.
private final class RepairedSocket {
    private let number: Int32
    /// SO_REUSEADDR, which the end of repair mode takes away.
    private let reuse: UInt32
    private let ring: SocketRing?
    /// SO_PEEK_OFF, where the program has set it.
    private let offset: UInt32?
    /// What only repair mode tells: the largest segment of the peer, `struct tcp_repair_window`. Nil: it was not asked.
    private(set) var segment: UInt32?
    private(set) var window: [UInt32]?

    init(_ number: Int32, _ reuse: UInt32, _ ring: SocketRing?) {
        (self.number, self.reuse, self.ring) = (number, reuse, ring)
        offset = (try? SocketCalls.word(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, of: number)).flatMap { $0 == .max ? nil : $0 }
    }

    /// - Parameter count: bytes of the queue. The kernel copies whole segments of a send queue, for which there has to be room.
    /// - Returns: how many bytes of the queue are in `room`.
    func peek(_ queue: UInt32, into room: inout [UInt8], count: Int) throws(SystemError) -> Int {
        if count + Self.longestSegment > room.count { room = [UInt8](repeating: 1, count: count * 2 + Self.longestSegment) }
        let count = count > 0 && queue == TCP.TCP_SEND_QUEUE ? room.count : count
        if let ring { return try ring.peek(number, queue, into: &room, count: count, reuse: reuse, offset: offset) }
        if offset != nil { try SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, of: number, to: .max) }
        defer { if let offset { try? SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, of: number, to: offset) } }
        var words = [UInt8](repeating: 0, count: 20)
        try set(TCP.TCP_REPAIR, 1)
        defer {
            try? set(TCP.TCP_REPAIR, TCP.TCP_REPAIR_OFF_NO_WP)
            if reuse != 0 { try? SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, of: number, to: reuse) }
        }
        try set(TCP.TCP_REPAIR_QUEUE, queue)
        if queue == TCP.TCP_SEND_QUEUE { return count == 0 ? 0 : try SocketCalls.receive(number, into: &room, count: count) }
        segment = try SocketCalls.word(TCP.IPPROTO_TCP, TCP.TCP_MAXSEG, of: number)
        guard try SocketCalls.read(TCP.IPPROTO_TCP, TCP.TCP_REPAIR_WINDOW, of: number, into: &words) == 20 else {
            throw SystemError(EINVAL, in: "getsockopt(TCP_REPAIR_WINDOW)")
        }
        window = (0..<5).map { words.word(at: $0 * 4) }
        return count == 0 ? 0 : try SocketCalls.receive(number, into: &room, count: count)
    }

    private static let longestSegment = 1 << 16

    /// Sequence number behind the queue that was looked at last. The kernel tells it outside of repair mode, too.
    var sequence: UInt32 { get throws(SystemError) { try SocketCalls.word(TCP.IPPROTO_TCP, TCP.TCP_QUEUE_SEQ, of: number) } }

    private func set(_ option: UInt32, _ value: UInt32) throws(SystemError) {
        try SocketCalls.set(TCP.IPPROTO_TCP, option, of: number, to: value)
    }
}
