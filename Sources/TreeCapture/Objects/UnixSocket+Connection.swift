internal import CheckpointImage
internal import LinuxABI

extension UnixSocket {
    /// What it takes to connect a socket that is let through with its peer again.
    ///
    /// - Returns: nil: it is no unix socket, not connected, or one of the two names leads nowhere by itself: a path that does not begin at
    ///   the root directory, or a path of its own, which is the file of another socket by then.
    static func connection(_ sight: OpenFileSight) -> ImageExternalConnection? {
        guard let type = sight[number: "type"], let peer = sight[number: "peerInode"], peer != 0, let address = sight.details["connectedName"]?.bytes,
            address.first == 0 || address.first == UInt8(ascii: "/")
        else { return nil }
        let own = sight.details["address"]?.bytes ?? []
        guard own.isEmpty || own[0] == 0 else { return nil }
        var connection = ImageExternalConnection()
        connection.type = UInt32(truncatingIfNeeded: type)
        connection.address = address.asData
        connection.own = own.asData
        connection.shutdown = UInt32(truncatingIfNeeded: sight[number: "shutdown"] ?? 0)
        connection.options = options(sight)
        connection.sent = sight[number: "sent"] ?? 0
        var place = 0
        while let message = sight.details["message\(place)"] {
            connection.waiting += UInt64(message.bytes.count)
            place += 1
        }
        return connection
    }

    static func options(_ sight: OpenFileSight) -> [ImageSocketOption] {
        SocketOptionSight.records(of: sight).map { option in
            var one = ImageSocketOption()
            one.number = option.number
            one.value = option.value
            return one
        }
    }
}
