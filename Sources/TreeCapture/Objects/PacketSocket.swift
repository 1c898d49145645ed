internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Packet sockets.
///
/// Details: `socketType`, `protocol`, `device`; options (``SocketOptionSight``); `member0`, ...: type and count (4 bytes each), then the
/// address, with `memberDevice0`; `fanout`, `copyThreshold`; `waiting`; `refusal`, why it cannot be saved.
enum PacketSocket {
    static func look(
        _ sight: inout OpenFileSight, _ socket: borrowing SocketHandle, _ kind: SocketHandle.Kind, _ tree: inout TreeLook
    ) throws(SystemError) {
        sight[number: "family"] = UInt64(kind.family)
        sight[number: "socketType"] = UInt64(kind.type)
        // struct sockaddr_ll: family, protocol, device, ...
        let address = socket.address() ?? []
        guard address.count >= 8 else { throw SystemError(Errno.EINVAL, in: "getsockname") }
        sight[number: "protocol"] = UInt64(address[2]) << 8 | UInt64(address[3])
        let device = (0..<4).reduce(UInt32(0)) { $0 | UInt32(address[4 + $1]) << ($1 * 8) }
        if device != 0 {
            guard device <= UInt32(Int32.max), let name = socket.deviceName(device) else {
                sight.details["refusal"] = "which is bound to a network device that is gone"
                return
            }
            sight.details["device"] = RawText(name)
        }
        // To be compared with a socket that receives nothing.
        let found = try tree.socketOptions.changes(of: socket, SocketHandle.Kind(family: kind.family, type: kind.type, number: 0), isConnected: false)
        SocketOptionSight.note(found, &sight, socket)
        if tree.packetSockets == nil { tree.packetSockets = try PacketSocketState.table() }
        guard let state = tree.packetSockets?[sight.status.inode] else { throw SystemError(Errno.ENOENT, in: "sock_diag of a packet socket") }
        if state.hasRing { sight.details["refusal"] = "with a ring of packets in memory (PACKET_RX_RING, PACKET_TX_RING)" }
        for (index, one) in state.memberships.enumerated() {
            guard let name = socket.deviceName(one.device) else { continue }
            let words = [one.type, one.count].flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
            sight.details["member\(index)"] = RawText(words + one.address)
            sight.details["memberDevice\(index)"] = RawText(name)
        }
        if state.copyThreshold != 0 { sight[number: "copyThreshold"] = UInt64(state.copyThreshold) }
        if state.isInFanout, let bytes = socket.option(SocketOption.SOL_PACKET, Socket.PACKET_FANOUT), bytes.count == 4 {
            sight[number: "fanout"] = (0..<4).reduce(0) { $0 | UInt64(bytes[$1]) << ($1 * 8) }
        }
        if tree.members.standsStill, socket.readiness().hasInput { sight.details["waiting"] = "1" }
    }

    static func record(_ sight: OpenFileSight, _ id: Int, _ recorder: inout FileRecorder) -> Captured {
        if let refusal = sight.details["refusal"] {
            let help = "let the program close it, or end it before the checkpoint"
            return .refused("is a packet socket, \(refusal.shown), which cannot be saved", help: help)
        }
        var object = ImagePacketSocket()
        func number(_ key: String) -> UInt32 { UInt32(truncatingIfNeeded: sight[number: key] ?? 0) }
        object.type = number("socketType")
        object.protocol = number("protocol")
        object.device = (sight.details["device"]?.bytes ?? []).asData
        object.options = SocketOptionSight.records(of: sight)
        object.copyThreshold = number("copyThreshold")
        if let fanout = sight[number: "fanout"] {
            object.inFanout = true
            object.fanout = UInt32(truncatingIfNeeded: fanout)
            let type = object.fanout >> 16 & 0xff
            if type == Socket.PACKET_FANOUT_CBPF || type == Socket.PACKET_FANOUT_EBPF {
                return .refused(
                    "is a packet socket of a group that shares packets by a program (PACKET_FANOUT_CBPF, _EBPF), which cannot be saved",
                    help: "let the program close it")
            }
        }
        var index = 0
        while let bytes = sight.details["member\(index)"]?.bytes, bytes.count >= 8 {
            var one = ImagePacketMembership()
            func word(_ place: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << ($1 * 8) } }
            (one.type, one.count) = (word(0), word(4))
            one.address = Array(bytes[8...]).asData
            one.device = (sight.details["memberDevice\(index)"]?.bytes ?? []).asData
            object.memberships.append(one)
            index += 1
        }
        if sight.details["waiting"] != nil {
            let name = recorder.places[id - 1].first.map { "\($0.process): \($0.name)" } ?? "a socket"
            recorder.notice("\(name), a packet socket: packets that wait in it are not in the image, as if they had been dropped")
        }
        return .object(.packet(object))
    }
}
