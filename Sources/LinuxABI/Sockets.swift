/// Sockets: families, types, flags of messages.
///
/// - Source: sys/socket.h, asm-generic/socket.h, linux/net.h.
package enum Socket {
    package static let AF_UNIX: UInt64 = 1
    package static let SOCK_STREAM: UInt32 = 1
    package static let SOCK_DGRAM: UInt32 = 2
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
    package static let SO_GET_FILTER: UInt32 = 26
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

    /// What a program can set of a unix socket and read again, in the order in which a restart sets it. SO_PEEK_OFF is the
    /// last: a restart moves it by nothing then.
    package static var settable: [UInt32] {
        [
            SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK, SO_PRIORITY, SO_LINGER,
            SO_PASSCRED, SO_RCVLOWAT, SO_RCVTIMEO, SO_SNDTIMEO, SO_TIMESTAMP, SO_PASSSEC, SO_TIMESTAMPNS, SO_MARK, SO_TIMESTAMPING,
            SO_RXQ_OVFL, SO_WIFI_STATUS, SO_SELECT_ERR_QUEUE, SO_BUSY_POLL, SO_MAX_PACING_RATE, SO_TIMESTAMP_NEW, SO_TIMESTAMPNS_NEW,
            SO_PREFER_BUSY_POLL, SO_BUSY_POLL_BUDGET, SO_PASSPIDFD, SO_PASSRIGHTS, SO_SNDBUF, SO_RCVBUF, SO_BUF_LOCK, SO_PEEK_OFF,
        ]
    }
}
