internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import StepProgram

/// What the kernel's table of TCP sockets tells besides: one dump of it for each family.
///
/// Details: `listenOrder`: the place of a listening socket among those of its family; `leaving`: connections of its port that the program
/// has closed and that still have something to send, each as its other end and a number of bytes; `unaccepted`: a connection with a
/// listening socket of the tree, which has not accepted it, and nothing was said; `unacceptedHere`: how many of these a listening one has;
/// `lost`: other ends of those that it has besides, each with the number of bytes that wait.
extension TCPSocket {
    static func lookIntoTable(_ sights: inout [OpenFileSight], at indices: [Int], _ tree: TreeLook) {
        var places: [UInt64: Int] = [:]
        for index in indices { places[sights[index].status.inode] = index }
        var silent: [[UInt8]: Int] = [:]
        var accepting: [(table: [TCPTable.Entry], listening: [Int])] = []
        for family in [Socket.AF_INET, Socket.AF_INET6] {
            // Without this table, those of one port come back in the order of their descriptors.
            guard indices.contains(where: { sights[$0][number: "family"] == UInt64(family) }),
                let table = try? TCPTable.entries(of: family, in: inTable)
            else { continue }
            for entry in table {
                guard let index = places[entry.inode] else { continue }
                if entry.isSigned { sights[index].details["refusal"] = "whose segments are signed (TCP_MD5SIG)" }
                if entry.state == TCP.TCP_ESTABLISHED, entry.unacknowledged == 0, entry.unread == 0, sights[index].details["hungUp"] == nil {
                    silent[key(entry.local, entry.peer)] = index
                }
            }
            let listening = TCPTable.inOrder(table.filter { $0.state == TCP.TCP_LISTEN }, of: family)
            for (place, entry) in listening.enumerated() {
                guard let index = places[entry.inode] else { continue }
                sights[index][number: "listenOrder"] = UInt64(place + 1)
            }
            accepting.append((table, listening.compactMap { places[$0.inode] }))
            if tree.locksConnections { noteLeaving(&sights, accepting[accepting.count - 1].listening, table) }
        }
        for one in accepting { noteUnaccepted(&sights, one.listening, one.table, silent) }
    }

    /// A connection that was not accepted has no descriptor. If nothing was said on it, its other end can make it anew.
    private static func noteUnaccepted(
        _ sights: inout [OpenFileSight], _ listening: [Int], _ table: [TCPTable.Entry], _ silent: [[UInt8]: Int]
    ) {
        for entry in table where entry.inode == 0 && (entry.state == TCP.TCP_ESTABLISHED || entry.state == TCP.TCP_CLOSE_WAIT) {
            guard let index = listener(of: entry, among: listening, sights) else { continue }
            if entry.state == TCP.TCP_ESTABLISHED, entry.unread == 0, let client = silent[key(entry.peer, entry.local)] {
                sights[client].details["unaccepted"] = "1"
                sights[index][number: "unacceptedHere"] = (sights[index][number: "unacceptedHere"] ?? 0) + 1
            } else if let peer = SocketAddress.text(of: entry.peer) {
                add("\(peer) \(entry.unread)", to: "lost", of: &sights[index])
            }
        }
    }

    private static func key(_ local: [UInt8], _ peer: [UInt8]) -> [UInt8] { ImageTcpSocket.endpoint(local) + ImageTcpSocket.endpoint(peer) }

    private static func listener(of entry: TCPTable.Entry, among listening: [Int], _ sights: [OpenFileSight]) -> Int? {
        listening.first { sights[$0].details["address"].map { belongs(entry.local, to: $0.bytes) } ?? false }
    }

    private static let inTable = [
        TCP.TCP_ESTABLISHED, TCP.TCP_SYN_SENT, TCP.TCP_FIN_WAIT1, TCP.TCP_FIN_WAIT2, TCP.TCP_CLOSE_WAIT, TCP.TCP_LAST_ACK, TCP.TCP_LISTEN,
        TCP.TCP_CLOSING,
    ]
    private static let sending: Set<UInt32> = [TCP.TCP_FIN_WAIT1, TCP.TCP_LAST_ACK, TCP.TCP_CLOSING]

    /// No descriptor leads to what was closed: that it was the tree's is known by the port on which the tree listens.
    private static func noteLeaving(_ sights: inout [OpenFileSight], _ listening: [Int], _ table: [TCPTable.Entry]) {
        for entry in table where entry.inode == 0 && sending.contains(entry.state) && entry.unacknowledged > 1 {
            guard let index = listener(of: entry, among: listening, sights), let peer = SocketAddress.text(of: entry.peer) else { continue }
            // FIN counts as one.
            add("\(peer) \(entry.unacknowledged - 1)", to: "leaving", of: &sights[index])
        }
    }

    private static func add(_ words: String, to key: String, of sight: inout OpenFileSight) {
        let before = sight.details[key].map { $0.bytes + [UInt8(ascii: " ")] } ?? []
        sight.details[key] = RawText(before + Array(words.utf8))
    }

    /// Other ends, each with a number of bytes.
    private static func ends(_ key: String, of sight: OpenFileSight) -> [(peer: Substring, bytes: UInt64)] {
        let words = sight.details[key]?.shown.split(separator: " ") ?? []
        return stride(from: 0, to: words.count - words.count % 2, by: 2).map { (words[$0], UInt64(words[$0 + 1]) ?? 0) }
    }

    private static func names(_ ends: [(peer: Substring, bytes: UInt64)], _ name: (Substring, UInt64) -> String) -> String {
        ends.prefix(3).map { name($0.peer, $0.bytes) }.joined(separator: ", ") + (ends.count > 3 ? ", ..." : "")
    }

    /// What is said of connections that were not accepted yet, and are not in the image.
    static func noticeOfUnaccepted(_ sight: OpenFileSight) -> String? {
        guard let all = sight[number: "waiting"], all > sight[number: "unacceptedHere"] ?? 0 else { return nil }
        let count = all - (sight[number: "unacceptedHere"] ?? 0)
        let known = ends("lost", of: sight)
        let names = known.isEmpty ? "" : " (\(names(known) { "\($0)\($1 == 0 ? "" : ", which has sent \(byteCount($1))")" }))"
        return
            "\(sight.details["local"]?.shown ?? ""): \(count) connection\(count == 1 ? "" : "s")\(names) that the program has not accepted yet \(count == 1 ? "is" : "are") not in the image: \(count == 1 ? "it is" : "they are") reset, as if the queue had been full"
    }

    /// Whether a connection can have been accepted by a socket of the same family that listens at `address`.
    static func belongs(_ local: [UInt8], to address: [UInt8]) -> Bool {
        guard local.count == address.count, local.count >= 16, local[2..<4] == address[2..<4] else { return false }
        let host = local.count < 28 ? 4..<8 : 8..<24
        return address[host].allSatisfy { $0 == 0 } || address[host] == local[host]
    }

    /// What is said of connections that were closed and still send.
    static func noticeOfLeaving(_ sight: OpenFileSight, reusesAddress: Bool) -> String? {
        let pairs = ends("leaving", of: sight)
        if pairs.isEmpty { return nil }
        let names = names(pairs) { "\(byteCount($1)) to \($0)" }
        let wait = reusesAddress ? "" : "; until a minute after that no restart here can have the port, because SO_REUSEADDR was not set"
        return
            "\(sight.details["local"]?.shown ?? ""): \(pairs.count) connection\(pairs.count == 1 ? "" : "s") that the program has closed still send\(pairs.count == 1 ? "s" : "") (\(names)): the kernel of this host goes on with that after the end of the tree; a host that goes down or loses its address before loses these bytes\(wait)"
    }
}
