import CheckpointImage
import FoundationEssentials
import LinuxABI

/// A datagram as a packet that a raw socket sends over the loopback device, in the name of who had sent it.
///
/// Nothing checks the source of a packet there: it comes with the route by which it went. A firewall may still drop it.
///
/// - Source: raw(7), RFC 768 (UDP), RFC 3828 (UDP-Lite).
struct SpoofedDatagram {
    /// AF_INET or AF_INET6: of the packet. Through a socket of IPv6 come packets of IPv4, too.
    let family: UInt32
    /// The header of IP, that of UDP, and the contents.
    let bytes: [UInt8]
    /// Where it is sent to, as a socket address without a port.
    let destination: [UInt8]

    /// Nil: it would not come as it came (a link-local address belongs to a device).
    init?(of datagram: ImageInetDatagram, to socket: ImageInetSocket) {
        var source = datagram.from.host.asBytes
        var target = socket.local.host.asBytes
        let isAny = socket.local.isAny
        let mapped = [UInt8](repeating: 0, count: 10) + [255, 255]
        if source.count == 16, source.starts(with: mapped) {
            source = Array(source[12...])
            target = isAny ? [127, 0, 0, 1] : Array(target.suffix(4))
        } else if isAny {
            target = source.count == 4 ? [127, 0, 0, 1] : [UInt8](repeating: 0, count: 15) + [1]
        }
        let isLinkLocal = source.count == 16 && source[0] == 0xfe && source[1] & 0xc0 == 0x80
        // A multicast packet would leave the host.
        guard source.count == target.count, !isLinkLocal, target[0] < (source.count == 4 ? 224 : 255), target[0] != 0xfe || source.count == 4 else { return nil }
        let contents = datagram.bytes.asBytes
        let size = contents.count + 8
        guard size <= 65_535 - (source.count == 4 ? 20 : 0) else { return nil }
        let isLite = socket.protocol == Socket.IPPROTO_UDPLITE
        // UDP-Lite has the coverage of the checksum in place of the length; 0: all.
        let fields: [[UInt8]] = [Self.big(datagram.from.port), Self.big(socket.local.port), Self.big(isLite ? 0 : UInt32(size)), [0, 0]]
        var header = Array(fields.joined())
        let next = UInt8(truncatingIfNeeded: socket.protocol)
        let summed: [[UInt8]] = [source, target, Self.big(UInt32(size)), [0, next], header, contents]
        let sum = Self.checksum(Array(summed.joined()))
        (header[6], header[7]) = (UInt8(sum >> 8), UInt8(sum & 0xff))
        if source.count == 4 {
            family = Socket.AF_INET
            // The kernel fills in length and checksum.
            let parts: [[UInt8]] = [[0x45, 0], Self.big(UInt32(size + 20)), [0, 0, 0, 0, 64, next, 0, 0], source, target, header, contents]
            bytes = Array(parts.joined())
            let address: [[UInt8]] = [[2, 0, 0, 0], target, [UInt8](repeating: 0, count: 8)]
            destination = Array(address.joined())
        } else {
            family = Socket.AF_INET6
            let parts: [[UInt8]] = [[0x60, 0, 0, 0], Self.big(UInt32(size)), [next, 64], source, target, header, contents]
            bytes = Array(parts.joined())
            let address: [[UInt8]] = [[10, 0, 0, 0, 0, 0, 0, 0], target, [0, 0, 0, 0]]
            destination = Array(address.joined())
        }
    }

    private static func big(_ value: UInt32) -> [UInt8] { [UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)] }

    /// Of the internet. 0 means none, so it is replaced by its other representation.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for place in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[place]) << 8 | (place + 1 < bytes.count ? UInt32(bytes[place + 1]) : 0)
            sum = (sum & 0xffff) + sum >> 16
        }
        let result = ~UInt16(truncatingIfNeeded: sum)
        return result == 0 ? 0xffff : result
    }
}
