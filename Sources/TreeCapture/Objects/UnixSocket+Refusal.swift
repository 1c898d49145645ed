internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension UnixSocket {
    /// Why it cannot be saved, with what it is and with what it is connected.
    static func refusal(of sight: OpenFileSight, _ id: Int, _ recorder: FileRecorder) -> Refusal? {
        if let reason = sight.details["refusal"] {
            return Refusal("is \(kind(sight)), \(reason.shown)", help: "checkpoint at another moment, or let the program close it")
        }
        if let refusal = refusalOfWaiting(sight, recorder) ?? refusalOfKind(sight, recorder) { return refusal }
        guard let inode = sight[number: "peerInode"] else { return nil }
        if inode != 0 {
            if recorder.sockets[inode] != nil { return nil }
            var refusal = Refusal(
                "is \(kind(sight)), connected with a socket outside of the tree" + name(ofPeer: sight),
                help: "end the connection before the checkpoint, or checkpoint the tree that holds both ends")
            refusal.otherEnd = .socket(inode: inode)
            return refusal
        }
        // A stream whose peer has gone is shut down on both sides; else its peer has not been accepted yet.
        let isOpen = (sight[number: "shutdown"] ?? 0) != 3
        if isOpen, sight[number: "type"] != UInt64(Socket.SOCK_DGRAM), !recorder.isWaiting(sight.status.inode) {
            return Refusal(
                "is \(kind(sight)), connected with a socket outside of the tree that has not been accepted yet" + name(ofPeer: sight),
                help: "end the connection before the checkpoint, or checkpoint the tree that holds both ends")
        }
        if isOpen, sight.details["reset"] != nil {
            return Refusal("is \(kind(sight)), which has an error waiting", help: "checkpoint at another moment")
        }
        return nil
    }

    /// What a restart cannot make yet: names, and what only one with another pid could have sent.
    private static func refusalOfKind(_ sight: OpenFileSight, _ recorder: FileRecorder) -> Refusal? {
        let isGone = sight[number: "peerInode"] == 0
        if let name = name(of: sight), let refusal = refusal(of: name, sight) { return refusal }
        let hasFiles = sight.details.keys.contains { $0.hasPrefix("files") }
        if let refusal = refusalOfSenders(sight, hasFiles: hasFiles, recorder) { return refusal }
        if isGone, hasFiles {
            return Refusal(
                "is \(kind(sight)), in which descriptors wait whose sender has closed its end, which cannot be saved yet",
                help: "checkpoint when the program has received them")
        }
        if hasFiles, !isMutual(sight, recorder) {
            return Refusal(
                "is \(kind(sight)), in which descriptors wait that came from a socket which it is not connected with, which cannot be saved yet",
                help: "checkpoint when the program has received them")
        }
        if sight[number: "peerInode"] == nil, sight.details["address"] == nil, sight.details["message0"] != nil {
            return Refusal(
                "is \(kind(sight)), in which a message waits and which is not connected any more, which cannot be saved yet",
                help: "checkpoint when the program has received it")
        }
        if sight[number: "type"] == UInt64(Socket.SOCK_DGRAM), let inode = sight[number: "peerInode"], inode != 0,
            let other = recorder.sockets[inode], !isMutual(sight, recorder) || inode == sight.status.inode
        {
            let peer = recorder.sight.files[other]
            let help = "let the program give the other socket a name (bind)"
            if peer.details["address"] == nil {
                return Refusal("is \(kind(sight)), connected in one direction only with a socket without a name, which cannot be saved yet", help: help)
            }
            if peer.details["fileGone"] != nil, sight.details["message0"] != nil {
                return Refusal("is \(kind(sight)), in which a message waits and whose peer has lost its name, which cannot be saved yet", help: help)
            }
        }
        return nil
    }

    /// A message gets the credentials of its sender (SCM_CREDENTIALS) back by being sent in its name, before there are files to send along.
    private static func refusalOfSenders(_ sight: OpenFileSight, hasFiles: Bool, _ recorder: FileRecorder) -> Refusal? {
        var place = 0
        while sight.details["message\(place)"] != nil {
            defer { place += 1 }
            guard let sender = sender(place, of: sight, recorder) else { continue }
            let help = "checkpoint when the program has received it"
            if hasFiles {
                return Refusal(
                    "is \(kind(sight)), in which descriptors wait and a message with the credentials of its sender (SO_PASSCRED), which cannot be saved yet",
                    help: help)
            }
            if sender.process == 0 {
                let pid = sight.details["sender\(place)"]?.shown.prefix { $0 != " " } ?? ""
                return Refusal(
                    "is \(kind(sight)), in which a message of process \(pid) waits with its credentials (SO_PASSCRED), which has ended or is not of the tree",
                    help: help)
            }
        }
        return nil
    }

    private static func isMutual(_ sight: OpenFileSight, _ recorder: FileRecorder) -> Bool {
        guard let inode = sight[number: "peerInode"], let other = recorder.sockets[inode] else { return false }
        return recorder.sight.files[other][number: "peerInode"] == sight.status.inode
    }

    /// A name has to lead to its file from the root directory of crcheckpoint.
    private static func refusal(of name: ImageUnixName, _ sight: OpenFileSight) -> Refusal? {
        var socket = ImageUnixSocket()
        socket.address = sight.details["address"]?.bytes.asData ?? [UInt8]().asData
        socket.name = name
        let isRenamed = socket.file != sight.details["file"]?.bytes
        if !isRenamed && (socket.isAbsolute ? sight.details["elsewhere"] == nil : socket.workingDirectory != nil) { return nil }
        let place = sight.details["file"]?.shown ?? ""
        if !isRenamed, !socket.isAbsolute {
            return Refusal(
                "is \(kind(sight)), bound by a name with .. to \(place), which cannot be saved yet",
                help: "let the program use \(place) as its name")
        }
        return Refusal("is \(kind(sight)), whose file is \(place) by now, which cannot be saved yet", help: "give it its name again")
    }

    /// Connections that are not accepted: both ends are made again from what is known of the end that the tree has.
    private static func refusalOfWaiting(_ sight: OpenFileSight, _ recorder: FileRecorder) -> Refusal? {
        for inode in waiting(sight) {
            guard let index = recorder.sockets[inode] else {
                let what = inode == 0 ? "a connection that is closed by now" : "a connection from outside of the tree"
                var refusal = Refusal(
                    "is \(kind(sight)), at which \(what) waits to be accepted", help: "checkpoint when the program has accepted it")
                if inode != 0 { refusal.otherEnd = .socket(inode: inode) }
                return refusal
            }
            let client = recorder.sight.files[index]
            guard let obstacle = client.details["earlyRefusal"] else { continue }
            return Refusal(
                "is \(kind(sight)), at which a connection waits to be accepted that \(obstacle.shown), which cannot be saved yet",
                help: "checkpoint when the program has accepted it, and be root: CAP_BPF and CAP_PERFMON are needed to look")
        }
        return nil
    }

    /// A file that is in flight only has no descriptor of which a finding could be made: the socket has it.
    static func finish(_ recorder: inout FileRecorder) {
        let saved = Set(recorder.records.openFiles.map(\.id))
        for (index, sight) in recorder.sight.files.enumerated() where sight.details["message0"] != nil {
            for file in files(inFlightIn: sight) where !saved.contains(UInt32(file)) && recorder.places[file - 1].isEmpty {
                let target = recorder.sight.files[file - 1].target.shown
                recorder.find(
                    recorder.places[index], "is \(kind(sight)), in which \(target) waits, which cannot be saved",
                    help: "checkpoint when the program has received it")
            }
        }
    }

    private static func kind(_ sight: OpenFileSight) -> String {
        var text = "a \(sight.details["kind"]?.shown ?? "unix socket")"
        if sight[number: "backlog"] != nil { text += " that listens" }
        if let local = sight.details["local"] { text += ", \(local.shown)" }
        return text
    }

    private static func name(ofPeer sight: OpenFileSight) -> String { sight.details["peer"].map { ", \($0.shown)" } ?? "" }
}

extension FileRecorder {
    /// Whether a listening socket of the tree has yet to accept its connection.
    func isWaiting(_ inode: UInt64) -> Bool { waiting.contains(inode) }
}
