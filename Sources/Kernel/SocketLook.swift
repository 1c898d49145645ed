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
        local = socket.address().flatMap { SocketAddress.text(of: $0) }
        peer = socket.peerAddress().flatMap { SocketAddress.text(of: $0) }
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
