internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// UDP, UDP-Lite, raw and ICMP sockets.
///
/// Details: `socketType`, `family`, `protocol`; `localAddress`, `peerAddress` (socket addresses), `localDevice`, `peerDevice` (names of
/// the devices of link-local ones); `shutdown`; `bindOrder` (``InetSocketState``); options (``SocketOptionSight``); `group0`, ...: the group, `groupDevice0`,
/// `groupMode0` (`include`), `groupSources0` (one after the other); `datagram0`, ... with `from0`; `waiting`, something that cannot be
/// looked at; `error`, an error waits; `refusal`, why it cannot be saved.
enum InetSocket {
    static func claims(_ kind: SocketHandle.Kind) -> Bool {
        guard kind.family == Socket.AF_INET || kind.family == Socket.AF_INET6 else { return false }
        if kind.type == Socket.SOCK_RAW { return true }
        let icmp = kind.family == Socket.AF_INET ? Socket.IPPROTO_ICMP : Socket.IPPROTO_ICMPV6
        return kind.type == Socket.SOCK_DGRAM && [Socket.IPPROTO_UDP, Socket.IPPROTO_UDPLITE, icmp].contains(kind.number)
    }

    static func look(
        _ sight: inout OpenFileSight, _ socket: borrowing SocketHandle, _ kind: SocketHandle.Kind, _ tree: inout TreeLook
    ) throws(SystemError) {
        sight[number: "family"] = UInt64(kind.family)
        sight[number: "socketType"] = UInt64(kind.type)
        sight[number: "protocol"] = UInt64(kind.number)
        if tree.inetSockets[kind] == nil { tree.inetSockets[kind] = InetSocketState.table(of: kind) }
        let state = tree.inetSockets[kind]?[sight.status.inode]
        note(&sight, "local", socket.address(), socket)
        let peer = socket.peerAddress() ?? state?.peer
        note(&sight, "peer", peer, socket)
        if let state, state.shutdown != 0 { sight[number: "shutdown"] = UInt64(state.shutdown) }
        if let state, state.bindOrder != 0, kind.type == Socket.SOCK_DGRAM { sight[number: "bindOrder"] = UInt64(state.bindOrder) }
        try SocketOptionSight.look(&sight, socket, isConnected: peer != nil, &tree)
        lookAtGroups(&sight, socket, kind, &tree)
        if holdsBack(socket, &tree) { sight.details["refusal"] = "which holds back what it is to send (UDP_CORK, MSG_MORE)" }
        let (hasInput, hasError, shutdown) = socket.readiness()
        // What the tables do not tell of all kinds.
        if shutdown != 0, sight[number: "shutdown"] == nil { sight[number: "shutdown"] = UInt64(shutdown) }
        if hasError { sight.details["error"] = "1" }
        // A look takes an error that waits; only UDP has offsets to look at all.
        let isUDP = kind.type == Socket.SOCK_DGRAM && [Socket.IPPROTO_UDP, Socket.IPPROTO_UDPLITE].contains(kind.number)
        // Who receives meanwhile could see our offset.
        guard tree.members.standsStill else { return }
        guard state.map({ $0.waiting != 0 || isUDP && hasInput }) ?? hasInput else { return }
        if hasError || !isUDP {
            sight.details["waiting"] = "1"
            return
        }
        var count = 0
        for one in try socket.datagrams() {
            var rest = one.bytes[...]
            repeat {
                let part = one.segment == 0 ? rest : rest.prefix(one.segment)
                sight.details["datagram\(count)"] = RawText(Array(part))
                sight.details["from\(count)"] = RawText(one.from)
                note(&sight, "from\(count)", one.from, socket)
                count += 1
                rest = rest.dropFirst(part.count)
            } while !rest.isEmpty
        }
    }

    /// An address, and the name of the device that it names.
    private static func note(_ sight: inout OpenFileSight, _ key: String, _ address: [UInt8]?, _ socket: borrowing SocketHandle) {
        guard let address else { return }
        sight.details[key + "Address"] = RawText(address)
        let scope = ImageInetAddress.scope(of: address)
        if scope != 0, let name = socket.deviceName(scope) { sight.details[key + "Device"] = RawText(name) }
    }

    private static func lookAtGroups(
        _ sight: inout OpenFileSight, _ socket: borrowing SocketHandle, _ kind: SocketHandle.Kind, _ tree: inout TreeLook
    ) {
        let table = tree.multicast ?? MulticastTable()
        tree.multicast = table
        for (index, one) in table.memberships(of: socket, family: kind.family).enumerated() {
            sight.details["group\(index)"] = RawText(one.group)
            sight.details["groupDevice\(index)"] = RawText(socket.deviceName(one.device) ?? [])
            if one.isInclude { sight.details["groupMode\(index)"] = "include" }
            if !one.sources.isEmpty { sight.details["groupSources\(index)"] = RawText(one.sources.flatMap { $0 }) }
        }
    }

    /// What a device has not sent yet counts for a moment, too.
    private static func holdsBack(_ socket: borrowing SocketHandle, _ tree: inout TreeLook) -> Bool {
        for _ in 0..<20 {
            if socket.bytesSent() == 0 { return false }
            socket.pause()
        }
        // What waits for the address of a neighbour counts as well, for seconds; the kernel sends or drops it without the socket.
        guard let reader = try? tree.kernelReader(), let count = try? reader.packetsHeldBack(by: socket) else { return true }
        return count > 0
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        let places = recorder.places[id - 1]
        let kind = sight.details["kind"]?.shown ?? "socket"
        if let refusal = sight.details["refusal"] {
            return .refused("is a \(kind)\(addresses(sight)), \(refusal.shown)", help: "checkpoint at another moment, or let the program close it")
        }
        var object = ImageInetSocket()
        func number(_ key: String) -> UInt32 { UInt32(truncatingIfNeeded: sight[number: key] ?? 0) }
        object.family = number("family")
        object.type = number("socketType")
        object.protocol = number("protocol")
        object.shutdown = number("shutdown")
        object.user = sight.status.owner
        if let local = address(sight, "local"), isBound(local, object) { object.local = local }
        if let peer = address(sight, "peer") { object.peer = peer }
        object.options = SocketOptionSight.records(of: sight)
        let sharesPort = object.options.contains { $0.level == SocketOption.SOL_SOCKET && $0.number == SocketOptions.SO_REUSEPORT }
        // Which of several at one port gets a datagram depends on their order.
        if sharesPort, object.hasLocal, object.isUDP { object.bindOrder = number("bindOrder") }
        if let encapsulation = object.options.first(where: { $0.level == SocketOption.SOL_UDP && $0.number == 100 })?.word, encapsulation != 2 {
            return .refused(
                "is a \(kind)\(addresses(sight)) that the kernel uses for a tunnel (UDP_ENCAP \(encapsulation)), which cannot be saved",
                help: "let the program close it")
        }
        while let group = sight.details["group\(object.groups.count)"]?.bytes {
            let index = object.groups.count
            var one = ImageMulticastGroup()
            one.group = group.asData
            one.device = (sight.details["groupDevice\(index)"]?.bytes ?? []).asData
            one.include = sight.details["groupMode\(index)"] != nil
            let sources = sight.details["groupSources\(index)"]?.bytes ?? []
            one.sources = stride(from: 0, to: sources.count, by: group.count).map { Array(sources[$0..<min($0 + group.count, sources.count)]).asData }
            object.groups.append(one)
        }
        while let bytes = sight.details["datagram\(object.queue.count)"]?.bytes, let from = address(sight, "from\(object.queue.count)") {
            var datagram = ImageInetDatagram()
            datagram.bytes = bytes.asData
            datagram.from = from
            object.queue.append(datagram)
        }
        let name = places.first.map { "\($0.process): \($0.name)" } ?? "a socket"
        if sight.details["waiting"] != nil {
            recorder.notice("\(name), a \(kind)\(addresses(sight)): packets that wait in it are not in the image, as if the network had lost them")
        }
        if sight.details["error"] != nil {
            recorder.notice("\(name), a \(kind)\(addresses(sight)): an error that it has not been told yet is not in the image")
        }
        return .object(.inet(object))
    }

    /// The kernel shows the protocol as the port of a raw socket.
    private static func isBound(_ address: ImageInetAddress, _ object: ImageInetSocket) -> Bool {
        !address.isAny || object.type != Socket.SOCK_RAW && address.port != 0
    }

    private static func address(_ sight: OpenFileSight, _ key: String) -> ImageInetAddress? {
        guard let bytes = sight.details[key + "Address"]?.bytes else { return nil }
        return ImageInetAddress(socketAddress: bytes, device: sight.details[key + "Device"]?.bytes)
    }

    static func addresses(_ sight: OpenFileSight) -> String {
        var text = ""
        if let local = sight.details["local"] { text += ", \(local.shown)" }
        if let peer = sight.details["peer"] { text += ", connected with \(peer.shown)" }
        return text
    }
}
