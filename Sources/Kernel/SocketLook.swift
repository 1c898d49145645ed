internal import CKernel
internal import Glibc
internal import LinuxABI

/// What a socket of another process is, asked by a copy of its descriptor. Nothing of it changes.
///
/// - Source: socket(7), getsockname(2), getpeername(2).
package struct SocketLook: Sendable {
    /// e.g. `TCP socket`, `unix stream socket`, `netlink socket`
    package var kind: String
    package var isListening: Bool
    package var isUnix: Bool
    package var isTCP: Bool
    /// Its own address and that of what it is connected with, as text; nil where there is none.
    package var local: String?
    package var peer: String?

    package let family: UInt32

    package init(of pid: Int32, descriptor: Int32) throws(SystemError) { try self.init(SocketHandle(of: pid, descriptor: descriptor)) }

    package init(_ socket: borrowing SocketHandle) throws(SystemError) {
        let kind = try socket.kind
        family = kind.family
        isListening = socket.number(UInt32(SO_ACCEPTCONN)) == 1
        isUnix = kind.family == AF_UNIX
        isTCP = (kind.family == AF_INET || kind.family == AF_INET6) && kind.type == 1 && (kind.number == 6 || kind.number == 262)
        self.kind = Self.name(kind) + " socket"
        local = socket.address().flatMap { Self.text(of: $0) }
        peer = socket.peerAddress().flatMap { Self.text(of: $0) }
    }

    static func name(_ kind: SocketHandle.Kind) -> String {
        name(Int32(truncatingIfNeeded: kind.family), Int32(truncatingIfNeeded: kind.type), Int32(truncatingIfNeeded: kind.number))
    }

    static func name(_ family: Int32, _ type: Int32, _ number: Int32) -> String {
        let types = [1: "stream", 2: "datagram", 3: "raw", 5: "seqpacket"]
        let kind = types[Int(type)] ?? "type \(type)"
        switch family {
        case 1: return "unix \(kind)"
        case 2, 10:
            let names = [6: "TCP", 17: "UDP", 1: "ICMP", 58: "ICMPv6", 132: "SCTP", 136: "UDP-Lite", 262: "MPTCP"]
            return names[Int(number)] ?? "\(family == 2 ? "IPv4" : "IPv6") \(kind)"
        case 16: return "netlink"
        default:
            let names = [
                3: "AX.25", 4: "IPX", 5: "AppleTalk", 8: "ATM", 9: "X.25", 11: "ROSE", 15: "key", 17: "packet", 20: "ATM", 21: "RDS", 24: "PPPoX",
                26: "LLC", 27: "InfiniBand", 28: "MPLS", 29: "CAN", 30: "TIPC", 31: "Bluetooth", 33: "RxRPC", 34: "ISDN", 35: "Phonet",
                36: "IEEE 802.15.4", 37: "CAIF", 38: "crypto (AF_ALG)", 39: "NFC", 40: "vsock", 41: "KCM", 42: "QRTR", 43: "SMC", 44: "XDP",
                45: "MCTP",
            ]
            return "\(names[Int(family)] ?? "family \(family)") \(kind)"
        }
    }

    /// A `struct sockaddr_un`, `sockaddr_in` or `sockaddr_in6` as people write it. Nil: it says nothing.
    static func text(of address: [UInt8]) -> String? {
        guard address.count >= 2 else { return nil }
        func word(_ place: Int) -> UInt32 { UInt32(address[place]) << 8 | UInt32(address[place + 1]) }
        switch UInt32(address[0]) | UInt32(address[1]) << 8 {
        case 1:
            guard address.count > 2 else { return nil }
            // Abstract names begin with a zero byte, and hold any.
            if address[2] == 0 { return "@" + printable(Array(address[3...])) }
            return printable(Array(address[2...].prefix { $0 != 0 }))
        case 2 where address.count >= 8:
            return address[4..<8].map { String($0) }.joined(separator: ".") + ":\(word(2))"
        case 10 where address.count >= 24:
            let groups = stride(from: 8, to: 24, by: 2).map { String(word($0), radix: 16) }
            return "[" + shortened(groups) + "]:\(word(2))"
        default: return nil
        }
    }

    /// The longest row of zeros, of two at least, becomes `::`. Source: RFC 5952.
    private static func shortened(_ groups: [String]) -> String {
        var best = 0..<0
        var start = 0
        while start < groups.count {
            let end = groups[start...].firstIndex { $0 != "0" } ?? groups.count
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        guard !best.isEmpty else { return groups.joined(separator: ":") }
        return groups[..<best.lowerBound].joined(separator: ":") + "::" + groups[best.upperBound...].joined(separator: ":")
    }
}

/// `f_type` of the file system of a file.
///
/// - Source: statfs(2).
@inline(never)
package func fileSystemMagic(of path: String) throws(SystemError) -> UInt64 {
    // struct statfs has 120 bytes, the type first.
    var status = [UInt64](repeating: 0, count: 16)
    let result = withPath(path) { path in
        unsafe status.withUnsafeMutableBytes { ckernel_syscall(Int(SYS_statfs), path, Int(bitPattern: $0.baseAddress), 0, 0, 0, 0) }
    }
    _ = try SystemError.check(result, "statfs \(path)")
    return status[0]
}
