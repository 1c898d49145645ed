import LinuxABI

/// A packet that a TCP socket of this host gets in the name of its other end.
///
/// - Source: RFC 9293.
enum TCPPacket {
    private static let FIN: UInt8 = 1
    private static let RST: UInt8 = 4
    private static let ACK: UInt8 = 0x10

    /// Closes the connection at once.
    ///
    /// - Parameters:
    ///   - source: `struct sockaddr` of the other end, and `target` that of the socket, of one family; IPv4 can be mapped to IPv6.
    ///   - sequence: the next number that the socket expects.
    static func reset(from source: [UInt8], to target: [UInt8], sequence: UInt32, acknowledged: UInt32) -> InternetPacket {
        packet(RST | ACK, from: source, to: target, sequence, acknowledged)
    }

    /// The other end sends no more.
    static func end(from source: [UInt8], to target: [UInt8], sequence: UInt32, acknowledged: UInt32) -> InternetPacket {
        packet(FIN | ACK, from: source, to: target, sequence, acknowledged)
    }

    private static func packet(
        _ flags: UInt8, from source: [UInt8], to target: [UInt8], _ sequence: UInt32, _ acknowledged: UInt32
    ) -> InternetPacket {
        let (one, two) = (host(source), host(target))
        let next = UInt8(TCP.IPPROTO_TCP)
        // Ports, header length, flags, window, checksum, urgent pointer.
        let fields: [[UInt8]] = [
            Array(source[2..<4]), Array(target[2..<4]), InternetPacket.word(sequence), InternetPacket.word(acknowledged),
            [5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0],
        ]
        var segment = Array(fields.joined())
        segment.replaceSubrange(16..<18, with: InternetPacket.checksum(from: one, to: two, next, segment))
        let device = target.count < 28 ? 0 : (0..<4).reduce(0) { $0 | UInt32(target[24 + $1]) << ($1 * 8) }
        return InternetPacket(from: one, to: two, next, segment, device: device)
    }

    /// 4 or 16 bytes.
    private static func host(_ address: [UInt8]) -> [UInt8] {
        if address.count < 28 { return Array(address[4..<8]) }
        let host = Array(address[8..<24])
        return SocketAddress.mapped(host) ?? host
    }
}
