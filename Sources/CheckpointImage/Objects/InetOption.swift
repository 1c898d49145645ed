import FoundationEssentials
package import LinuxABI

extension RuleContext {
    /// Options of a socket: each is known, once there, and of a possible size.
    func requireOptions(_ options: [ImageInetOption], of families: SocketOption.Families) throws(ImageError) {
        var seen: Set<SocketOption> = []
        for one in options {
            guard let option = one.option, !option.families.isDisjoint(with: families), option.form != .told else {
                throw .rule(.socketOption, "open file \(id)")
            }
            try require(seen.insert(option).inserted && option.sizes.contains(one.value.count), .socketOption)
            // IFNAMSIZ
            try require(one.device.count < 16 && !one.device.contains(0), .socketOption)
            if option.form == .filter { try require(one.value.count % 8 == 0, .socketOption) }
            if option.form == .deviceName { try require(one.value.dropLast().allSatisfy { $0 != 0 }, .socketOption) }
        }
    }
}

extension ImageInetOption {
    package init(_ option: SocketOption, _ value: [UInt8], device: [UInt8] = []) {
        self.init()
        level = option.level
        number = option.number
        self.value = value.asData
        if !device.isEmpty { self.device = device.asData }
    }

    package var option: SocketOption? { SocketOption.known(level, number) }

    /// A value of 4 bytes.
    package var word: UInt32 { value.prefix(4).reversed().reduce(0) { $0 << 8 | UInt32($1) } }
}

extension ImageOpenFile {
    package var isSocket: Bool {
        switch object {
        case .unix?, .inet?, .packet?, .netlink?: true
        default: false
        }
    }

    /// Names of network devices that a socket needs.
    package var networkDevices: Set<[UInt8]> {
        var names = socketOptions.map(\.device) + addresses.map(\.device)
        names += socketOptions.filter { $0.option?.form == .deviceName }.map { $0.value.prefix { $0 != 0 } }
        switch object {
        case .inet(let socket)?: names += socket.groups.map(\.device)
        case .packet(let socket)?: names += [socket.device] + socket.memberships.map(\.device)
        default: break
        }
        return Set(names.map(\.asBytes).filter { !$0.isEmpty })
    }

    /// Of a socket: the options that differ from a new one's.
    package var socketOptions: [ImageInetOption] {
        switch object {
        case .unix(let socket)?: socket.inetOptions
        case .tcp(let socket)?: socket.options
        case .inet(let socket)?: socket.options
        case .packet(let socket)?: socket.options
        case .netlink(let socket)?: socket.options
        default: []
        }
    }
}
