internal import LinuxABI

/// An open file that was let through a checkpoint. What takes its place is said at the restart (`crrestart --fd`, `--reconnect`).
extension ImageExternalFile: SavedObject {
    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(!identifier.isEmpty && !identifier.contains(0), .externalName)
        if hasConnection { try connection.check(rules) }
    }

    /// The name of a process is noted with a connection (SO_PEERCRED): see `PlanBuilder.act`.
    package var isMadeByRoot: Bool { hasConnection }

    package func summary(in image: CheckpointImage) -> String { "\(identifier.asText), external" + (description_p.isEmpty ? "" : ": \(description_p.asText)") }
}

extension ImageExternalConnection {
    func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require([Socket.SOCK_STREAM, Socket.SOCK_DGRAM, Socket.SOCK_SEQPACKET].contains(type), .socketType)
        try rules.require(shutdown <= 3, .socketState)
        for name in [address, own] { try rules.require(ImageUnixSocket.isAddress(name), .socketName) }
        try rules.require(address.first == 0 || address.first == UInt8(ascii: "/"), .socketName)
        try rules.require(own.isEmpty || own.first == 0, .socketName)
        try rules.requireOptions(inetOptions, of: .unix)
    }

    /// Its options, as other sockets have them.
    package var inetOptions: [ImageInetOption] { options.map(\.inetOption) }

    /// The path that it is connected with; nil: an abstract name.
    package var path: [UInt8]? { address.first == 0 ? nil : address.asBytes }

    /// What a new connection lacks, in words; nil: nothing.
    package var loss: String? {
        let received = waiting == 0 ? nil : "without the \(waiting) bytes that it has not received"
        let sent = sent == 0 ? nil : "without what its peer has not received"
        let all = [received, sent].compactMap { $0 }
        return all.isEmpty ? nil : all.joined(separator: " and ")
    }
}
