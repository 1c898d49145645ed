internal import Glibc
internal import LinuxABI

/// What the kernel tells of netlink sockets.
///
/// - Source: linux/netlink_diag.h; netlink(7), NETLINK_LIST_MEMBERSHIPS; `/proc/net/netfilter`.
package struct NetlinkSocketState: Equatable, Sendable {
    /// A dump goes on: what has not been read comes when there is room.
    package var isDumping = false
    package var peerPort: UInt32 = 0
    /// The group that it sends to by default.
    package var peerGroup: UInt32 = 0

    /// By inode.
    ///
    /// - Errors: `ENOENT`: this kernel does not tell (CONFIG_NETLINK_DIAG).
    package static func table() throws(SystemError) -> [UInt64: NetlinkSocketState] {
        // struct netlink_diag_req: family, NDIAG_PROTO_ALL, padding, inode; NDIAG_SHOW_FLAGS; cookie
        var request = [UInt8](repeating: 0, count: 20)
        (request[0], request[1], request[8]) = (16, 255, 8)
        return Dictionary(try SockDiag.dump(request).compactMap(parse), uniquingKeysWith: { first, _ in first })
    }

    /// `struct netlink_diag_msg`: family, type, protocol, state; port, peer's port, peer's group, inode, cookie (28 bytes). Attribute
    /// NETLINK_DIAG_FLAGS 4: CB_RUNNING 1.
    static func parse(_ message: [UInt8]) -> (UInt64, NetlinkSocketState)? {
        guard message.count >= 28 else { return nil }
        var state = NetlinkSocketState()
        state.peerPort = message.word(at: 8)
        state.peerGroup = message.word(at: 12)
        if let flags = SockDiag.attributes(of: message, from: 28)[4] { state.isDumping = flags.word(at: 0) & 1 != 0 }
        return (UInt64(message.word(at: 16)), state)
    }

    /// The groups of a socket, 1 and up.
    package static func groups(of socket: borrowing SocketHandle) -> [UInt32] {
        let bytes = socket.option(SocketOption.SOL_NETLINK, Socket.NETLINK_LIST_MEMBERSHIPS, upTo: 8192) ?? []
        var found: [UInt32] = []
        for (place, byte) in bytes.enumerated() {
            for bit in 0..<8 where byte & UInt8(1 << bit) != 0 { found.append(UInt32(place * 8 + bit + 1)) }
        }
        return found
    }

    /// Ports for which the kernel keeps a queue or log of packets: netfilter's programs set it up by messages.
    package static func netfilterPorts() -> Set<UInt32> {
        var found: Set<UInt32> = []
        for name in ["nfnetlink_queue", "nfnetlink_log"] {
            guard let text = try? readKernelText("/proc/self/net/netfilter/\(name)", capacity: 1 << 14) else { continue }
            for line in text.split(separator: .newline) {
                let fields = line.split(separator: .blank)
                if fields.count > 1, let port = UInt32(String(decoding: fields[1], as: UTF8.self)) { found.insert(port) }
            }
        }
        return found
    }
}
