import LinuxABI

/// A packet with its IP header, as a raw socket sends it to this host in the name of another.
///
/// - Source: RFC 791, RFC 8200; raw(7).
struct InternetPacket {
    /// AF_INET or AF_INET6.
    let family: UInt32
    let bytes: [UInt8]
    /// Where it is sent to: `struct sockaddr` without a port.
    let destination: [UInt8]

    /// - Parameters:
    ///   - source: 4 or 16 bytes, as many as `target`.
    ///   - next: the protocol of what is in it: IPPROTO_*.
    ///   - device: of a link-local target, by number.
    init(from source: [UInt8], to target: [UInt8], _ next: UInt8, _ segment: [UInt8], device: UInt32 = 0) {
        let size = UInt32(segment.count)
        if source.count == 4 {
            family = Socket.AF_INET
            // The kernel fills in the identification and the checksum.
            let parts: [[UInt8]] = [[0x45, 0], Self.half(size + 20), [0, 0, 0, 0, 64, next, 0, 0], source, target, segment]
            bytes = Array(parts.joined())
            let address: [[UInt8]] = [[2, 0, 0, 0], target, [UInt8](repeating: 0, count: 8)]
            destination = Array(address.joined())
        } else {
            family = Socket.AF_INET6
            let parts: [[UInt8]] = [[0x60, 0, 0, 0], Self.half(size), [next, 64], source, target, segment]
            bytes = Array(parts.joined())
            let address: [[UInt8]] = [[10, 0, 0, 0, 0, 0, 0, 0], target, (0..<4).map { UInt8(truncatingIfNeeded: device >> ($0 * 8)) }]
            destination = Array(address.joined())
        }
    }

    /// The checksum of UDP and TCP, over the addresses, too.
    static func checksum(from source: [UInt8], to target: [UInt8], _ next: UInt8, _ segment: [UInt8]) -> [UInt8] {
        let parts: [[UInt8]] = [source, target, word(UInt32(segment.count)), [0, 0, 0, next], segment]
        return half(UInt32(checksum(Array(parts.joined()))))
    }

    /// Of the internet. Source: RFC 1071.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for place in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[place]) << 8 | (place + 1 < bytes.count ? UInt32(bytes[place + 1]) : 0)
            sum = (sum & 0xffff) + sum >> 16
        }
        return ~UInt16(truncatingIfNeeded: sum)
    }

    /// The first byte first, as in packets.
    static func half(_ value: UInt32) -> [UInt8] { [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)] }
    static func word(_ value: UInt32) -> [UInt8] { half(value >> 16) + half(value) }
}
