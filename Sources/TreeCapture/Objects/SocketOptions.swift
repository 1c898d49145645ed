internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// The options of sockets of every family.
///
/// Details: `option0`, ...: level and number (4 bytes each), the length of a device's name and that name, the value; `refusal`.
enum SocketOptionSight {
    /// Notes the options that differ from those of a new socket.
    static func look(
        _ sight: inout OpenFileSight, _ socket: borrowing SocketHandle, isConnected: Bool, _ tree: inout TreeLook
    ) throws(SystemError) {
        note(try tree.socketOptions.changes(of: socket, socket.kind, isConnected: isConnected), &sight, socket)
    }

    static func note(_ found: SocketOptionLook.Found, _ sight: inout OpenFileSight, _ socket: borrowing SocketHandle) {
        for (index, one) in found.changed.enumerated() {
            var device: [UInt8] = []
            let number = deviceNumber(one)
            if number != 0 { device = socket.deviceName(number) ?? [] }
            var bytes: [UInt8] = []
            for word in [one.option.level, one.option.number] { bytes += (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
            sight.details["option\(index)"] = RawText(bytes + [UInt8(device.count)] + device + one.bytes)
        }
        if let refusal = found.refusal { sight.details["refusal"] = RawText(refusal) }
    }

    /// The number of a device that the value is; 0: none.
    private static func deviceNumber(_ one: SocketOptionLook.Value) -> UInt32 {
        guard one.bytes.count == 4 else { return 0 }
        switch one.option.form {
        case .device: return one.bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
        case .networkOrderDevice: return one.bytes.reduce(0) { $0 << 8 | UInt32($1) }
        default: return 0
        }
    }

    /// What was noted, as an image has it.
    static func records(of sight: OpenFileSight) -> [ImageInetOption] {
        var options: [ImageInetOption] = []
        while let bytes = sight.details["option\(options.count)"]?.bytes, bytes.count >= 9 {
            func word(_ place: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[place + $1]) << ($1 * 8) } }
            guard let option = SocketOption.known(word(0), word(4)) else { break }
            let rest = bytes.dropFirst(9)
            options.append(ImageInetOption(option, Array(rest.dropFirst(Int(bytes[8]))), device: Array(rest.prefix(Int(bytes[8])))))
        }
        return options
    }
}
