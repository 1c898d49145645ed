internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

extension HostFacts {
    /// What TCP sockets of the image need: addresses of this host, and ports that no other process has.
    ///
    /// - Parameter tree: one that still lives, whose sockets are gone before the restart.
    mutating func probeTCP(of image: CheckpointImage, endOf tree: LivingTree?) {
        let sockets = image.openFiles.compactMap { file -> ImageTcpSocket? in
            guard case .tcp(let socket)? = file.object, !socket.address.isEmpty else { return nil }
            return socket
        }
        if sockets.isEmpty { return }
        var hosts: [[UInt8]: Bool] = [:]
        for socket in sockets {
            let address = socket.address.asBytes
            let host = Array(ImageTcpSocket.endpoint(address).dropFirst(2))
            if hosts[host] == nil { hosts[host] = Self.isOwn(address) }
            if hosts[host] == false { foreignAddresses.insert(address) }
        }
        if tree == nil { probePorts(of: sockets) }
    }

    /// Whether a socket can be bound to the host of an address, whatever the port.
    private static func isOwn(_ address: [UInt8]) -> Bool {
        var address = address
        (address[2], address[3]) = (0, 0)
        guard let socket = try? SocketCalls.make(UInt64(address[0]), UInt64(Socket.SOCK_DGRAM), 0) else { return true }
        do throws(SystemError) { try SocketCalls.bind(socket.number, to: address) } catch { return error.name != "EADDRNOTAVAIL" }
        return true
    }

    private mutating func probePorts(of sockets: [ImageTcpSocket]) {
        let here = ConnectionTable.all()
        if here.isEmpty { return }
        var listening: [[UInt8]: [ConnectionTable.Entry]] = [:]
        var connected: [[UInt8]: ConnectionTable.Entry] = [:]
        for one in here {
            let local = ImageTcpSocket.endpoint(one.local)
            if one.state == TCP.TCP_LISTEN {
                listening[Array(local.prefix(2)), default: []].append(one)
            } else if one.state != TCP.TCP_TIME_WAIT {
                connected[local + ImageTcpSocket.endpoint(one.peer)] = one
            }
        }
        var taken: [[UInt8]: ConnectionTable.Entry] = [:]
        for socket in sockets {
            if socket.isConnection { taken[socket.key] = connected[socket.key] }
            guard socket.isListening, !socket.options.contains(where: { $0.level == SocketOption.SOL_SOCKET && $0.number == SocketOptions.SO_REUSEPORT }) else { continue }
            let endpoint = ImageTcpSocket.endpoint(socket.address)
            taken[socket.key] = listening[Array(endpoint.prefix(2))]?.first { other in
                let (one, two) = (socket.address.asBytes, other.local)
                return one.count == two.count && (ImageTcpSocket.endpoint(two) == endpoint || Self.isAny(one) || Self.isAny(two))
            }
        }
        probeClosing(here, sockets.filter { $0.isListening && taken[$0.key] == nil })
        if taken.isEmpty { return }
        let holders = ConnectionTable.holders(of: Set(taken.values.map(\.inode)))
        takenPorts.merge(taken.mapValues { holders[$0.inode] ?? "what has it: ss -tanp" }) { first, _ in first }
    }

    /// A connection that its program has closed keeps its port until it has sent everything, and for a minute more (TIME-WAIT), if the
    /// program had not set SO_REUSEADDR.
    private mutating func probeClosing(_ here: [ConnectionTable.Entry], _ sockets: [ImageTcpSocket]) {
        let closing = Set(here.filter { $0.inode == 0 }.map { Array(ImageTcpSocket.endpoint($0.local).prefix(2)) })
        for socket in sockets where closing.contains(Array(ImageTcpSocket.endpoint(socket.address).prefix(2))) {
            guard Self.isInUse(socket.address.asBytes) else { continue }
            takenPorts[socket.key] = "what has it, or wait until closed connections of this port are gone: ss -tanp"
        }
    }

    private static func isInUse(_ address: [UInt8]) -> Bool {
        guard let probe = try? SocketCalls.make(UInt64(address[0]), UInt64(Socket.SOCK_STREAM), 0) else { return false }
        do throws(SystemError) {
            try SocketCalls.set(Socket.SOL_SOCKET, SocketOptions.SO_REUSEADDR, of: probe.number, to: 1)
            try SocketCalls.bind(probe.number, to: address)
        } catch { return error.name == "EADDRINUSE" }
        return false
    }

    private static func isAny(_ address: [UInt8]) -> Bool {
        address.count < 28 ? address[4..<8].allSatisfy { $0 == 0 } : address[8..<24].allSatisfy { $0 == 0 }
    }
}
