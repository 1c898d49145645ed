import FoundationEssentials
internal import LinuxABI

/// A netlink(7) socket.
extension ImageNetlinkSocket: SavedObject {
    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(type == Socket.SOCK_RAW || type == Socket.SOCK_DGRAM, .networkSocket)
        // MAX_LINKS
        try rules.require(`protocol` < 32 && groups.allSatisfy { (1...0xffff).contains($0) }, .networkSocket)
        try rules.require(Set(groups).count == groups.count, .networkSocket)
        try rules.requireOptions(options, of: .netlink)
    }

    package func summary(in image: CheckpointImage) -> String {
        var text = "netlink socket (\(protocolName))"
        if port != 0 { text += ", port \(port)" }
        if !groups.isEmpty { text += ", groups \(groups.map { String($0) }.joined(separator: " "))" }
        return text
    }

    package var protocolName: String {
        let names: [UInt32: String] = [
            0: "route", 2: "user", 4: "sock_diag", 5: "nflog", 6: "xfrm", 7: "selinux", 8: "iscsi", 9: "audit", 10: "fib lookup", 11: "connector",
            12: "netfilter", 15: "uevent", 16: "generic", 18: "scsi transport", 19: "ecryptfs", 20: "rdma", 21: "crypto", 22: "smc",
        ]
        return names[`protocol`] ?? "protocol \(`protocol`)"
    }

    /// `struct sockaddr_nl`: family, padding, port, no groups.
    package var address: [UInt8] { [16, 0, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: port >> ($0 * 8)) } + [0, 0, 0, 0] }
}
