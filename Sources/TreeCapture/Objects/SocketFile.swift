internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Sockets: what each is, and what it is connected with. Those of a family that can be saved are handed over: ``UnixSocket``,
/// ``TCPSocket``, ``InetSocket``, ``PacketSocket``, ``NetlinkSocket``.
///
/// Details: `kind`, `isListening`, `isTCP`; `local` and `peer`, its addresses as text. `type` is set of unix sockets, `family` of the others
/// that can be saved.
enum SocketFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.status.kind == .socket }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        let known = tree.sight.files.count
        var streams: [Int] = []
        for index in sights.indices {
            guard let socket = try? SocketHandle(of: sights[index].holder.rawValue, descriptor: sights[index].number),
                let look = try? SocketLook(socket)
            else { continue }
            sights[index].details["kind"] = RawText(look.kind)
            if look.isListening { sights[index].details["isListening"] = "1" }
            if look.isTCP { sights[index].details["isTCP"] = "1" }
            sights[index].details["local"] = look.local.map { RawText($0) }
            sights[index].details["peer"] = look.peer.map { RawText($0) }
            if look.isUnix {
                UnixSocket.look(&sights[index], &tree)
                continue
            }
            if look.isTCP {
                streams.append(index)
                continue
            }
            do throws(SystemError) { try lookAt(&sights[index], socket, &tree) } catch {
                // In a dry run the program goes on: it can have closed the socket.
                sights[index].fail(error)
                sights[index].details["refusal"] = RawText("which cannot be looked into: \(error.name) (\(error.call))")
            }
        }
        try TCPSocket.look(&sights, at: streams, &tree)
        try lookIntoQueues(known, &tree)
    }

    private static func lookAt(_ sight: inout OpenFileSight, _ socket: borrowing SocketHandle, _ tree: inout TreeLook) throws(SystemError) {
        let kind = try socket.kind
        switch kind.family {
        case Socket.AF_NETLINK: try NetlinkSocket.look(&sight, socket, kind, &tree)
        case Socket.AF_PACKET: try PacketSocket.look(&sight, socket, kind, &tree)
        case _ where InetSocket.claims(kind): try InetSocket.look(&sight, socket, kind, &tree)
        default: break
        }
    }

    /// Sockets that were found in the queue of a socket.
    private static func lookIntoQueues(_ known: Int, _ tree: inout TreeLook) throws(SystemError) {
        var next = known
        while next < tree.sight.files.count {
            if claims(tree.sight.files[next]) {
                var one = [tree.sight.files[next]]
                try look(&one, &tree)
                tree.sight.files[next] = one[0]
            }
            next += 1
        }
    }

    static func finish(_ recorder: inout FileRecorder) { UnixSocket.finish(&recorder) }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        if sight.details["type"] != nil { return UnixSocket.record(sight, id, &recorder) }
        if TCPSocket.isTCP(sight) { return TCPSocket.record(sight, id, &recorder) }
        switch sight[number: "family"].map({ UInt32(truncatingIfNeeded: $0) }) {
        case Socket.AF_NETLINK?: return NetlinkSocket.record(sight, id, &recorder)
        case Socket.AF_PACKET?: return PacketSocket.record(sight, id, &recorder)
        case Socket.AF_INET?, Socket.AF_INET6?: return InetSocket.record(sight, id, &recorder)
        default: break
        }
        let places = recorder.places[id - 1]
        var text = "is a \(sight.details["kind"]?.shown ?? "socket")"
        if sight.details["isListening"] != nil { text += " that listens" }
        if let local = sight.details["local"] { text += ", \(local.shown)" }
        var end: OtherEnd?
        var help = sight.details["isTCP"] != nil ? "end the connection before the checkpoint" : "let the program close it before the checkpoint"
        if sight.details["isListening"] != nil { help = "stop the service before the checkpoint and start it again afterwards" }
        if let peer = sight.details["peer"] {
            text += ", connected with \(peer.shown)"
            if sight.details["isTCP"] != nil, let local = sight.details["local"] { end = .connection(from: peer.shown, to: local.shown) }
        }
        recorder.find(places, text + ", which cannot be saved yet", help: help, otherEnd: end)
        return .found
    }
}
