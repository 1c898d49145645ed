import CheckpointImage
import FoundationEssentials
import LinuxABI

/// A datagram as a packet that a raw socket sends over the loopback device, in the name of who had sent it.
///
/// Nothing checks the source of a packet there: it comes with the route by which it went. A firewall may still drop it.
///
/// - Source: raw(7), RFC 768 (UDP), RFC 3828 (UDP-Lite).
struct SpoofedDatagram {
    /// Through a socket of IPv6 come packets of IPv4, too.
    let packet: InternetPacket

    /// Nil: it would not come as it came (a link-local address belongs to a device).
    init?(of datagram: ImageInetDatagram, to socket: ImageInetSocket) {
        var source = datagram.from.host.asBytes
        var target = socket.local.host.asBytes
        let isAny = socket.local.isAny
        if let four = SocketAddress.mapped(source) {
            source = four
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
        let fields: [[UInt8]] = [
            InternetPacket.half(datagram.from.port), InternetPacket.half(socket.local.port), InternetPacket.half(isLite ? 0 : UInt32(size)), [0, 0], contents,
        ]
        var segment = Array(fields.joined())
        let next = UInt8(truncatingIfNeeded: socket.protocol)
        let sum = InternetPacket.checksum(from: source, to: target, next, segment)
        // 0 would mean that there is none: it has another representation.
        segment.replaceSubrange(6..<8, with: sum == [0, 0] ? [0xff, 0xff] : sum)
        packet = InternetPacket(from: source, to: target, next, segment)
    }
}
