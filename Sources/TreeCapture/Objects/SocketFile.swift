internal import CheckpointImage
internal import Kernel

/// Sockets: what each is, and what it is connected with. Only unix sockets can be saved, see ``UnixSocket``.
///
/// Details: `family`, `type`, `isListening`; `local` and `peer`, its addresses as text.
enum SocketFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.status.kind == .socket }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        let known = tree.sight.files.count
        for index in sights.indices {
            guard let look = try? SocketLook(of: sights[index].holder.rawValue, descriptor: sights[index].number) else { continue }
            sights[index].details["kind"] = RawText(look.kind)
            if look.isListening { sights[index].details["isListening"] = "1" }
            if look.isTCP { sights[index].details["isTCP"] = "1" }
            sights[index].details["local"] = look.local.map { RawText($0) }
            sights[index].details["peer"] = look.peer.map { RawText($0) }
            if look.isUnix { UnixSocket.look(&sights[index], &tree) }
        }
        try lookIntoQueues(known, &tree)
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
        let places = recorder.places[id - 1]
        var text = "is a \(sight.details["kind"]?.shown ?? "socket")"
        if sight.details["isListening"] != nil { text += " that listens" }
        if let local = sight.details["local"] { text += ", \(local.shown)" }
        var end: OtherEnd?
        var help = "end the connection before the checkpoint"
        if sight.details["isListening"] != nil { help = "stop the service before the checkpoint and start it again afterwards" }
        if let peer = sight.details["peer"] {
            text += ", connected with \(peer.shown)"
            if sight.details["isTCP"] != nil, let local = sight.details["local"] { end = .connection(from: peer.shown, to: local.shown) }
        }
        recorder.find(places, text + ", which cannot be saved yet", help: help, otherEnd: end)
        return .found
    }
}
