package import CheckpointImage
import FoundationEssentials
import LinuxABI

/// How a TCP socket that was made in repair mode becomes a connection: what is in it before, and what is done when that mode ends.
///
/// - What its other end, which is in the tree too, has received already counts as acknowledged; what that has not received was lost and
///   counts as not sent. So nothing waits for a retransmission.
/// - Of a connection out of the tree, what was sent and is not acknowledged is put into its queue as sent.
/// - FIN goes out once more as soon as everything before it is acknowledged or goes out as well: the other end acknowledges
///   it again. Behind bytes that count as sent it counts as sent, too.
/// - FIN that was received comes from the other end again, where that is in the tree. Otherwise it receives no more, as after
///   shutdown(2): the other end may be gone, and would answer any packet by a reset.
/// - One that is closed is a connection with something local for a moment, and a packet closes it.
package struct TCPStart: Sendable, Equatable {
    /// Sequence number of the first byte of its send queue, and of its receive queue.
    var sendBase: UInt32
    var receiveBase: UInt32
    var receiveEnd: UInt32
    /// Bytes that count as sent.
    var sent: [UInt8]
    var hasSentEnd = false
    /// Bytes that are sent.
    package var unsent: [UInt8]
    package var sendsEnd = false
    /// It gets the FIN of an end outside once more.
    package var receivesEnd = false
    /// CLOSING: its own end was sent before.
    package var sentEndBefore = false
    /// Nothing is sent when repair mode ends.
    var isQuiet = false

    /// The value of TCP_REPAIR that ends it.
    package var endOfRepair: UInt32 { isQuiet ? TCP.TCP_REPAIR_OFF_NO_WP : 0 }

    init(_ socket: ImageTcpSocket, of image: CheckpointImage) {
        var other: ImageTcpSocket?
        if socket.peer != 0, case .tcp(let found)? = image.openFile(socket.peer)?.object { other = found }
        self.init(socket, other)
    }

    /// - Parameter other: its other end, where that is in the tree.
    init(_ socket: ImageTcpSocket, _ other: ImageTcpSocket?) {
        let queue = socket.stream.sendQueue.asBytes
        receiveEnd = socket.receiveEnd
        receiveBase = receiveEnd &- UInt32(truncatingIfNeeded: socket.stream.receiveQueue.count)
        guard socket.isConnection else {
            (sendBase, sent, unsent) = (socket.sendEnd, [], [])
            isQuiet = true
            return
        }
        let dataStart = socket.sendEnd &- UInt32(truncatingIfNeeded: queue.count)
        if let other {
            // Of a rule: within what is not acknowledged. FIN is behind the bytes.
            let received = min(Int(other.stream.receiveSequence &- dataStart), queue.count)
            sendBase = dataStart &+ UInt32(received)
            (sent, unsent) = ([], Array(queue[received...]))
            sendsEnd = socket.hasSentEnd
            return
        }
        sendBase = dataStart
        let end: UInt32 = socket.hasSentEnd && socket.stream.unsent > 0 ? 1 : 0
        let count = queue.count - min(Int(socket.stream.unsent - end), queue.count)
        (sent, unsent) = (Array(queue[..<count]), Array(queue[count...]))
        // LAST-ACK: the other end's FIN has to come before.
        hasSentEnd = socket.hasSentEnd && socket.stream.unsent == 0 && !sent.isEmpty && socket.state != TCP.TCP_LAST_ACK
        sendsEnd = socket.hasSentEnd && !hasSentEnd
        (receivesEnd, isQuiet) = (socket.hasReceivedEnd, socket.hasReceivedEnd)
        sentEndBefore = socket.state == TCP.TCP_CLOSING
    }
}

/// A TCP socket of the image that the monitor starts, and where the tree has it.
package struct TCPStarting: Sendable {
    /// The task and its descriptor; all TCP sockets without one are in flight, and have been started.
    package var task: UInt32
    package var number: UInt32
    package var start: TCPStart
    /// SO_REUSEADDR, which repair mode takes away.
    package var reusesAddress: Bool
    /// A connection is made anew: to this address. Empty: it is there.
    package var connects: [UInt8] = []
    /// The packet that closes it, or that tells it of its other end's FIN, and where that is sent.
    package var packet: (bytes: [UInt8], destination: [UInt8])?
    package var isClosed: Bool
    package var failed: Bool
    /// For errors.
    package var summary: String

    package static func all(in image: CheckpointImage) -> [TCPStarting] {
        var found: [TCPStarting] = []
        var seen: Set<UInt32> = []
        var index = -1
        var places: [UInt32: Int] = [:]
        for file in image.openFiles {
            guard case .tcp? = file.object else { continue }
            index += 1
            places[file.id] = index
        }
        if places.isEmpty { return [] }
        func add(_ task: UInt32, _ table: ImageFileTable?) {
            for descriptor in table?.descriptors ?? [] where places[descriptor.file] != nil && seen.insert(descriptor.file).inserted {
                guard let file = image.openFile(descriptor.file), case .tcp(let socket)? = file.object else { continue }
                if !socket.needsRepair && socket.state != TCP.TCP_SYN_SENT { continue }
                found.append(
                    TCPStarting(socket, of: image, task: task, descriptor.number, file.summary(in: image), place: places[descriptor.file] ?? 0))
            }
        }
        for process in image.processes where process.state != .zombie {
            let living = image.threads(of: process.pid).filter { !$0.hasExited_p }
            if let first = living.first { add(first.tid, image.fileTable(of: process)) }
            for thread in living { add(thread.tid, image.ownFileTable(of: thread)) }
        }
        return found
    }

    private init(
        _ socket: ImageTcpSocket, of image: CheckpointImage, task: UInt32, _ number: UInt32, _ summary: String, place: Int
    ) {
        (self.task, self.number, self.summary) = (task, number, summary)
        start = TCPStart(socket, of: image)
        reusesAddress = socket.reusesAddress
        (isClosed, failed) = (socket.isClosed, socket.failed)
        if socket.state == TCP.TCP_SYN_SENT { connects = socket.peerAddress.asBytes }
        let address = socket.address.asBytes
        guard isClosed || start.receivesEnd && !socket.belongsToDevice else { return }
        let made =
            isClosed
            ? TCPPacket.reset(from: ImageTcpSocket.standIn(place, address), to: address, sequence: start.receiveEnd, acknowledged: start.sendBase)
            : TCPPacket.end(from: socket.peerAddress.asBytes, to: address, sequence: start.receiveEnd, acknowledged: start.sendBase)
        packet = (made.bytes, made.destination)
    }
}
