internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

extension HostFacts {
    /// What sockets of the image need of this host's network: devices, limits, addresses and ports.
    ///
    /// - Parameter tree: what that has bound counts as free.
    mutating func probeNetwork(of image: CheckpointImage, endOf tree: LivingTree?) {
        let sockets = image.openFiles.filter(\.isSocket)
        if sockets.isEmpty { return }
        if let socket = try? SocketHandle(new: SocketHandle.Kind(family: 1, type: Socket.SOCK_DGRAM, number: 0)) {
            for name in sockets.reduce(into: Set<[UInt8]>(), { $0.formUnion($1.networkDevices) }) { devices[name] = socket.deviceIndex(name) }
        }
        sendBufferLimit = Self.limit("/proc/sys/net/core/wmem_max")
        receiveBufferLimit = Self.limit("/proc/sys/net/core/rmem_max")
        for file in sockets {
            do throws(SystemError) { try tryOut(file, isFree: tree == nil) } catch {
                socketProblems[file.id] = SocketProblem(call: String(error.call.prefix { $0 != "(" }), errno: error.name)
            }
        }
    }

    /// Makes a socket like one of the image, binds and connects it, and closes it.
    ///
    /// - Parameter isFree: the tree has ended. Otherwise only what does not depend on it is tried: it has the port itself.
    private func tryOut(_ file: ImageOpenFile, isFree: Bool) throws(SystemError) {
        switch file.object {
        case .inet(let state)?:
            let kind = SocketHandle.Kind(family: state.family, type: state.type, number: state.protocol)
            let socket = try SocketHandle(new: kind)
            for option in state.options {
                guard let known = option.option, known.moment == .early, known.form == .plain || known.form == .deviceName else { continue }
                try? socket.set(known.level, known.number, option.value.asBytes)
            }
            if state.hasLocal, state.local.device.isEmpty || devices[state.local.device.asBytes] != nil {
                var local = state.local
                if !isFree { local.port = 0 }
                try socket.bind(local.socketAddress(device: devices[local.device.asBytes] ?? 0))
            }
            if state.hasPeer, state.peer.device.isEmpty || devices[state.peer.device.asBytes] != nil {
                try socket.connect(state.peer.socketAddress(device: devices[state.peer.device.asBytes] ?? 0))
            }
        case .packet(let state)?: _ = try SocketHandle(new: SocketHandle.Kind(family: Socket.AF_PACKET, type: state.type, number: 0))
        case .netlink(let state)?:
            let socket = try SocketHandle(new: SocketHandle.Kind(family: Socket.AF_NETLINK, type: state.type, number: state.protocol))
            if isFree && state.port != 0 { try socket.bind(state.address) }
            for group in state.groups {
                let value = (0..<4).map { UInt8(truncatingIfNeeded: group >> ($0 * 8)) }
                try socket.set(SocketOption.SOL_NETLINK, Socket.NETLINK_ADD_MEMBERSHIP, value)
            }
        default: break
        }
    }

    /// A network namespace other than the first has no such file: its limits are those of the host.
    private static func limit(_ path: String) -> UInt32 {
        guard let text = try? Descriptor.open(path).read(upTo: 32) else { return .max }
        return UInt32(String(decoding: text.prefix { $0 != 10 }, as: UTF8.self)) ?? .max
    }
}
