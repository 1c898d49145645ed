internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI

/// Connections of a tree that is to be ended or stopped are locked before they are looked into: see ``ConnectionFence``.
///
/// Details: `unlocked`, `unlockedHelp`: why a connection out of the tree could not be locked; `receiveQueue` of one that is to be closed.
extension TCPSocket {
    /// Locks the connections, as far as they are to go on.
    ///
    /// - Returns: those that are to be looked into.
    static func lock(_ sights: inout [OpenFileSight], _ connections: [Int], _ tree: inout TreeLook) -> [Int] {
        let ends = TCPEnds(sights, connections)
        let outside = connections.filter { ends.other(of: sights[$0]) == nil }
        let mode = tree.sight.connections ?? .keep
        if mode != .keep {
            for index in outside where mode == .close { lookIntoLeft(&sights[index]) }
            let left = Set(outside)
            return connections.filter { !left.contains($0) }
        }
        let all = connections.compactMap { index -> ConnectionLock.Connection? in
            guard let address = sights[index].details["address"]?.bytes, let peer = sights[index].details["peerAddress"]?.bytes else { return nil }
            return ConnectionLock.Connection(address: address, peerAddress: peer)
        }
        if let failure = tree.lock(all) {
            for index in outside {
                sights[index].details["unlocked"] = RawText(failure.reason)
                sights[index].details["unlockedHelp"] = RawText(failure.help)
            }
        }
        return connections
    }

    /// What the program has not received yet stays.
    private static func lookIntoLeft(_ sight: inout OpenFileSight) {
        do throws(SystemError) {
            let copy = try Descriptor.open(task: sight.holder.rawValue).duplicate(remote: sight.number)
            let unread = try TCPSocketLook(of: copy.number).unread
            if unread == 0 { return }
            var room = [UInt8](repeating: 0, count: unread)
            let count = try SocketCalls.receive(copy.number, into: &room, count: unread)
            sight.details["receiveQueue"] = RawText(Array(room[..<count]))
        } catch { sight.details["refusal"] = RawText("which cannot be looked into: \(error.name) (\(error.call))") }
    }

    /// Why a connection out of the tree is not saved as one.
    static func refusalOfConnection(_ sight: OpenFileSight, _ kind: String, _ mode: TCPMode?) -> Refusal? {
        var refusal = reason(sight, kind, mode)
        if let peer = sight.details["peer"], let local = sight.details["local"] { refusal?.otherEnd = .connection(from: peer.shown, to: local.shown) }
        return refusal
    }

    private static func reason(_ sight: OpenFileSight, _ kind: String, _ mode: TCPMode?) -> Refusal? {
        if mode == .refuse { return Refusal("is \(kind) (--tcp refuse)", help: "end the connection before the checkpoint; --tcp keep or close") }
        if mode == .close { return nil }
        if let reason = sight.details["unlocked"] {
            let help = sight.details["unlockedHelp"].map { $0.bytes.isEmpty ? "" : "\($0.shown); " } ?? ""
            return Refusal(
                "is \(kind), whose packets cannot be locked while the tree is a file: \(reason.shown)",
                help: "\(help)--tcp close saves it as closed by its other end")
        }
        return nil
    }

    /// The same socket after its other end has closed it: what was received can be read, then there is no more.
    static func closed(_ socket: ImageTcpSocket, _ sight: OpenFileSight) -> ImageTcpSocket {
        var closed = ImageTcpSocket(state: TCP.TCP_CLOSE)
        (closed.family, closed.address, closed.receivesNoMore) = (socket.family, socket.address, true)
        if let queue = sight.details["receiveQueue"]?.bytes {
            closed.stream.segment = 536
            closed.stream.receiveQueue = queue.asData
        }
        return closed
    }
}
