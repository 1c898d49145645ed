package import CheckpointImage
internal import LinuxABI

/// `--address OLD=NEW`: the host address that a socket of the image has here.
package struct AddressMove: Sendable, Equatable {
    package var old: [UInt8]
    package var new: [UInt8]

    /// Nil: not two addresses of one family.
    package init?(_ text: String) {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, let old = HostAddress(String(parts[0])), let new = HostAddress(String(parts[1])), old.bytes.count == new.bytes.count
        else { return nil }
        (self.old, self.new) = (old.bytes, new.bytes)
    }
}

/// Where the sockets of an image are on this host. Pure: an image in, an image with other addresses out.
///
/// A connection keeps its address: its other end knows it by that. So does one that is being made.
package struct AddressMoves: Sendable, Equatable {
    package var moves: [AddressMove] = []

    package init() {}

    package func applied(to image: CheckpointImage) throws(ImageError) -> CheckpointImage {
        if moves.isEmpty { return image }
        return try image.changed { records in
            for index in records.openFiles.indices {
                if case .tcp(var socket)? = records.openFiles[index].object, !socket.isConnection, socket.state != TCP.TCP_SYN_SENT {
                    socket.address = moved(socket.address.asBytes).asData
                    records.openFiles[index].object = .tcp(socket)
                }
                records.openFiles[index].changeAddresses { $0.host = moved(host: $0.host.asBytes).asData }
            }
        }
    }

    /// - Parameter address: `struct sockaddr_in` or `sockaddr_in6`; its port stays.
    package func moved(_ address: [UInt8]) -> [UInt8] {
        let host = address.count == 16 ? 4..<8 : 8..<24
        guard address.count >= host.upperBound else { return address }
        var moved = address
        moved.replaceSubrange(host, with: self.moved(host: Array(address[host])))
        return moved
    }

    /// - Parameter host: 4 or 16 bytes.
    private func moved(host: [UInt8]) -> [UInt8] {
        let mapped = [UInt8](repeating: 0, count: 10) + [0xff, 0xff]
        for move in moves {
            let (old, new) = host.count != 4 && move.old.count == 4 ? (mapped + move.old, mapped + move.new) : (move.old, move.new)
            if host == old { return new }
        }
        return host
    }
}
