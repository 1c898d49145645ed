/// Sockets: families, types, flags of messages.
///
/// - Source: sys/socket.h, asm-generic/socket.h, linux/net.h.
package enum Socket {
    package static let AF_UNIX: UInt64 = 1
    package static let AF_INET: UInt32 = 2
    package static let AF_INET6: UInt32 = 10
    package static let AF_NETLINK: UInt32 = 16
    package static let AF_PACKET: UInt32 = 17
    package static let IPPROTO_ICMP: UInt32 = 1
    package static let IPPROTO_UDP: UInt32 = 17
    package static let IPPROTO_ICMPV6: UInt32 = 58
    package static let IPPROTO_UDPLITE: UInt32 = 136
    package static let IPPROTO_RAW: UInt32 = 255
    package static let MCAST_JOIN_GROUP: UInt32 = 42
    package static let MCAST_MSFILTER: UInt32 = 48
    package static let MCAST_INCLUDE: UInt32 = 1
    package static let PACKET_ADD_MEMBERSHIP: UInt32 = 1
    package static let PACKET_COPY_THRESH: UInt32 = 7
    package static let PACKET_FANOUT: UInt32 = 18
    package static let PACKET_FANOUT_CBPF: UInt32 = 6
    package static let PACKET_FANOUT_EBPF: UInt32 = 7
    package static let NETLINK_ADD_MEMBERSHIP: UInt32 = 1
    package static let NETLINK_LIST_MEMBERSHIPS: UInt32 = 9
    package static let NETLINK_CONNECTOR: UInt32 = 11
    package static let NETLINK_NETFILTER: UInt32 = 12
    package static let NETLINK_GENERIC: UInt32 = 16
    package static let SOCK_STREAM: UInt32 = 1
    package static let SOCK_DGRAM: UInt32 = 2
    package static let SOCK_RAW: UInt32 = 3
    package static let SOCK_SEQPACKET: UInt32 = 5
    package static let SOCK_CLOEXEC: UInt64 = 0o2000000
    package static let SOCK_NONBLOCK: UInt64 = 0o4000
    package static let SOL_SOCKET: UInt64 = 1
    package static let SCM_RIGHTS: UInt64 = 1
    package static let SCM_CREDENTIALS: UInt64 = 2
    package static let SHUT_RD: UInt64 = 0
    package static let SHUT_WR: UInt64 = 1
    package static let MSG_OOB: UInt64 = 1
    package static let MSG_PEEK: UInt64 = 2
    package static let MSG_TRUNC: UInt64 = 0x20
    package static let MSG_DONTWAIT: UInt64 = 0x40
    package static let MSG_NOSIGNAL: UInt64 = 0x4000
    package static let MSG_CMSG_CLOEXEC: UInt64 = 0x4000_0000
}

/// Options of sockets, level SOL_SOCKET.
///
/// - Source: asm-generic/socket.h; socket(7), unix(7).
package enum SocketOptions {
    package static let SO_DEBUG: UInt32 = 1
    package static let SO_REUSEADDR: UInt32 = 2
    package static let SO_DONTROUTE: UInt32 = 5
    package static let SO_REUSEPORT: UInt32 = 15
    package static let SO_BROADCAST: UInt32 = 6
    package static let SO_SNDBUF: UInt32 = 7
    package static let SO_RCVBUF: UInt32 = 8
    package static let SO_KEEPALIVE: UInt32 = 9
    package static let SO_OOBINLINE: UInt32 = 10
    package static let SO_NO_CHECK: UInt32 = 11
    package static let SO_PRIORITY: UInt32 = 12
    package static let SO_LINGER: UInt32 = 13
    package static let SO_PASSCRED: UInt32 = 16
    package static let SO_PEERCRED: UInt32 = 17
    package static let SO_RCVLOWAT: UInt32 = 18
    package static let SO_RCVTIMEO: UInt32 = 20
    package static let SO_SNDTIMEO: UInt32 = 21
    /// To be read.
    package static let SO_GET_FILTER: UInt32 = 26
    /// To be set.
    package static let SO_ATTACH_FILTER: UInt32 = 26
    package static let SO_ATTACH_REUSEPORT_CBPF: UInt32 = 51
    package static let SO_DETACH_REUSEPORT_BPF: UInt32 = 68
    package static let SO_TIMESTAMP: UInt32 = 29
    package static let SO_SNDBUFFORCE: UInt32 = 32
    package static let SO_RCVBUFFORCE: UInt32 = 33
    package static let SO_PASSSEC: UInt32 = 34
    package static let SO_TIMESTAMPNS: UInt32 = 35
    package static let SO_MARK: UInt32 = 36
    package static let SO_TIMESTAMPING: UInt32 = 37
    package static let SO_RXQ_OVFL: UInt32 = 40
    package static let SO_WIFI_STATUS: UInt32 = 41
    package static let SO_PEEK_OFF: UInt32 = 42
    package static let SO_LOCK_FILTER: UInt32 = 44
    package static let SO_SELECT_ERR_QUEUE: UInt32 = 45
    package static let SO_BUSY_POLL: UInt32 = 46
    package static let SO_MAX_PACING_RATE: UInt32 = 47
    package static let SO_TIMESTAMP_NEW: UInt32 = 63
    package static let SO_TIMESTAMPNS_NEW: UInt32 = 64
    package static let SO_PREFER_BUSY_POLL: UInt32 = 69
    package static let SO_BUSY_POLL_BUDGET: UInt32 = 70
    package static let SO_BUF_LOCK: UInt32 = 72
    package static let SO_PASSPIDFD: UInt32 = 76
    package static let SO_PASSRIGHTS: UInt32 = 83
}

/// TCP: states, options of level IPPROTO_TCP, repair.
///
/// - Source: linux/tcp.h, net/tcp_states.h.
package enum TCP {
    package static let AF_INET: UInt64 = 2
    package static let AF_INET6: UInt64 = 10
    package static let IPPROTO_TCP: UInt64 = 6

    package static let TCP_ESTABLISHED: UInt32 = 1
    package static let TCP_SYN_SENT: UInt32 = 2
    package static let TCP_SYN_RECV: UInt32 = 3
    package static let TCP_FIN_WAIT1: UInt32 = 4
    package static let TCP_FIN_WAIT2: UInt32 = 5
    package static let TCP_TIME_WAIT: UInt32 = 6
    package static let TCP_CLOSE: UInt32 = 7
    package static let TCP_CLOSE_WAIT: UInt32 = 8
    package static let TCP_LAST_ACK: UInt32 = 9
    package static let TCP_LISTEN: UInt32 = 10
    package static let TCP_CLOSING: UInt32 = 11

    package static let TCP_NODELAY: UInt32 = 1
    package static let TCP_MAXSEG: UInt32 = 2
    package static let TCP_CORK: UInt32 = 3
    package static let TCP_INFO: UInt32 = 11
    package static let TCP_QUICKACK: UInt32 = 12
    package static let TCP_REPAIR: UInt32 = 19
    package static let TCP_REPAIR_QUEUE: UInt32 = 20
    package static let TCP_QUEUE_SEQ: UInt32 = 21
    package static let TCP_REPAIR_OPTIONS: UInt32 = 22
    package static let TCP_TIMESTAMP: UInt32 = 24
    package static let TCP_REPAIR_WINDOW: UInt32 = 29
    package static let TCP_ULP: UInt32 = 31
    package static let TCP_AO_INFO: UInt32 = 40

    /// Of TCP_REPAIR: without a probe of the peer's window.
    package static let TCP_REPAIR_OFF_NO_WP: UInt32 = .max
    package static let TCP_NO_QUEUE: UInt32 = 0
    package static let TCP_RECV_QUEUE: UInt32 = 1
    package static let TCP_SEND_QUEUE: UInt32 = 2

    package static let TCPI_OPT_TIMESTAMPS: UInt32 = 1
    package static let TCPI_OPT_SACK: UInt32 = 2
    package static let TCPI_OPT_WSCALE: UInt32 = 4

    package static let TCPOPT_MAXSEG: UInt32 = 2
    package static let TCPOPT_WINDOW: UInt32 = 3
    package static let TCPOPT_SACK_PERMITTED: UInt32 = 4
    package static let TCPOPT_TIMESTAMP: UInt32 = 8
}
