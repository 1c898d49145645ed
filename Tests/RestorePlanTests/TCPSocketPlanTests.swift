import CheckpointImage
import LinuxABI
import StepProgram
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

    /// The FIN of a peer outside comes before the socket's own in LAST-ACK, which is sent anew for that, and after it in CLOSING.
    @Test func orderOfEnds() {
        let last = TCPStart(end(9, queue: [1], unacknowledged: 2), nil)
        #expect(last.sent == [1] && last.receivesEnd && !last.hasSentEnd && last.sendsEnd && !last.sentEndBefore)
        let closing = TCPStart(end(11, queue: [1], unacknowledged: 2), nil)
        #expect(closing.sent == [1] && closing.receivesEnd && closing.hasSentEnd && !closing.sendsEnd && closing.sentEndBefore)
    }

    /// What a socket of one network device gets from itself finds no socket.
    @Test func socketOfADevice() {
        var socket = end(8, unacknowledged: 0)
        let address: [UInt8] = [10, 0, 0, 80] + [UInt8](repeating: 0, count: 20)
        socket.address = (address + [0, 0, 0, 0]).asData
        #expect(!socket.belongsToDevice)
        socket.address = (address + [2, 0, 0, 0]).asData
        #expect(socket.belongsToDevice)
        socket.address = (address + [0, 0, 0, 0]).asData
        var option = ImageInetOption()
        (option.level, option.number) = (1, 25)
        socket.options = [option]
        #expect(socket.belongsToDevice)
    }

    private func socket(_ state: UInt32, port: UInt8, order: UInt32 = 0) -> ImageTcpSocket {
        var socket = ImageTcpSocket(state: state)
        (socket.family, socket.listenOrder) = (2, order)
        socket.address = ([2, 0, 0, port, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)).asData
        if state == TCP.TCP_SYN_SENT { socket.peerAddress = ([2, 0, 0, 99, 127, 0, 0, 1] + [UInt8](repeating: 0, count: 8)).asData }
        return socket
    }

    private func steps(_ sockets: [ImageTcpSocket], capabilities: UInt64 = .max) throws -> [Step] {
        var sample = Sample()
        sample.facts.ownCredentials.effective = capabilities
        for (index, socket) in sockets.enumerated() { _ = sample.addFile(.tcp(socket), at: [(0, 7 + UInt32(index))]) }
        return RestorePlan(for: try sample.valid()).launchpad.programs[0].steps
    }

    /// Sockets of one port listen in the order in which they began to.
    @Test func listenOrder() throws {
        let steps = try steps([(80, 3), (81, 1), (82, 2)].map { socket(TCP.TCP_LISTEN, port: $0.0, order: $0.1) })
        let bound = steps.filter { $0.name == "bind" }.map { $0.arguments[0] }
        let listening = steps.filter { $0.name == "listen" }.map { $0.arguments[0] }
        try #require(bound.count == 3)
        #expect(listening == [bound[1], bound[2], bound[0]])
    }

    /// Other connections can have the port of one that is made anew: bind(2) refuses that, but for repair mode.
    @Test(arguments: [(UInt64.max, true), (0, false)]) func portOfAClient(capabilities: UInt64, inRepair: Bool) throws {
        let steps = try steps([socket(TCP.TCP_SYN_SENT, port: 80)], capabilities: capabilities)
        let bind = try #require(steps.firstIndex { $0.name == "bind" })
        func sets(_ index: Int, _ number: UInt32) -> Bool { steps[index].name == "setsockopt" && steps[index].arguments[2] == .number(number) }
        #expect(sets(bind - 1, inRepair ? TCP.TCP_REPAIR : SocketOptions.SO_REUSEADDR))
        #expect(sets(bind + 1, TCP.TCP_REPAIR) == inRepair)
        if inRepair { #expect(sets(bind + 2, SocketOptions.SO_REUSEADDR)) }
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
