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

    /// What the child of ``look(at:)`` answers for one socket: an errno, then words and queues.
    var bytes: [UInt8] {
        let head: [UInt32] =
            [0, state, options, sendScale, receiveScale, sendSequence, unacknowledged, unsent, receiveSequence, segment, timestamp] + window
            + [UInt32(sendQueue.count)]
        return (head + [UInt32(receiveQueue.count)]).flatMap { Self.bytes($0) } + sendQueue + receiveQueue
    }

    static func bytes(_ word: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }

    /// - Returns: nil: the answer is cut off.
    static func read(_ bytes: [UInt8], at place: inout Int) -> Result<TCPStreamState, SystemError>? {
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

    // MARK: - Silence

    /// Puts a connection into repair mode for good: its end makes it vanish without a packet.
    ///
    /// - Preconditions: its process is about to be ended.
    package static func silence(_ number: Int32) throws(SystemError) {
        try SocketCalls.set(TCP.IPPROTO_TCP, TCP.TCP_REPAIR, of: number, to: 1)
    }
}
