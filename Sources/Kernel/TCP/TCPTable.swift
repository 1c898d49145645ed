internal import LinuxABI

/// TCP sockets of this network namespace as the kernel's table of them has them, in its order.
///
/// - Source: sock_diag(7), linux/inet_diag.h; net/ipv4/inet_diag.c.
package enum TCPTable {
    package struct Entry: Sendable, Equatable {
        /// 0: no descriptor leads to it.
        package var inode: UInt64
        package var state: UInt32
        /// `struct sockaddr_in` or `sockaddr_in6`
        package var local: [UInt8]
        package var peer: [UInt8]
        /// Bytes that wait to be received; of one that listens, connections that wait to be accepted.
        package var unread: UInt32
        /// Bytes that it has to send or to get acknowledged; FIN counts as one.
        package var unacknowledged: UInt32
        /// Its segments are signed by keys of TCP_MD5SIG. Told only to CAP_NET_ADMIN.
        package var isSigned: Bool
    }

    /// - Parameters:
    ///   - family: AF_INET or AF_INET6.
    ///   - states: TCP_*; others are left out by the kernel.
    /// - Errors: `ENOENT`: this kernel cannot tell (CONFIG_INET_TCP_DIAG).
    package static func entries(of family: UInt32, in states: [UInt32]) throws(SystemError) -> [Entry] {
        // struct inet_diag_req_v2: family, protocol, extensions, padding, states, an address (48 bytes)
        var request = [UInt8](repeating: 0, count: 56)
        // Keys of TCP_MD5SIG come with INET_DIAG_INFO only.
        (request[0], request[1], request[2]) = (UInt8(truncatingIfNeeded: family), UInt8(TCP.IPPROTO_TCP), 1 << (2 - 1))
        let mask: UInt32 = states.reduce(0) { $0 | 1 << $1 }
        for place in 0..<4 { request[4 + place] = UInt8(truncatingIfNeeded: mask >> (place * 8)) }
        return try SockDiag.dump(request).compactMap(entry)
    }

    /// The order in which sockets of one address and port began to listen, oldest first.
    ///
    /// The kernel puts a new one before the others of its address, an IPv6 one that shares its port (SO_REUSEPORT) behind them.
    /// - Source: net/ipv4/inet_hashtables.c, `__inet_hash`.
    package static func inOrder(_ listening: [Entry], of family: UInt32) -> [Entry] { family == Socket.AF_INET ? listening.reversed() : listening }

    /// `struct inet_diag_msg`: family, state, timer, retrans; ports, addresses, device, cookie (48 bytes); expires, rqueue, wqueue,
    /// uid, inode. The attribute INET_DIAG_MD5SIG is 18.
    static func entry(_ message: [UInt8]) -> Entry? {
        guard message.count >= 72 else { return nil }
        return Entry(
            inode: UInt64(message.word(at: 68)), state: UInt32(message[1]), local: address(message, 4, 8), peer: address(message, 6, 24),
            unread: message.word(at: 56), unacknowledged: message.word(at: 60), isSigned: SockDiag.attributes(of: message, from: 72)[18] != nil)
    }

    private static func address(_ message: [UInt8], _ port: Int, _ host: Int) -> [UInt8] {
        let port = Array(message[port..<port + 2])
        if message[0] == 2 { return [2, 0] + port + message[host..<host + 4] + [UInt8](repeating: 0, count: 8) }
        return [10, 0] + port + [0, 0, 0, 0] + message[host..<host + 16] + [0, 0, 0, 0]
    }
}
