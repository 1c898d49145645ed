package import FoundationEssentials
internal import LinuxABI

/// A unix(7) socket. All of an image are made together, by its root: connections need both ends, names are theirs in turn,
/// and what waits in one may have come from any other.
extension ImageUnixSocket: SavedObject {
    package var references: [ObjectReference] {
        let others = (peer == 0 ? [] : [peer]) + waiting + (queue + early).flatMap(\.files)
        return others.map { .openFile($0) }
    }

    package var isDatagram: Bool { type == Socket.SOCK_DGRAM }

    /// Of a name that is a path: that of the file, as seen from the real root.
    package var file: [UInt8]? {
        guard hasName, let base = address.asBytes.split(separator: Self.slash).last else { return nil }
        let directory = name.directory.asBytes
        return (directory == [Self.slash] ? [] : directory) + [Self.slash] + base
    }

    /// The directory in which a name that is no absolute path was bound: what is left of that of the file without the directories in
    /// the name. Nil: that cannot be told.
    package var workingDirectory: [UInt8]? {
        let steps = address.asBytes.split(separator: Self.slash).dropLast().filter { !$0.elementsEqual([Self.dot]) }
        if steps.contains(where: { $0.elementsEqual([Self.dot, Self.dot]) }) { return nil }
        let directories = name.directory.asBytes.split(separator: Self.slash)
        guard directories.suffix(steps.count).elementsEqual(steps, by: { $0.elementsEqual($1) }) else { return nil }
        let left = directories.dropLast(steps.count)
        return left.isEmpty ? [Self.slash] : left.flatMap { [Self.slash] + $0 }
    }

    package var isAbsolute: Bool { address.first == Self.slash }
    private static let slash = UInt8(ascii: "/")
    private static let dot = UInt8(ascii: ".")

    package var bundle: ObjectReference? { .unixSockets }
    package var isMadeByRoot: Bool { true }

    package func check(_ rules: RuleContext) throws(ImageError) {
        let isConnection = type == Socket.SOCK_STREAM || type == Socket.SOCK_SEQPACKET
        try rules.require(isConnection || type == Socket.SOCK_DGRAM, .socketType)
        try rules.require(shutdown <= 3, .socketState)
        try rules.require(!listening || isConnection && peer == 0 && !peerGone && queue.isEmpty, .socketState)
        try rules.require(peer == 0 || !peerGone, .socketState)
        try rules.require(waiting.isEmpty || listening, .socketState)
        try rules.require(Set(waiting).count == waiting.count && !waiting.contains(rules.id), .socketState)
        for address in [address, peerAddress] + queue.map(\.from) { try rules.require(Self.isAddress(address), .socketName) }
        if hasName {
            try rules.require(address.first.map { $0 != 0 } ?? false && name.mode <= 0o7777, .socketName)
            try rules.require(file != nil && (isAbsolute || workingDirectory != nil), .socketName)
            try rules.lookup.requirePath(name.directory, "open file \(rules.id)")
        }
        for other in (peer == 0 ? [] : [peer]) + waiting { try checkPeer(other, isConnection: isConnection, rules) }
        for message in queue + early { try rules.require(message.files.count <= Self.filesInMessage, .socketQueue) }
        try rules.require(type != Socket.SOCK_STREAM || queue.allSatisfy { !$0.bytes.isEmpty }, .socketQueue)
        let isWaiting = isConnection && peer == 0 && !peerGone && !listening
        try rules.require(early.isEmpty && !hasConnector || isWaiting, .socketQueue)
        try rules.require(type != Socket.SOCK_STREAM || early.allSatisfy { !$0.bytes.isEmpty }, .socketQueue)
        try rules.require(queue.isEmpty || peer != 0 || peerGone || type == Socket.SOCK_DGRAM, .socketQueue)
        try rules.requireOptions(inetOptions, of: .unix)
    }

    /// Its options, as other sockets have them.
    package var inetOptions: [ImageInetOption] { options.map(\.inetOption) }

    /// SCM_MAX_FD. Source: unix(7).
    private static let filesInMessage = 253

    /// `sun_path` has 108 bytes.
    static func isAddress(_ address: Data) -> Bool { address.count <= 108 && (address.first == 0 || !address.contains(0)) }

    /// Ends of a connection name each other.
    private func checkPeer(_ id: UInt32, isConnection: Bool, _ rules: RuleContext) throws(ImageError) {
        guard case .unix(let other)? = rules.lookup.openFile[id].map({ rules.records.openFiles[$0] })?.object else {
            throw .rule(.socketPeer, "open file \(rules.id)")
        }
        try rules.require(other.type == type, .socketPeer)
        if listening {
            try rules.require(other.peer == 0 && !other.peerGone && !other.listening, .socketPeer)
        } else if isConnection {
            try rules.require(other.peer == rules.id && id != rules.id, .socketPeer)
        }
    }

    package func summary(in image: CheckpointImage) -> String {
        let kind = [Socket.SOCK_STREAM: "stream", Socket.SOCK_DGRAM: "datagram"][type] ?? "seqpacket"
        var text = "unix \(kind) socket"
        if !address.isEmpty { text += " \(Self.shown(address))" }
        if listening { text += ", listens" }
        if peer != 0 { text += ", connected" }
        if peerGone { text += ", its peer is gone" }
        let count = queue.reduce(0) { $0 + $1.bytes.count }
        if !queue.isEmpty { text += ", \(count) bytes wait" }
        return text
    }

    /// Its name as `/proc/net/unix` shows it: `@` for each zero byte.
    package var shownInTable: [UInt8] { address.asBytes.map { hasName || $0 != 0 ? $0 : UInt8(ascii: "@") } }

    /// An abstract name begins with a zero byte, which is shown as `@`.
    package static func shown(_ address: Data) -> String {
        address.first == 0 ? "@" + address.dropFirst().asText : address.asText
    }
}

extension ImageSocketOption {
    var inetOption: ImageInetOption {
        var one = ImageInetOption()
        one.level = SocketOption.SOL_SOCKET
        one.number = number
        one.value = value
        return one
    }
}
