internal import CKernel
internal import Glibc
internal import LinuxABI

/// What a TCP socket of another process tells without being touched, asked by a copy of its descriptor.
///
/// - Source: tcp(7), TCP_INFO; net/ipv4/tcp.c.
package struct TCPSocketLook: Sendable, Equatable {
    /// AF_INET or AF_INET6.
    package var family: UInt32
    package var state: UInt32
    /// `struct sockaddr`; empty: it has none.
    package var address: [UInt8]
    package var peerAddress: [UInt8]
    /// Of a listening one: how many connections may wait to be accepted, and do.
    package var backlog: UInt32 = 0
    package var waiting: UInt32 = 0
    /// It receives no more: POLLRDHUP.
    package var isHungUp: Bool
    package var hasError: Bool
    /// A byte of urgent data waits.
    package var hasUrgentData: Bool
    /// A protocol above it, e.g. `tls`; nil: none.
    package var upperLayer: String?
    package var hasAuthentication: Bool
    /// Bytes that wait to be received.
    package var unread: Int

    package init(of number: Int32) throws(SystemError) {
        let info = SocketCalls.option(TCP.IPPROTO_TCP, TCP.TCP_INFO, of: number, upTo: 256) ?? []
        guard let state = info.first else { throw SystemError(EINVAL, in: "getsockopt(TCP_INFO)") }
        family = try SocketCalls.word(Socket.SOL_SOCKET, UInt32(SO_DOMAIN), of: number)
        self.state = UInt32(state)
        address = SocketCalls.address(of: number).flatMap { Self.isBound($0) ? $0 : nil } ?? []
        peerAddress = SocketCalls.peerAddress(of: number) ?? []
        // Of a listening one, tcpi_unacked and tcpi_sacked. Source: tcp_get_info.
        if self.state == TCP.TCP_LISTEN { (waiting, backlog) = (info.word(at: 24), info.word(at: 28)) }
        let events = SocketCalls.events(of: number, Self.POLLRDHUP | Int16(POLLPRI))
        isHungUp = events & Self.POLLRDHUP != 0
        hasError = events & Int16(POLLERR) != 0
        hasUrgentData = events & Int16(POLLPRI) != 0
        let upper = (SocketCalls.option(TCP.IPPROTO_TCP, TCP.TCP_ULP, of: number) ?? []).prefix { $0 != 0 }
        upperLayer = upper.isEmpty ? nil : printable(Array(upper))
        // ENOENT: none. Kernels before 6.7 do not know it.
        hasAuthentication = SocketCalls.option(TCP.IPPROTO_TCP, TCP.TCP_AO_INFO, of: number, upTo: 56) != nil
        unread = self.state == TCP.TCP_LISTEN ? 0 : try SocketCalls.count(Ioctl.SIOCINQ, of: number)
    }

    private static let POLLRDHUP: Int16 = 0x2000

    /// A socket without a port has no address: only bind(2) and connect(2) give one.
    private static func isBound(_ address: [UInt8]) -> Bool {
        guard address.count >= 16 else { return false }
        return address[2] != 0 || address[3] != 0 || address[4...].contains { $0 != 0 }
    }
}
