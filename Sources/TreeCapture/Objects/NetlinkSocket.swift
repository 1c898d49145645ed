internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Netlink sockets.
///
/// Details: `socketType`, `protocol`, `port`, `peerPort`, `peerGroups`; `groups` (numbers); options (``SocketOptionSight``);
/// `refusal`, why it cannot be saved.
enum NetlinkSocket {
    static func look(
        _ sight: inout OpenFileSight, _ socket: borrowing SocketHandle, _ kind: SocketHandle.Kind, _ tree: inout TreeLook
    ) throws(SystemError) {
        sight[number: "family"] = UInt64(kind.family)
        sight[number: "socketType"] = UInt64(kind.type)
        sight[number: "protocol"] = UInt64(kind.number)
        // struct sockaddr_nl: family, padding, port, the first 32 groups
        func word(_ bytes: [UInt8]?, _ place: Int) -> UInt64 {
            guard let bytes, bytes.count >= place + 4 else { return 0 }
            return (0..<4).reduce(0) { $0 | UInt64(bytes[place + $1]) << ($1 * 8) }
        }
        let port = word(socket.address(), 4)
        sight[number: "port"] = port
        let peer = socket.peerAddress()
        if word(peer, 4) != 0 { sight[number: "peerPort"] = word(peer, 4) }
        if word(peer, 8) != 0 { sight[number: "peerGroups"] = word(peer, 8) }
        let groups = NetlinkSocketState.groups(of: socket)
        if !groups.isEmpty { sight.details["groups"] = RawText(groups.map { String($0) }.joined(separator: " ")) }
        try SocketOptionSight.look(&sight, socket, isConnected: false, &tree)
        if kind.number == Socket.NETLINK_CONNECTOR { sight.details["refusal"] = "to which the kernel reports events of processes (NETLINK_CONNECTOR)" }
        if kind.number == Socket.NETLINK_NETFILTER, NetlinkSocketState.netfilterPorts().contains(UInt32(truncatingIfNeeded: port)) {
            sight.details["refusal"] = "to which netfilter sends packets (NFQUEUE, NFLOG)"
        }
        // To receive, even by a look, makes the kernel go on with a dump.
        let (hasInput, hasError, _) = socket.readiness()
        if hasInput { sight.details["refusal"] = "in which messages wait that have not been read" }
        if hasError { sight.details["refusal"] = "which has not been told yet that it has lost messages (ENOBUFS)" }
        if tree.netlinkSockets == nil { tree.netlinkSockets = (try? NetlinkSocketState.table()) ?? [:] }
        if tree.netlinkSockets?[sight.status.inode]?.isDumping == true { sight.details["refusal"] = "which is in the middle of a dump of the kernel's" }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        var object = ImageNetlinkSocket()
        func number(_ key: String) -> UInt32 { UInt32(truncatingIfNeeded: sight[number: key] ?? 0) }
        object.type = number("socketType")
        object.protocol = number("protocol")
        object.port = number("port")
        object.peerPort = number("peerPort")
        object.peerGroups = number("peerGroups")
        object.groups = (sight.details["groups"]?.bytes ?? []).split(separator: UInt8(ascii: " ")).compactMap {
            UInt32(String(decoding: $0, as: UTF8.self))
        }
        object.options = SocketOptionSight.records(of: sight)
        if let refusal = sight.details["refusal"] {
            let port = object.port == 0 ? "" : ", port \(object.port)"
            return .refused(
                "is a netlink socket (\(object.protocolName))\(port), \(refusal.shown), which cannot be saved",
                help: "checkpoint at another moment, or let the program close it")
        }
        return .object(.netlink(object))
    }
}
