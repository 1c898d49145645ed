package import FoundationEssentials
internal import LinuxABI

extension ImageInetAddress {
    /// `struct sockaddr_in` (16 bytes) or `sockaddr_in6` (28 bytes).
    ///
    /// - Parameter device: the number here of the device that the address names.
    package func socketAddress(device: UInt32 = 0) -> [UInt8] {
        let bytes = host.asBytes
        let port = [UInt8(truncatingIfNeeded: self.port >> 8), UInt8(truncatingIfNeeded: self.port)]
        func words(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
        let parts: [[UInt8]] =
            bytes.count == 4 ? [[2, 0], port, bytes, words(0), words(0)] : [[10, 0], port, words(flow.byteSwapped), bytes, words(device)]
        return Array(parts.joined())
    }

    /// Nil: it is no address of one of these families.
    package init?(socketAddress bytes: [UInt8], device: [UInt8]? = nil) {
        guard bytes.count >= 16, bytes[1] == 0 else { return nil }
        self.init()
        port = UInt32(bytes[2]) << 8 | UInt32(bytes[3])
        switch bytes[0] {
        case 2: host = Array(bytes[4..<8]).asData
        case 10 where bytes.count >= 28:
            flow = bytes[4..<8].reduce(0) { $0 << 8 | UInt32($1) }
            host = Array(bytes[8..<24]).asData
        default: return nil
        }
        if let device, !device.isEmpty { self.device = device.asData }
    }

    /// sin6_scope_id of a `struct sockaddr_in6`.
    package static func scope(of bytes: [UInt8]) -> UInt32 {
        guard bytes.count >= 28, bytes[0] == 10 else { return 0 }
        return (0..<4).reduce(0) { $0 | UInt32(bytes[24 + $1]) << ($1 * 8) }
    }

    package var isAny: Bool { host.allSatisfy { $0 == 0 } }
    package var isMulticast: Bool { host.count == 4 ? host.first.map { $0 >> 4 == 14 } ?? false : host.first == 255 }

    /// As people write it; without the port where that is 0.
    package var text: String {
        let name = Self.text(of: host)
        let scoped = device.isEmpty ? name : "\(name)%\(device.asText)"
        if host.count != 16 { return port == 0 ? scoped : "\(scoped):\(port)" }
        return port == 0 ? scoped : "[\(scoped)]:\(port)"
    }

    package static func text(of host: Data) -> String { SocketAddress.host(host.asBytes) }

    func check(family: UInt32, _ rules: RuleContext) throws(ImageError) {
        try rules.require(host.count == (family == Socket.AF_INET ? 4 : 16) && port <= 0xffff, .networkAddress)
        try rules.require(device.count < 16 && !device.contains(0), .networkAddress)
    }
}

extension ImageOpenFile {
    /// The one place where the addresses of a socket are read and changed (`crrestart --address`): its own and that of its
    /// peer, of every kind of socket of IPv4 and IPv6.
    package mutating func changeAddresses(_ change: (inout ImageInetAddress) -> Void) {
        switch object {
        case .inet(var socket)?:
            if socket.hasLocal { change(&socket.local) }
            if socket.hasPeer { change(&socket.peer) }
            for index in socket.queue.indices { change(&socket.queue[index].from) }
            object = .inet(socket)
        default: break
        }
    }

    package var addresses: [ImageInetAddress] {
        var copy = self
        var found: [ImageInetAddress] = []
        copy.changeAddresses { found.append($0) }
        return found
    }
}
