internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// TCP sockets: what TCP_INFO tells of each, and what is on the way in those that are connected.
///
/// Details: `tcpState`, `family`; `address`, `peerAddress` (`struct sockaddr`); `backlog`, `waiting` (how many connections wait to be
/// accepted); `listenOrder`, `leaving`: see `lookIntoTable`; `hungUp`, `failed`, `refusal`; `stream` (numbers), `sendQueue`, `receiveQueue`; `unprivileged`, where these would have to
/// be looked at and cannot be; options: see ``SocketOptionSight``.
enum TCPSocket {
    /// Details of a connection that is looked at while it is used.
    static func isTCP(_ sight: OpenFileSight) -> Bool { sight.details["tcpState"] != nil }

    // MARK: - Look

    static func look(_ sights: inout [OpenFileSight], at indices: [Int], _ tree: inout TreeLook) throws(SystemError) {
        var connections: [Int] = []
        for index in indices {
            do throws(SystemError) {
                if try look(&sights[index], &tree) { connections.append(index) }
            } catch {
                // In a dry run the program goes on: it can have closed the socket.
                sights[index].fail(error)
                sights[index].details["refusal"] = RawText("which cannot be looked into: \(error.name) (\(error.call))")
            }
        }
        lookIntoTable(&sights, at: indices, tree)
        connections.removeAll { sights[$0].details["refusal"] != nil }
        if connections.isEmpty { return }
        let mode = tree.sight.connections ?? .keep
        if mode != .keep {
            // A dry run finds the same.
            connections = lock(&sights, connections, &tree)
            if connections.isEmpty { return }
        }
        guard Capabilities.currentEffective & Capability.set(Capability.CAP_NET_ADMIN) != 0 else {
            for index in connections { sights[index].details["unprivileged"] = "1" }
            return
        }
        // What goes on and is in repair mode for a moment would lose time, and could be harmed.
        guard tree.members.standsStill else { return }
        if mode == .keep { connections = lock(&sights, connections, &tree) }
        try lookIntoStreams(&sights, connections, tree.cameForward)
    }

    /// - Returns: whether repair mode has to tell the rest.
    private static func look(_ sight: inout OpenFileSight, _ tree: inout TreeLook) throws(SystemError) -> Bool {
        let socket = try SocketHandle(of: sight.holder.rawValue, descriptor: sight.number)
        let look = try TCPSocketLook(of: socket.copy.number)
        sight[number: "tcpState"] = UInt64(look.state)
        sight[number: "family"] = UInt64(look.family)
        if !look.address.isEmpty { sight.details["address"] = RawText(look.address) }
        if !look.peerAddress.isEmpty { sight.details["peerAddress"] = RawText(look.peerAddress) }
        if look.isHungUp { sight.details["hungUp"] = "1" }
        if look.hasError { sight.details["failed"] = "1" }
        if look.state == TCP.TCP_LISTEN {
            sight[number: "backlog"] = UInt64(look.backlog)
            if look.waiting != 0 { sight[number: "waiting"] = UInt64(look.waiting) }
        }
        if let name = look.upperLayer { sight.details["refusal"] = RawText("over which another protocol of the kernel runs: \(name) (TCP_ULP)") }
        if look.hasAuthentication { sight.details["refusal"] = "whose segments are signed (TCP-AO)" }
        if look.hasUrgentData { sight.details["refusal"] = "in which urgent data (MSG_OOB) waits" }
        let kind = try socket.kind
        if kind.number != UInt32(TCP.IPPROTO_TCP) && kind.number != 0 { sight.details["refusal"] = "of MPTCP, whose paths the kernel does not tell" }
        let isConnected = !look.peerAddress.isEmpty || look.isHungUp
        try SocketOptionSight.look(&sight, socket, isConnected: isConnected, &tree)
        if sight.details["refusal"] != nil { return false }
        if look.state == TCP.TCP_CLOSE, look.unread > 0, tree.members.standsStill {
            var room = [UInt8](repeating: 0, count: look.unread)
            let count = try SocketCalls.receive(socket.copy.number, into: &room, count: look.unread)
            sight.details["receiveQueue"] = RawText(Array(room[..<count]))
        }
        return ImageTcpSocket(state: look.state).isConnection
    }

    /// Of connections with both ends in the tree, what one has sent and what the other has received has to fit together, and the kernel goes
    /// on: those that do not fit are looked at again.
    private static func lookIntoStreams(
        _ sights: inout [OpenFileSight], _ connections: [Int], _ cameForward: () -> Void
    ) throws(SystemError) {
        var left = connections
        for _ in 0..<20 {
            for part in stride(from: 0, to: left.count, by: 256).map({ left[$0..<min($0 + 256, left.count)] }) {
                try lookIntoPart(&sights, part)
                cameForward()
            }
            left = misfits(sights, connections)
            if left.isEmpty { return }
        }
        for index in left { sights[index].details["refusal"] = "on which data still moves" }
    }

    private static func lookIntoPart(_ sights: inout [OpenFileSight], _ part: ArraySlice<Int>) throws(SystemError) {
        var numbers: [Int32] = []
        defer { for number in numbers { DescriptorTable.close(number) } }
        for index in part {
            numbers.append(try Descriptor.open(task: sights[index].holder.rawValue).duplicate(remote: sights[index].number).release())
        }
        for (index, found) in zip(part, try TCPStreamState.look(at: numbers)) {
            switch found {
            case .success(let stream):
                sights[index][number: "tcpState"] = UInt64(stream.state)
                let numbers =
                    [
                        stream.options, stream.sendScale, stream.receiveScale, stream.sendSequence, stream.unacknowledged, stream.unsent,
                        stream.receiveSequence, stream.segment, stream.timestamp,
                    ] + stream.window
                sights[index].details["stream"] = RawText(numbers.map(String.init).joined(separator: " "))
                sights[index].details["sendQueue"] = stream.sendQueue.isEmpty ? nil : RawText(stream.sendQueue)
                sights[index].details["receiveQueue"] = stream.receiveQueue.isEmpty ? nil : RawText(stream.receiveQueue)
            case .failure(let error) where error.name == "ECONNRESET":
                // It was reset before it was looked at.
                sights[index][number: "tcpState"] = UInt64(TCP.TCP_CLOSE)
                sights[index].details["hungUp"] = "1"
                sights[index].details["failed"] = "1"
            case .failure(let error):
                sights[index].details["refusal"] = RawText("which cannot be looked into: \(error.name) (\(error.call))")
            }
        }
    }

    private static func misfits(_ sights: [OpenFileSight], _ connections: [Int]) -> [Int] {
        let ends = TCPEnds(sights, connections)
        return connections.filter { index in
            guard let other = ends.other(of: sights[index]) else { return false }
            let (one, two) = (socket(sights[index]), socket(sights[other]))
            return !one.hasSent(whatIsReceivedBy: two) || !two.hasSent(whatIsReceivedBy: one)
        }
    }

    // MARK: - Values

    /// The record without what other files and options tell.
    static func socket(_ sight: OpenFileSight) -> ImageTcpSocket {
        var socket = ImageTcpSocket(state: UInt32(truncatingIfNeeded: sight[number: "tcpState"] ?? 0))
        socket.family = UInt32(truncatingIfNeeded: sight[number: "family"] ?? 0)
        socket.address = (sight.details["address"]?.bytes ?? []).asData
        socket.peerAddress = (sight.details["peerAddress"]?.bytes ?? []).asData
        socket.backlog = UInt32(truncatingIfNeeded: sight[number: "backlog"] ?? 0)
        socket.listenOrder = UInt32(truncatingIfNeeded: sight[number: "listenOrder"] ?? 0)
        socket.receivesNoMore = sight.details["hungUp"] != nil && !socket.hasReceivedEnd && !socket.isListening
        if socket.state == TCP.TCP_CLOSE {
            socket.peerAddress = [UInt8]().asData
            if !socket.isClosed { return socket }
            socket.failed = sight.details["failed"] != nil
            guard let queue = sight.details["receiveQueue"]?.bytes else { return socket }
            socket.stream.segment = 536
            socket.stream.receiveQueue = queue.asData
            return socket
        }
        guard socket.isConnection else { return socket }
        socket.stream = stream(sight, socket)
        return socket
    }

    private static func stream(_ sight: OpenFileSight, _ socket: ImageTcpSocket) -> ImageTcpStream {
        var stream = ImageTcpStream()
        guard let text = sight.details["stream"] else {
            // A dry run asks only whether it could be restarted.
            stream.segment = 536
            stream.unacknowledged = socket.hasSentEnd && socket.state != TCP.TCP_FIN_WAIT2 ? 1 : 0
            return stream
        }
        let numbers = text.bytes.split(separator: UInt8(ascii: " ")).map { UInt32(String(decoding: $0, as: UTF8.self)) ?? 0 }
        guard numbers.count == 14 else { return stream }
        stream.scalesWindows = numbers[0] & TCP.TCPI_OPT_WSCALE != 0
        stream.selective = numbers[0] & TCP.TCPI_OPT_SACK != 0
        stream.hasTimestamps_p = numbers[0] & TCP.TCPI_OPT_TIMESTAMPS != 0
        if stream.scalesWindows { (stream.sendScale, stream.receiveScale) = (numbers[1], numbers[2]) }
        (stream.sendSequence, stream.unacknowledged, stream.unsent) = (numbers[3], numbers[4], numbers[5])
        (stream.receiveSequence, stream.segment, stream.timestamp) = (numbers[6], numbers[7], numbers[8])
        stream.window.sendUpdate = numbers[9]
        stream.window.send = numbers[10]
        stream.window.largest = numbers[11]
        stream.window.receive = numbers[12]
        stream.window.receiveUpdate = numbers[13]
        stream.sendQueue = (sight.details["sendQueue"]?.bytes ?? []).asData
        stream.receiveQueue = (sight.details["receiveQueue"]?.bytes ?? []).asData
        return stream
    }
}

/// Connections of the tree by both addresses: finds the other end of one.
struct TCPEnds {
    private var places: [[UInt8]: Int] = [:]

    init(_ sights: [OpenFileSight], _ indices: [Int]) {
        for index in indices {
            guard let address = sights[index].details["address"]?.bytes, let peer = sights[index].details["peerAddress"]?.bytes else { continue }
            places[Self.key(address, peer)] = index
        }
    }

    func other(of sight: OpenFileSight) -> Int? {
        guard let address = sight.details["address"]?.bytes, let peer = sight.details["peerAddress"]?.bytes else { return nil }
        return places[Self.key(peer, address)]
    }

    private static func key(_ address: [UInt8], _ peer: [UInt8]) -> [UInt8] { ImageTcpSocket.endpoint(address) + ImageTcpSocket.endpoint(peer) }
}
