package import FoundationEssentials
internal import LinuxABI

/// A tcp(7) socket. All of an image are made together, by its root: a port belongs to several of them, and a connection can have
/// both ends in the tree.
extension ImageTcpSocket: SavedObject {
    package var references: [ObjectReference] { ((peer == 0 ? [] : [peer]) + waiting).map { .openFile($0) } }
    package var bundle: ObjectReference? { .tcpSockets }
    package var isMadeByRoot: Bool { true }

    package var isListening: Bool { state == TCP.TCP_LISTEN }
    /// It has another end, whether FIN was sent and received or not.
    package var isConnection: Bool { Self.connections.contains(state) }
    /// It has had one.
    package var isClosed: Bool { state == TCP.TCP_CLOSE && receivesNoMore }
    /// FIN is behind the last byte that was sent, or is to be.
    package var hasSentEnd: Bool { Self.sentEnd.contains(state) }
    package var hasReceivedEnd: Bool { Self.receivedEnd.contains(state) }

    private static let connections: Set<UInt32> = sentEnd.union(receivedEnd).union([TCP.TCP_ESTABLISHED])
    private static let sentEnd: Set<UInt32> = [TCP.TCP_FIN_WAIT1, TCP.TCP_FIN_WAIT2, TCP.TCP_CLOSING, TCP.TCP_LAST_ACK]
    private static let receivedEnd: Set<UInt32> = [TCP.TCP_CLOSE_WAIT, TCP.TCP_LAST_ACK, TCP.TCP_CLOSING]

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(family == TCP.AF_INET || family == TCP.AF_INET6, .tcpState)
        try rules.require(isListening || isConnection || state == TCP.TCP_CLOSE || state == TCP.TCP_SYN_SENT, .tcpState)
        for one in [address, peerAddress] { try rules.require(one.isEmpty || Self.isAddress(one, family), .tcpAddress) }
        try rules.require(!(isConnection || state == TCP.TCP_SYN_SENT) || !address.isEmpty && !peerAddress.isEmpty, .tcpAddress)
        try rules.require(!isClosed || !address.isEmpty, .tcpAddress)
        try rules.require(isListening || backlog == 0 && waiting.isEmpty && listenOrder == 0, .tcpState)
        try rules.require(!failed || isClosed, .tcpState)
        try rules.require(!receivesNoMore || isConnection || isClosed, .tcpState)
        try rules.require(hasStream ? isConnection || isClosed : !isConnection, .tcpState)
        if hasStream { try checkStream(rules) }
        if peer != 0 { try checkPeer(rules) }
        try rules.require(Set(waiting).count == waiting.count && !waiting.contains(rules.id), .tcpState)
        for id in waiting {
            guard case .tcp(let client)? = rules.lookup.openFile[id].map({ rules.records.openFiles[$0] })?.object else {
                throw .rule(.tcpPeer, "open file \(rules.id)")
            }
            try rules.require(client.state == TCP.TCP_ESTABLISHED && client.peer == 0, .tcpPeer)
        }
        try rules.requireOptions(options, of: family == TCP.AF_INET ? .ipv4 : .ipv6)
    }

    private func checkStream(_ rules: RuleContext) throws(ImageError) {
        let end: UInt32 = hasSentEnd && state != TCP.TCP_FIN_WAIT2 ? 1 : 0
        try rules.require(UInt64(stream.unacknowledged) == UInt64(stream.sendQueue.count) + UInt64(end), .tcpStream)
        try rules.require(stream.unsent <= stream.unacknowledged, .tcpStream)
        try rules.require(!isClosed || stream.sendQueue.isEmpty, .tcpStream)
        try rules.require((1...65535).contains(stream.segment), .tcpStream)
        // Source: RFC 7323
        try rules.require(stream.sendScale <= 14 && stream.receiveScale <= 14, .tcpStream)
        try rules.require(stream.window.largest >= stream.window.send, .tcpStream)
    }

    /// Ends of a connection name each other, and each has received what the other has sent.
    private func checkPeer(_ rules: RuleContext) throws(ImageError) {
        guard case .tcp(let other)? = rules.lookup.openFile[peer].map({ rules.records.openFiles[$0] })?.object else {
            throw .rule(.tcpPeer, "open file \(rules.id)")
        }
        try rules.require(isConnection && other.isConnection && other.peer == rules.id && peer != rules.id, .tcpPeer)
        try rules.require(Self.endpoint(other.address) == Self.endpoint(peerAddress), .tcpPeer)
        try rules.require(hasSent(whatIsReceivedBy: other), .tcpStream)
        try rules.require(!other.hasReceivedEnd || hasSentEnd, .tcpStream)
    }

    // MARK: - Sequence numbers

    /// Of the byte behind the last one that was sent: of FIN, where that was sent.
    package var sendEnd: UInt32 { stream.sendSequence &- (hasSentEnd ? 1 : 0) }
    package var receiveEnd: UInt32 { stream.receiveSequence &- (hasReceivedEnd ? 1 : 0) }
    package var firstUnacknowledged: UInt32 { stream.sendSequence &- stream.unacknowledged }

    /// Whether what the other end has received is between what it has acknowledged and what was sent.
    package func hasSent(whatIsReceivedBy other: Self) -> Bool {
        other.stream.receiveSequence &- firstUnacknowledged <= stream.unacknowledged
    }

    // MARK: - Addresses

    /// `struct sockaddr_in` or `sockaddr_in6`.
    package static func isAddress(_ address: Data, _ family: UInt32) -> Bool {
        let bytes = address.asBytes
        return bytes.count == (family == TCP.AF_INET ? 16 : 28) && bytes[0] == UInt8(truncatingIfNeeded: family) && bytes[1] == 0
    }

    /// Port and host, of IPv4 mapped to IPv6: equal for the two ends of a connection that see it by different families.
    package static func endpoint(_ address: Data) -> [UInt8] { endpoint(address.asBytes) }

    package static func endpoint(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= 16 else { return [] }
        if bytes.count < 28 { return Array(bytes[2..<4]) + mapped + bytes[4..<8] }
        return Array(bytes[2..<4]) + bytes[8..<24]
    }

    private static let mapped: [UInt8] = [UInt8](repeating: 0, count: 10) + [0xff, 0xff]

    /// What it is found by among the sockets of a host: its endpoint, and that of its other end if it has one.
    package var key: [UInt8] { Self.endpoint(address) + (isConnection ? Self.endpoint(peerAddress) : []) }

    // MARK: - Words

    /// `127.0.0.1`, `::1`
    package static func host(_ address: Data) -> String {
        let text = shown(address)
        return String(text.prefix(upTo: text.lastIndex(of: ":") ?? text.endIndex)).filter { $0 != "[" && $0 != "]" }
    }

    package func summary(in image: CheckpointImage) -> String {
        var text = "TCP socket"
        if !address.isEmpty { text += " \(Self.shown(address))" }
        if isListening { text += ", listens" }
        if isConnection { text += ", connected with \(Self.shown(peerAddress))" }
        if state == TCP.TCP_SYN_SENT { text += ", connecting with \(Self.shown(peerAddress))" }
        if isClosed { text += ", closed" }
        if !stream.receiveQueue.isEmpty { text += ", \(stream.receiveQueue.count) bytes wait" }
        if !stream.sendQueue.isEmpty { text += ", \(stream.sendQueue.count) bytes on the way" }
        return text
    }

    /// `127.0.0.1:80`, `[::1]:80`.
    package static func shown(_ address: Data) -> String { SocketAddress.text(of: address.asBytes) ?? "" }
}

extension ImageTcpSocket {
    package init(state: UInt32) {
        self.init()
        self.state = state
    }
}
