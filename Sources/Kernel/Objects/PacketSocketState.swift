/// What sock_diag(7) tells of packet sockets.
///
/// - Source: linux/packet_diag.h; net/packet/diag.c.
package struct PacketSocketState: Equatable, Sendable {
    package struct Membership: Equatable, Sendable {
        package var device: UInt32
        package var type: UInt32
        package var address: [UInt8]
        package var count: UInt32
    }

    package var memberships: [Membership] = []
    package var copyThreshold: UInt32 = 0
    package var hasRing = false
    package var isInFanout = false

    /// By inode.
    ///
    /// - Errors: `ENOENT`: this kernel does not tell (CONFIG_PACKET_DIAG).
    package static func table() throws(SystemError) -> [UInt64: PacketSocketState] {
        // struct packet_diag_req: family, protocol, padding, inode; INFO | MCLIST | RING_CFG | FANOUT; cookie
        var request = [UInt8](repeating: 0, count: 20)
        (request[0], request[8]) = (17, 1 | 2 | 4 | 8)
        return Dictionary(try SockDiag.dump(request).compactMap(parse), uniquingKeysWith: { first, _ in first })
    }

    /// `struct packet_diag_msg`: family, type, protocol, inode, cookie (16 bytes). Attributes: INFO 0, MCLIST 1, RX_RING 2, TX_RING 3,
    /// FANOUT 4.
    static func parse(_ message: [UInt8]) -> (UInt64, PacketSocketState)? {
        guard message.count >= 16 else { return nil }
        var state = PacketSocketState()
        let attributes = SockDiag.attributes(of: message, from: 16)
        // index, version, reserve, copy threshold, timestamp, flags
        if let info = attributes[0] { state.copyThreshold = info.word(at: 12) }
        // struct packet_diag_mclist: device, count, type and length of the address (2 bytes each), the address (32 bytes)
        let list = attributes[1] ?? []
        for place in stride(from: 0, to: list.count - 43, by: 44) {
            let size = Int(list.word(at: place + 8) >> 16)
            state.memberships.append(
                Membership(
                    device: list.word(at: place), type: list.word(at: place + 8) & 0xffff, address: Array(list[place + 12..<place + 12 + min(size, 32)]),
                    count: list.word(at: place + 4)))
        }
        state.hasRing = attributes[2] != nil || attributes[3] != nil
        state.isInFanout = attributes[4] != nil
        return (UInt64(message.word(at: 4)), state)
    }
}
