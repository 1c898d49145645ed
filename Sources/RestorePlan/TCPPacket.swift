import CheckpointImage
import LinuxABI

/// A packet that closes a TCP socket of this host, as a raw socket sends it: with its IP header.
///
/// - Source: RFC 791, RFC 8200, RFC 9293; raw(7).
package enum TCPPacket {
    private static let RST: UInt8 = 4
    private static let ACK: UInt8 = 0x10

    /// - Parameters:
    ///   - source: `struct sockaddr` of the other end, and `target` that of the socket, of one family; IPv4 can be mapped to IPv6.
    ///   - sequence: the next number that the socket expects.
    package static func reset(from source: [UInt8], to target: [UInt8], sequence: UInt32, acknowledged: UInt32) -> [UInt8] {
        let (one, two) = (host(source), host(target))
        var segment = Array(source[2..<4]) + Array(target[2..<4]) + bytes(sequence) + bytes(acknowledged)
        // Header length, flags, window, checksum, urgent pointer.
        segment += [5 << 4, RST | ACK, 0xff, 0xff, 0, 0, 0, 0]
        let sum = checksum(one + two + bytes(UInt32(segment.count)) + [0, 0, 0, 6] + segment)
        (segment[16], segment[17]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
        if one.count == 4 {
            // The kernel fills in the length, the identification and the checksum.
            return [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0] + one + two + segment
        }
        return [0x60, 0, 0, 0, 0, 20, 6, 64] + one + two + segment
    }

    /// Where it is sent to: `struct sockaddr` without a port.
    package static func destination(_ target: [UInt8]) -> [UInt8] {
        let host = host(target)
        if host.count == 4 { return [2, 0, 0, 0] + host + [UInt8](repeating: 0, count: 8) }
        return [10, 0, 0, 0, 0, 0, 0, 0] + host + target[24..<28]
    }

    /// 4 or 16 bytes.
    private static func host(_ address: [UInt8]) -> [UInt8] {
        if address.count < 28 { return Array(address[4..<8]) }
        let host = Array(address[8..<24])
        let isMapped = host[..<10].allSatisfy { $0 == 0 } && host[10] == 0xff && host[11] == 0xff
        return isMapped ? Array(host[12...]) : host
    }

    /// The first byte first, as in packets.
    private static func bytes(_ word: UInt32) -> [UInt8] { (0..<4).reversed().map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }

    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var sum: UInt32 = 0
        for place in stride(from: 0, to: bytes.count - 1, by: 2) { sum += UInt32(bytes[place]) << 8 | UInt32(bytes[place + 1]) }
        while sum > 0xffff { sum = (sum & 0xffff) + sum >> 16 }
        return ~sum & 0xffff
    }
}
