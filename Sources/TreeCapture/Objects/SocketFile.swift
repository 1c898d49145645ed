internal import CheckpointImage
internal import Kernel

/// Sockets, which cannot be saved yet: what each is, and what it is connected with.
///
/// Details: `family`, `type`, `isListening`; `local` and `peer`, its addresses as text; `peerInode`, of a unix socket.
enum SocketFile: DescriptorCapture {
    static func claims(_ sight: OpenFileSight) -> Bool { sight.status.kind == .socket }

    static func look(_ sights: inout [OpenFileSight], _ tree: inout TreeLook) throws(SystemError) {
        for index in sights.indices {
            guard let look = try? SocketLook(of: sights[index].holder.rawValue, descriptor: sights[index].number) else { continue }
            sights[index].details["kind"] = RawText(look.kind)
            if look.isListening { sights[index].details["isListening"] = "1" }
            if look.isTCP { sights[index].details["isTCP"] = "1" }
            sights[index].details["local"] = look.local.map { RawText($0) }
            sights[index].details["peer"] = look.peer.map { RawText($0) }
            guard look.isUnix else { continue }
            sights[index][number: "peerInode"] = UnixSocketPeer.inode(ofPeerOf: sights[index].status.inode)
        }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let places = recorder.places[id - 1]
        var text = "is a \(sight.details["kind"]?.shown ?? "socket")"
        if sight.details["isListening"] != nil { text += " that listens" }
        if let local = sight.details["local"] { text += ", \(local.shown)" }
        var end: OtherEnd?
        var help = "end the connection before the checkpoint"
        if sight.details["isListening"] != nil { help = "stop the service before the checkpoint and start it again afterwards" }
        if let inode = sight[number: "peerInode"] {
            if let other = recorder.sockets[inode], let place = recorder.places[other].first {
                let isOwn = place.process == places.first?.process
                text += ", connected with \(place.name) of \(isOwn ? "the same process" : "process \(place.process)")"
                help = "let the program use pipes instead"
            } else {
                text += ", connected with a socket outside of the tree"
                end = .socket(inode: inode)
            }
        } else if let peer = sight.details["peer"] {
            text += ", connected with \(peer.shown)"
            if sight.details["isTCP"] != nil, let local = sight.details["local"] { end = .connection(from: peer.shown, to: local.shown) }
        }
        recorder.find(places, text + ", which cannot be saved yet", help: help, otherEnd: end)
        return .found
    }
}
