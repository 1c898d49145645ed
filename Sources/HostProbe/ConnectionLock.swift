package import CheckpointImage
package import Kernel
internal import LinuxABI

/// The lock of a tree's TCP connections while the tree is a file: their packets are dropped, not answered, so that no peer is told of its end.
///
/// One table of nftables for each image, named by the image: two sets of exact addresses and ports, and a rule for packets that arrive and
/// one for those that leave, before connections are tracked. A reboot ends it.
///
///     table inet treerestore_0123456789abcdef
///       comment "1 BOOTTIME CONNECTIONS"        seconds; how many
///       chain path0, path1, ...                 no hook; comment: 60 bytes each of the path of the image, as hexadecimal digits
///       set four, set six                       own address . own port . peer's address . peer's port
///       chain arriving, chain leaving           priority raw
///
/// - Source: nft(8).
package struct ConnectionLock: Sendable, Equatable {
    /// Both ends of a connection, as `struct sockaddr_in` or `sockaddr_in6`.
    package struct Connection: Sendable, Hashable {
        package var address: [UInt8]
        package var peerAddress: [UInt8]

        package init(address: [UInt8], peerAddress: [UInt8]) {
            self.address = address
            self.peerAddress = peerAddress
        }
    }

    /// 16 hexadecimal digits, of the image.
    package var id: String
    /// Bytes of the path of the image; empty: it was written to a pipe.
    package var path: [UInt8] = []
    /// When it was put, CLOCK_BOOTTIME.
    package var seconds: Int64 = 0
    package var connections = 0

    static let prefix = "treerestore_"
    package var table: String { Self.prefix + id }

    package init(id: String) { self.id = id }

    // MARK: - As nft reads it

    private static let pieceLength = 60

    /// - Precondition: ``isLockID`` of ``id``.
    package func commands(_ list: [Connection]) -> String {
        var text = "table inet \(table) {\n comment \"1 \(seconds) \(list.count)\"\n"
        for (index, start) in stride(from: 0, to: path.count, by: Self.pieceLength).enumerated() {
            text += " chain path\(index) { comment \"\(Self.digits(path[start..<min(start + Self.pieceLength, path.count)]))\"; }\n"
        }
        let elements = Dictionary(grouping: Set(list).compactMap(Self.element), by: \.isSix).mapValues { Set($0.map(\.text)).sorted() }
        for (name, type, isSix) in [("four", "ipv4_addr", false), ("six", "ipv6_addr", true)] {
            text += " set \(name) { type \(type) . inet_service . \(type) . inet_service;"
            if let found = elements[isSix] { text += " elements = { \(found.joined(separator: ", ")) };" }
            text += " }\n"
        }
        for (name, hook, own, other) in [("arriving", "prerouting", "d", "s"), ("leaving", "output", "s", "d")] {
            text += " chain \(name) { type filter hook \(hook) priority raw; policy accept;\n"
            for (family, set) in [("ip", "four"), ("ip6", "six")] {
                text += "  \(family) \(own)addr . tcp \(own)port . \(family) \(other)addr . tcp \(other)port @\(set) drop\n"
            }
            text += " }\n"
        }
        return text + "}\n"
    }

    /// `127.0.0.1 . 80 . 127.0.0.1 . 4711`. IPv4 that is mapped to IPv6 travels as IPv4.
    private static func element(_ connection: Connection) -> (isSix: Bool, text: String)? {
        let (one, two) = (ImageTcpSocket.endpoint(connection.address), ImageTcpSocket.endpoint(connection.peerAddress))
        guard one.count == 18, two.count == 18 else { return nil }
        let isSix = !(isMapped(one) && isMapped(two))
        return (isSix, "\(end(one, isSix)) . \(end(two, isSix))")
    }

    private static func isMapped(_ end: [UInt8]) -> Bool { end[2..<12].allSatisfy { $0 == 0 } && end[12] == 0xff && end[13] == 0xff }

    private static func end(_ end: [UInt8], _ isSix: Bool) -> String {
        func word(_ place: Int) -> UInt16 { UInt16(end[place]) << 8 | UInt16(end[place + 1]) }
        let host =
            isSix
            ? stride(from: 2, to: 18, by: 2).map { String(word($0), radix: 16) }.joined(separator: ":")
            : end[14...].map(String.init).joined(separator: ".")
        return "\(host) . \(word(0))"
    }

    private static func digits(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    // MARK: - As nft prints it

    /// What `nft list table` prints of one of ours; nil: it is none.
    init?(id: String, listing: String) {
        self.init(id: id)
        var comments = listing.split(separator: "\n").compactMap { line -> Substring? in
            let line = line.drop { $0 == "\t" || $0 == " " }
            guard line.hasPrefix("comment \""), line.hasSuffix("\"") else { return nil }
            return line.dropFirst(9).dropLast()
        }[...]
        guard let facts = comments.popFirst()?.split(separator: " "), facts.count == 3, facts[0] == "1", let seconds = Int64(facts[1]),
            let count = Int(facts[2])
        else { return nil }
        (self.seconds, connections) = (seconds, count)
        for piece in comments {
            let digits = piece.compactMap(\.hexDigitValue)
            guard digits.count == piece.count, digits.count % 2 == 0 else { return nil }
            path += stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        }
    }

    /// Ids of our tables in what `nft list tables inet` prints.
    static func ids(inTables text: String) -> [String] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == "table", words[1] == "inet", words[2].hasPrefix(prefix) else { return nil }
            let id = String(words[2].dropFirst(prefix.count))
            return isLockID(id) ? id : nil
        }
    }
}
