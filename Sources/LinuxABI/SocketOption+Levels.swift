extension SocketOption {
    package static let SOL_IP: UInt32 = 0
    package static let SOL_SOCKET: UInt32 = 1
    package static let SOL_TCP: UInt32 = 6
    package static let SOL_UDP: UInt32 = 17
    package static let SOL_IPV6: UInt32 = 41
    package static let SOL_ICMPV6: UInt32 = 58
    package static let SOL_UDPLITE: UInt32 = 136
    package static let SOL_RAW: UInt32 = 255
    package static let SOL_PACKET: UInt32 = 263
    package static let SOL_NETLINK: UInt32 = 270

    private static let admin = [Capability.CAP_NET_ADMIN]
    private static let adminOrRaw = [Capability.CAP_NET_ADMIN, Capability.CAP_NET_RAW]
    private static let raw = [Capability.CAP_NET_RAW]

    /// IPPROTO_IP. Not here: what only tells (IP_MTU, IP_PROTOCOL, IP_PKTOPTIONS), what is no option but a list
    /// (memberships), what the kernel does not tell (IP_IPSEC_POLICY, IP_XFRM_POLICY, the device of IP_MULTICAST_IF), and IP_HDRINCL of
    /// IPPROTO_RAW, which it has by itself.
    static let ipv4: [SocketOption] = [
        one(SOL_IP, 15, "IP_FREEBIND", .inet, .early),
        one(SOL_IP, 19, "IP_TRANSPARENT", .inet, .early, needs: adminOrRaw),
        one(SOL_IP, 24, "IP_BIND_ADDRESS_NO_PORT", .inet, .early),
        one(SOL_IP, 51, "IP_LOCAL_PORT_RANGE", .inet, .early),
        one(SOL_IP, 3, "IP_HDRINCL", .ipv4, .early),
        one(SOL_IP, 22, "IP_NODEFRAG", .ipv4, .early),
        SocketOption(SOL_IP, 4, "IP_OPTIONS", 0...40, .inet),
        one(SOL_IP, 1, "IP_TOS", .inet, .early), one(SOL_IP, 2, "IP_TTL", .inet, .early), one(SOL_IP, 5, "IP_ROUTER_ALERT", .ipv4),
        one(SOL_IP, 6, "IP_RECVOPTS", .inet), one(SOL_IP, 7, "IP_RETOPTS", .inet), one(SOL_IP, 8, "IP_PKTINFO", .inet),
        one(SOL_IP, 10, "IP_MTU_DISCOVER", .inet), one(SOL_IP, 11, "IP_RECVERR", .inet), one(SOL_IP, 26, "IP_RECVERR_RFC4884", .inet),
        one(SOL_IP, 12, "IP_RECVTTL", .inet), one(SOL_IP, 13, "IP_RECVTOS", .inet), one(SOL_IP, 18, "IP_PASSSEC", .inet),
        one(SOL_IP, 20, "IP_RECVORIGDSTADDR", .inet), one(SOL_IP, 21, "IP_MINTTL", .inet), one(SOL_IP, 23, "IP_CHECKSUM", .inet),
        one(SOL_IP, 25, "IP_RECVFRAGSIZE", .inet), one(SOL_IP, 49, "IP_MULTICAST_ALL", .inet),
        one(SOL_IP, 33, "IP_MULTICAST_TTL", .inet), one(SOL_IP, 34, "IP_MULTICAST_LOOP", .inet),
        SocketOption(SOL_IP, 50, "IP_UNICAST_IF", 4...4, .inet, .early, .networkOrderDevice),
        SocketOption(SOL_IP, 32, "IP_MULTICAST_IF", 4...4, .inet),
    ]

    /// IPPROTO_IPV6. Not here: what only tells (IPV6_MTU, IPV6_PATHMTU), lists (memberships), what the kernel does not tell
    /// (IPV6_PKTINFO, IPV6_JOIN_ANYCAST, leases of flow labels, IPV6_IPSEC_POLICY, IPV6_XFRM_POLICY), and names of RFC 2292 for the same.
    static let ipv6: [SocketOption] = [
        one(SOL_IPV6, 26, "IPV6_V6ONLY", .ipv6, .early),
        one(SOL_IPV6, 78, "IPV6_FREEBIND", .ipv6, .early),
        one(SOL_IPV6, 75, "IPV6_TRANSPARENT", .ipv6, .early, needs: adminOrRaw),
        one(SOL_IPV6, 36, "IPV6_HDRINCL", .ipv6, .early),
        one(SOL_IPV6, 7, "IPV6_CHECKSUM", .ipv6),
        one(SOL_IPV6, 11, "IPV6_FLOWINFO", .ipv6), one(SOL_IPV6, 16, "IPV6_UNICAST_HOPS", .ipv6, .early),
        one(SOL_IPV6, 18, "IPV6_MULTICAST_HOPS", .ipv6), one(SOL_IPV6, 19, "IPV6_MULTICAST_LOOP", .ipv6),
        one(SOL_IPV6, 29, "IPV6_MULTICAST_ALL", .ipv6), SocketOption(SOL_IPV6, 22, "IPV6_ROUTER_ALERT", 4...4, .ipv6, .late, .told),
        one(SOL_IPV6, 30, "IPV6_ROUTER_ALERT_ISOLATE", .ipv6), one(SOL_IPV6, 23, "IPV6_MTU_DISCOVER", .ipv6),
        one(SOL_IPV6, 25, "IPV6_RECVERR", .ipv6), one(SOL_IPV6, 31, "IPV6_RECVERR_RFC4884", .ipv6),
        one(SOL_IPV6, 33, "IPV6_FLOWINFO_SEND", .ipv6), one(SOL_IPV6, 49, "IPV6_RECVPKTINFO", .ipv6),
        one(SOL_IPV6, 2, "IPV6_2292PKTINFO", .ipv6), one(SOL_IPV6, 3, "IPV6_2292HOPOPTS", .ipv6),
        one(SOL_IPV6, 4, "IPV6_2292DSTOPTS", .ipv6), one(SOL_IPV6, 5, "IPV6_2292RTHDR", .ipv6),
        one(SOL_IPV6, 8, "IPV6_2292HOPLIMIT", .ipv6),
        one(SOL_IPV6, 51, "IPV6_RECVHOPLIMIT", .ipv6), one(SOL_IPV6, 53, "IPV6_RECVHOPOPTS", .ipv6), one(SOL_IPV6, 56, "IPV6_RECVRTHDR", .ipv6),
        one(SOL_IPV6, 58, "IPV6_RECVDSTOPTS", .ipv6), one(SOL_IPV6, 60, "IPV6_RECVPATHMTU", .ipv6), one(SOL_IPV6, 62, "IPV6_DONTFRAG", .ipv6),
        SocketOption(SOL_IPV6, 54, "IPV6_HOPOPTS", 0...2048, .ipv6, needs: raw),
        SocketOption(SOL_IPV6, 55, "IPV6_RTHDRDSTOPTS", 0...2048, .ipv6, needs: raw),
        SocketOption(SOL_IPV6, 57, "IPV6_RTHDR", 0...2048, .ipv6), SocketOption(SOL_IPV6, 59, "IPV6_DSTOPTS", 0...2048, .ipv6, needs: raw),
        one(SOL_IPV6, 66, "IPV6_RECVTCLASS", .ipv6), one(SOL_IPV6, 67, "IPV6_TCLASS", .ipv6, .early), one(SOL_IPV6, 70, "IPV6_AUTOFLOWLABEL", .ipv6),
        one(SOL_IPV6, 72, "IPV6_ADDR_PREFERENCES", .ipv6, .early), one(SOL_IPV6, 73, "IPV6_MINHOPCOUNT", .ipv6),
        one(SOL_IPV6, 74, "IPV6_RECVORIGDSTADDR", .ipv6), one(SOL_IPV6, 77, "IPV6_RECVFRAGSIZE", .ipv6),
        SocketOption(SOL_IPV6, 76, "IPV6_UNICAST_IF", 4...4, .ipv6, .early, .networkOrderDevice),
        SocketOption(SOL_IPV6, 17, "IPV6_MULTICAST_IF", 4...4, .ipv6, .late, .device),
    ]

    /// Levels of protocols. Not here: PACKET_STATISTICS, which reading clears; rings; what TCP_REPAIR sets; keys that the kernel does
    /// not tell.
    static let transport: [SocketOption] = [
        one(SOL_UDP, 1, "UDP_CORK", .inet), one(SOL_UDP, 100, "UDP_ENCAP", .inet), one(SOL_UDP, 101, "UDP_NO_CHECK6_TX", .ipv6),
        one(SOL_UDP, 102, "UDP_NO_CHECK6_RX", .ipv6), one(SOL_UDP, 103, "UDP_SEGMENT", .inet), one(SOL_UDP, 104, "UDP_GRO", .inet),
        one(SOL_UDPLITE, 10, "UDPLITE_SEND_CSCOV", .inet), one(SOL_UDPLITE, 11, "UDPLITE_RECV_CSCOV", .inet),
        one(SOL_RAW, 1, "ICMP_FILTER", .ipv4), SocketOption(SOL_ICMPV6, 1, "ICMPV6_FILTER", 32...32, .ipv6),
        one(SOL_PACKET, 10, "PACKET_VERSION", .packet, .early), one(SOL_PACKET, 12, "PACKET_RESERVE", .packet, .early),
        one(SOL_PACKET, 15, "PACKET_VNET_HDR", .packet, .early), one(SOL_PACKET, 24, "PACKET_VNET_HDR_SZ", .packet, .early),
        one(SOL_PACKET, 8, "PACKET_AUXDATA", .packet), one(SOL_PACKET, 9, "PACKET_ORIGDEV", .packet), one(SOL_PACKET, 14, "PACKET_LOSS", .packet),
        one(SOL_PACKET, 17, "PACKET_TIMESTAMP", .packet), one(SOL_PACKET, 19, "PACKET_TX_HAS_OFF", .packet),
        one(SOL_PACKET, 20, "PACKET_QDISC_BYPASS", .packet), one(SOL_PACKET, 23, "PACKET_IGNORE_OUTGOING", .packet),
        one(SOL_NETLINK, 3, "NETLINK_PKTINFO", .netlink), one(SOL_NETLINK, 4, "NETLINK_BROADCAST_ERROR", .netlink),
        one(SOL_NETLINK, 5, "NETLINK_NO_ENOBUFS", .netlink), one(SOL_NETLINK, 8, "NETLINK_LISTEN_ALL_NSID", .netlink, needs: [Capability.CAP_NET_BROADCAST]),
        one(SOL_NETLINK, 10, "NETLINK_CAP_ACK", .netlink), one(SOL_NETLINK, 11, "NETLINK_EXT_ACK", .netlink),
        one(SOL_NETLINK, 12, "NETLINK_GET_STRICT_CHK", .netlink),
        SocketOption(SOL_TCP, 13, "TCP_CONGESTION", 2...16, .inet, .early), one(SOL_TCP, 2, "TCP_MAXSEG", .inet, .early),
        one(SOL_TCP, 1, "TCP_NODELAY", .inet), one(SOL_TCP, 3, "TCP_CORK", .inet), one(SOL_TCP, 4, "TCP_KEEPIDLE", .inet),
        one(SOL_TCP, 5, "TCP_KEEPINTVL", .inet), one(SOL_TCP, 6, "TCP_KEEPCNT", .inet), one(SOL_TCP, 7, "TCP_SYNCNT", .inet),
        one(SOL_TCP, 8, "TCP_LINGER2", .inet), one(SOL_TCP, 9, "TCP_DEFER_ACCEPT", .inet), one(SOL_TCP, 10, "TCP_WINDOW_CLAMP", .inet),
        one(SOL_TCP, 12, "TCP_QUICKACK", .inet), one(SOL_TCP, 16, "TCP_THIN_LINEAR_TIMEOUTS", .inet), one(SOL_TCP, 17, "TCP_THIN_DUPACK", .inet),
        one(SOL_TCP, 18, "TCP_USER_TIMEOUT", .inet), one(SOL_TCP, 23, "TCP_FASTOPEN", .inet), one(SOL_TCP, 25, "TCP_NOTSENT_LOWAT", .inet),
        one(SOL_TCP, 27, "TCP_SAVE_SYN", .inet, .early), one(SOL_TCP, 30, "TCP_FASTOPEN_CONNECT", .inet, .early),
        SocketOption(SOL_TCP, 33, "TCP_FASTOPEN_KEY", 0...32, .inet), one(SOL_TCP, 34, "TCP_FASTOPEN_NO_COOKIE", .inet),
        one(SOL_TCP, 36, "TCP_INQ", .inet), one(SOL_TCP, 37, "TCP_TX_DELAY", .inet), one(SOL_TCP, 44, "TCP_RTO_MAX_MS", .inet),
        one(SOL_TCP, 45, "TCP_RTO_MIN_US", .inet), one(SOL_TCP, 46, "TCP_DELACK_MAX_US", .inet),
    ]

    /// SOL_SOCKET. Not here: what only tells (SO_TYPE, SO_DOMAIN, SO_PROTOCOL, SO_ACCEPTCONN, SO_MEMINFO, SO_COOKIE, SO_PEER*, ...), SO_ERROR, which
    /// reading clears, other names of the same (SO_BINDTOIFINDEX, SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW), and what the kernel does not tell
    /// (SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF; SO_ATTACH_BPF is refused).
    static let general: [SocketOption] = [
        general(SocketOptions.SO_REUSEADDR, "SO_REUSEADDR", .all, .early), general(SocketOptions.SO_REUSEPORT, "SO_REUSEPORT", .inet, .early),
        SocketOption(SOL_SOCKET, 25, "SO_BINDTODEVICE", 0...16, .inet, .early, .deviceName),
        general(SocketOptions.SO_MARK, "SO_MARK", .all, .early, needs: adminOrRaw),
        general(SocketOptions.SO_DEBUG, "SO_DEBUG", .all, needs: admin), general(SocketOptions.SO_DONTROUTE, "SO_DONTROUTE"),
        general(SocketOptions.SO_BROADCAST, "SO_BROADCAST"), general(SocketOptions.SO_KEEPALIVE, "SO_KEEPALIVE"),
        general(SocketOptions.SO_OOBINLINE, "SO_OOBINLINE"), general(SocketOptions.SO_NO_CHECK, "SO_NO_CHECK"),
        general(SocketOptions.SO_PRIORITY, "SO_PRIORITY", needs: adminOrRaw, above: 6),
        SocketOption(SOL_SOCKET, SocketOptions.SO_LINGER, "SO_LINGER", 8...8, .all),
        general(SocketOptions.SO_PASSCRED, "SO_PASSCRED", [.unix, .netlink]), general(SocketOptions.SO_RCVLOWAT, "SO_RCVLOWAT"),
        SocketOption(SOL_SOCKET, SocketOptions.SO_RCVTIMEO, "SO_RCVTIMEO", 16...16, .all),
        SocketOption(SOL_SOCKET, SocketOptions.SO_SNDTIMEO, "SO_SNDTIMEO", 16...16, .all),
        general(SocketOptions.SO_TIMESTAMP, "SO_TIMESTAMP"), general(SocketOptions.SO_PASSSEC, "SO_PASSSEC", [.unix, .netlink]),
        general(SocketOptions.SO_TIMESTAMPNS, "SO_TIMESTAMPNS"),
        SocketOption(SOL_SOCKET, SocketOptions.SO_TIMESTAMPING, "SO_TIMESTAMPING", 4...8, .all),
        general(SocketOptions.SO_RXQ_OVFL, "SO_RXQ_OVFL"), general(SocketOptions.SO_WIFI_STATUS, "SO_WIFI_STATUS"),
        general(43, "SO_NOFCS", [.inet, .packet]), general(SocketOptions.SO_SELECT_ERR_QUEUE, "SO_SELECT_ERR_QUEUE"),
        general(SocketOptions.SO_BUSY_POLL, "SO_BUSY_POLL", needs: admin), SocketOption(SOL_SOCKET, SocketOptions.SO_MAX_PACING_RATE, "SO_MAX_PACING_RATE", 4...8, .all),
        SocketOption(SOL_SOCKET, 49, "SO_INCOMING_CPU", 4...4, .inet, .late, .unconnected), general(60, "SO_ZEROCOPY", .inet),
        SocketOption(SOL_SOCKET, 61, "SO_TXTIME", 8...8, [.inet, .packet], needs: admin),
        general(SocketOptions.SO_TIMESTAMP_NEW, "SO_TIMESTAMP_NEW"), general(SocketOptions.SO_TIMESTAMPNS_NEW, "SO_TIMESTAMPNS_NEW"),
        SocketOption(SOL_SOCKET, 65, "SO_TIMESTAMPING_NEW", 4...8, .all),
        general(SocketOptions.SO_PREFER_BUSY_POLL, "SO_PREFER_BUSY_POLL", needs: admin),
        general(SocketOptions.SO_BUSY_POLL_BUDGET, "SO_BUSY_POLL_BUDGET", needs: admin), general(73, "SO_RESERVE_MEM", [.inet, .packet]),
        general(74, "SO_TXREHASH", .inet), general(75, "SO_RCVMARK", needs: adminOrRaw), general(82, "SO_RCVPRIORITY"),
        general(84, "SO_INQ", .unix),
        general(SocketOptions.SO_PASSPIDFD, "SO_PASSPIDFD", .unix), general(SocketOptions.SO_PASSRIGHTS, "SO_PASSRIGHTS", .unix),
        SocketOption(SOL_SOCKET, SocketOptions.SO_SNDBUF, "SO_SNDBUF", 4...4, .all, .early, .buffer(force: SocketOptions.SO_SNDBUFFORCE)),
        SocketOption(SOL_SOCKET, SocketOptions.SO_RCVBUF, "SO_RCVBUF", 4...4, .all, .early, .buffer(force: SocketOptions.SO_RCVBUFFORCE)),
        general(SocketOptions.SO_BUF_LOCK, "SO_BUF_LOCK", .all, .early),
        // 8 bytes of each instruction, 4,096 of them at most.
        SocketOption(SOL_SOCKET, SocketOptions.SO_GET_FILTER, "SO_ATTACH_FILTER", 8...32768, .all, .late, .filter),
        general(SocketOptions.SO_LOCK_FILTER, "SO_LOCK_FILTER"), general(SocketOptions.SO_PEEK_OFF, "SO_PEEK_OFF", [.unix, .inet]),
    ]

    private static func one(
        _ level: UInt32, _ number: UInt32, _ name: String, _ families: Families, _ moment: Moment = .late, needs capabilities: [UInt64] = []
    ) -> SocketOption {
        SocketOption(level, number, name, 4...4, families, moment, needs: capabilities)
    }

    private static func general(
        _ number: UInt32, _ name: String, _ families: Families = .all, _ moment: Moment = .late, needs capabilities: [UInt64] = [],
        above free: Int32? = nil
    ) -> SocketOption {
        SocketOption(SOL_SOCKET, number, name, 4...4, families, moment, needs: capabilities, above: free)
    }
}
