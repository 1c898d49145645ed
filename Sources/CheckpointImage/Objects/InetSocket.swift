import FoundationEssentials
internal import LinuxABI

/// A UDP, UDP-Lite, raw or ICMP socket.
extension ImageInetSocket: SavedObject {
    package var bundle: ObjectReference? { bindOrder == 0 ? nil : .sharedPorts }
    package var isMadeByRoot: Bool { bindOrder != 0 }

    /// UDP or UDP-Lite.
    package var isUDP: Bool { type == Socket.SOCK_DGRAM && [Socket.IPPROTO_UDP, Socket.IPPROTO_UDPLITE].contains(`protocol`) }

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(family == Socket.AF_INET || family == Socket.AF_INET6, .networkSocket)
        let icmp = family == Socket.AF_INET ? Socket.IPPROTO_ICMP : Socket.IPPROTO_ICMPV6
        let isKnown = type == Socket.SOCK_RAW ? `protocol` <= 255 : [Socket.IPPROTO_UDP, Socket.IPPROTO_UDPLITE, icmp].contains(`protocol`)
        try rules.require((type == Socket.SOCK_RAW || type == Socket.SOCK_DGRAM) && isKnown, .networkSocket)
        try rules.require(shutdown <= 3, .socketState)
        if hasLocal { try local.check(family: family, rules) }
        if hasPeer { try peer.check(family: family, rules) }
        try rules.requireOptions(options, of: family == Socket.AF_INET ? .ipv4 : .ipv6)
        for group in groups {
            let size = group.group.count
            try rules.require(size == 4 || size == 16 && family == Socket.AF_INET6, .networkAddress)
            try rules.require(!group.device.isEmpty && group.device.count < 16 && !group.device.contains(0), .networkAddress)
            try rules.require(group.sources.allSatisfy { $0.count == size } && group.sources.count <= 4096, .networkAddress)
        }
        try rules.require(bindOrder == 0 || isUDP && hasLocal, .socketState)
        try rules.require(queue.isEmpty || type == Socket.SOCK_DGRAM && hasLocal, .socketQueue)
        for datagram in queue {
            try datagram.from.check(family: family, rules)
            try rules.require(datagram.bytes.count <= 65_527, .socketQueue)
        }
    }

    /// What socket(2) makes, e.g. `UDP socket`.
    package var kind: String {
        if type == Socket.SOCK_RAW { return "raw \(family == Socket.AF_INET ? "IPv4" : "IPv6") socket of protocol \(`protocol`)" }
        return switch `protocol` {
        case Socket.IPPROTO_UDP: "UDP socket"
        case Socket.IPPROTO_UDPLITE: "UDP-Lite socket"
        default: "ICMP socket"
        }
    }

    package func summary(in image: CheckpointImage) -> String {
        var text = kind
        if hasLocal { text += " \(local.text)" }
        if hasPeer { text += ", connected with \(peer.text)" }
        if !groups.isEmpty { text += ", in \(groups.map { ImageInetAddress.text(of: $0.group) }.joined(separator: ", "))" }
        if !queue.isEmpty { text += ", \(queue.count == 1 ? "1 datagram waits" : "\(queue.count) datagrams wait")" }
        return text
    }
}
