internal import LinuxABI

/// What the kernel's tables tell of UDP, raw and ICMP sockets, which getsockopt(2) and getpeername(2) do not.
///
/// - Source: sock_diag(7), linux/inet_diag.h; proc(5), `/proc/net/raw`.
package struct InetSocketState: Equatable, Sendable {
    /// 1: it receives no more, 2: it sends no more.
    package var shutdown: UInt8 = 0
    /// What it is connected with, as a socket address, also where the port is 0, which getpeername(2) hides; nil: it is not connected.
    package var peer: [UInt8]?
    /// Memory of what waits to be received.
    package var waiting: UInt32 = 0
    /// Its place in the order in which the sockets of the table were bound, as far as they share a port; from 1 on.
    package var bindOrder: UInt32 = 0

    /// TCP_ESTABLISHED in the kernel's words.
    private static let connected: UInt32 = 1

    /// By inode; of what cannot be dumped, what `/proc/net` has.
    package static func table(of kind: SocketHandle.Kind) -> [UInt64: InetSocketState] {
        if kind.type == 2, kind.number == 17 || kind.number == 136 {
            // struct inet_diag_req_v2: family, protocol, extensions, padding, states, an address (48 bytes)
            var request = [UInt8](repeating: 0, count: 56)
            (request[0], request[1]) = (UInt8(truncatingIfNeeded: kind.family), UInt8(truncatingIfNeeded: kind.number))
            for place in 4..<8 { request[place] = 255 }
            if let messages = try? SockDiag.dump(request), !messages.isEmpty {
                return inOrder(messages.compactMap(parse), of: kind.family)
            }
        }
        let name = (kind.type == 3 ? "raw" : kind.number == 17 ? "udp" : kind.number == 136 ? "udplite" : "icmp") + (kind.family == 10 ? "6" : "")
        guard let text = try? readKernelText("/proc/self/net/\(name)", capacity: 1 << 16) else { return [:] }
        return table(parsing: text, of: kind.family)
    }

    /// The kernel puts a new one before the others of its port, an IPv6 one that shares its port behind them.
    ///
    /// - Source: net/ipv4/udp.c, `udp_lib_get_port`.
    static func inOrder(_ all: [(UInt64, InetSocketState)], of family: UInt32) -> [UInt64: InetSocketState] {
        var found: [UInt64: InetSocketState] = [:]
        let oldestFirst = family == Socket.AF_INET ? Array(all.reversed()) : all
        for (place, var one) in oldestFirst.enumerated() {
            one.1.bindOrder = UInt32(place + 1)
            found[one.0] = one.1
        }
        return found
    }

    /// `struct inet_diag_msg`: family, state, timer, retrans; ports, addresses, device, cookie (48 bytes); expires, rqueue, wqueue,
    /// uid, inode. The attribute INET_DIAG_SHUTDOWN is 8.
    static func parse(_ message: [UInt8]) -> (UInt64, InetSocketState)? {
        guard message.count >= 72 else { return nil }
        var state = InetSocketState()
        state.waiting = message.word(at: 56)
        state.shutdown = SockDiag.attributes(of: message, from: 72)[8]?.first ?? 0
        if UInt32(message[1]) == connected {
            let port = Array(message[6..<8])
            if message[0] == 2 {
                let parts: [[UInt8]] = [[2, 0], port, Array(message[24..<28]), [UInt8](repeating: 0, count: 8)]
                state.peer = Array(parts.joined())
            } else {
                let parts: [[UInt8]] = [[10, 0], port, [0, 0, 0, 0], Array(message[24..<44])]
                state.peer = Array(parts.joined())
            }
        }
        return (UInt64(message.word(at: 68)), state)
    }

    /// Lines of `/proc/net/udp`: `sl local remote st tx:rx tr:when retrnsmt uid timeout inode ...`
    static func table(parsing text: [UInt8], of family: UInt32) -> [UInt64: InetSocketState] {
        var found: [(UInt64, InetSocketState)] = []
        for line in text.split(separator: .newline).dropFirst() {
            let fields = line.split(separator: .blank).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 9, let inode = UInt64(fields[9]), inode != 0 else { continue }
            var state = InetSocketState()
            if let waiting = fields[4].split(separator: ":").last { state.waiting = UInt32(waiting, radix: 16) ?? 0 }
            if UInt32(fields[3], radix: 16) == connected { state.peer = ConnectionTable.bytes(of: fields[2]) }
            found.append((inode, state))
        }
        return inOrder(found, of: family)
    }
}
