import CheckpointImage
import Testing

@testable import RestorePlan

/// How TCP connections are made again.
@Suite struct TCPSocketPlanTests {
    private func end(_ state: UInt32, queue: [UInt8] = [], unacknowledged: UInt32, unsent: UInt32 = 0, received: UInt32 = 500) -> ImageTcpSocket {
        var socket = ImageTcpSocket(state: state)
        socket.stream.sendSequence = 1000
        socket.stream.unacknowledged = unacknowledged
        socket.stream.unsent = unsent
        socket.stream.sendQueue = queue.asData
        socket.stream.receiveSequence = received
        return socket
    }

    /// What a peer outside may have received counts as sent, the rest is sent.
    @Test func peerOutside() {
        let start = TCPStart(end(1, queue: [1, 2, 3], unacknowledged: 3, unsent: 1), nil)
        #expect(start.sendBase == 997 && start.sent == [1, 2] && start.unsent == [3] && !start.sendsEnd && start.endOfRepair == 0)
    }

    /// What the other end in the tree has received is gone, the rest is sent at once.
    @Test func peerInTheTree() {
        let start = TCPStart(end(1, queue: [1, 2, 3], unacknowledged: 3), end(1, unacknowledged: 0, received: 999))
        #expect(start.sendBase == 999 && start.sent.isEmpty && start.unsent == [3])
    }

    /// FIN has a number of its own: FIN-WAIT-1 with a byte before it, FIN-WAIT-2, LAST-ACK with FIN not sent yet.
    @Test func ends() {
        let first = TCPStart(end(4, queue: [1], unacknowledged: 2), nil)
        #expect(first.sendBase == 998 && first.sent == [1] && first.hasSentEnd && !first.sendsEnd)
        let second = TCPStart(end(5, unacknowledged: 0), nil)
        #expect(second.sendBase == 999 && second.sendsEnd && !second.hasSentEnd)
        let last = TCPStart(end(9, queue: [1], unacknowledged: 2, unsent: 2), nil)
        #expect(last.unsent == [1] && last.sendsEnd && last.receivesEnd && last.receiveEnd == 499 && last.isQuiet)
        let inside = TCPStart(end(4, queue: [1], unacknowledged: 2), end(8, unacknowledged: 0, received: 1000))
        #expect(inside.sendBase == 999 && inside.unsent.isEmpty && inside.sendsEnd)
    }

    /// A reset as a raw socket sends it: the checksum makes the sum over pseudo header and segment all ones.
    @Test func reset() {
        let packet = TCPPacket.reset(
            from: [2, 0, 0, 9, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8), to: [2, 0, 0, 80, 127, 0, 0, 2] + [UInt8](repeating: 0, count: 8),
            sequence: 0x0102_0304, acknowledged: 5
        ).bytes
        #expect(packet.count == 40 && packet[12..<20].elementsEqual([127, 0, 0, 1, 127, 0, 0, 2]))
        #expect(packet[20..<36].elementsEqual([0, 9, 0, 80, 1, 2, 3, 4, 0, 0, 0, 5, 0x50, 0x14, 0xff, 0xff]))
        let summed = packet[12...] + [0, 6, 0, 20]
        var sum = stride(from: summed.startIndex, to: summed.endIndex, by: 2).reduce(0) { $0 + (Int(summed[$1]) << 8 | Int(summed[$1 + 1])) }
        while sum > 0xffff { sum = sum & 0xffff + sum >> 16 }
        #expect(sum == 0xffff)
    }
}
