import CheckpointImage
import FoundationEssentials
import LinuxABI
import StepProgram

/// Options of sockets of every family.
extension PlanBuilder {
    /// Sets options, in the order of the table.
    ///
    /// - Parameters:
    ///   - moment: only those of this moment; nil: all of them.
    ///   - note: the socket, in words.
    mutating func setOptions(
        _ program: inout Program, _ socket: Step.Argument, _ options: [ImageInetOption], _ moment: SocketOption.Moment? = nil, of note: String
    ) {
        var options = options
        // A size that is set is locked: the kernel does not change it any more.
        if let buffer = options.first(where: { $0.isBuffer }), !options.contains(where: { $0.isOption(SocketOptions.SO_BUF_LOCK) }),
            let lock = SocketOption.known(buffer.level, SocketOptions.SO_BUF_LOCK)
        {
            options.append(ImageInetOption(lock, [0, 0, 0, 0]))
        }
        options.sort { SocketOption.rank($0.level, $0.number) < SocketOption.rank($1.level, $1.number) }
        for one in options {
            guard let option = one.option, moment == nil || option.moment == moment else { continue }
            setOption(&program, socket, one, option, note)
        }
    }

    private mutating func setOption(
        _ program: inout Program, _ socket: Step.Argument, _ one: ImageInetOption, _ option: SocketOption, _ note: String
    ) {
        var number = option.number
        var value = one.value.asBytes
        switch option.form {
        case .plain, .unconnected, .deviceName, .told: break
        case .buffer(let force):
            // The kernel doubles what is set.
            value = Self.bytes(of: one.word / 2)
            if facts.has(Capability.CAP_NET_ADMIN) { number = force }
        case .device: value = Self.bytes(of: facts.device(of: one))
        case .networkOrderDevice: value = Self.bytes(of: facts.device(of: one)).reversed()
        case .filter:
            let code = launchpad.add(value)
            // struct sock_fprog: how many instructions, where they are
            let header = launchpad.add(words: [UInt64(value.count / 8), code])
            program.call(
                .setsockopt, [socket, .number(option.level), .number(SocketOptions.SO_ATTACH_FILTER), .value(header), 16], "\(option.name) of \(note)")
            return
        }
        program.call(
            .setsockopt, [socket, .number(option.level), .number(number), data(value.isEmpty ? [0] : value), .number(value.count)],
            "\(option.name) of \(note)")
    }

    private static func bytes(of value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
}

extension ImageInetOption {
    var isBuffer: Bool { if case .buffer? = option?.form { true } else { false } }
    func isOption(_ number: UInt32) -> Bool { level == SocketOption.SOL_SOCKET && self.number == number }
}

extension HostFacts {
    func has(_ capability: UInt64) -> Bool { hostCapabilities & Capability.set(capability) != 0 }

    /// The number of the device that an option names here.
    func device(of option: ImageInetOption) -> UInt32 { option.device.isEmpty ? 0 : devices[option.device.asBytes] ?? 0 }
}

/// Finds what this host lacks for the options of a socket.
enum SocketOptionCheck {
    static func check(_ options: [ImageInetOption], _ place: String, _ facts: HostFacts, _ findings: inout HostFindings) {
        for one in options {
            guard let option = one.option else { continue }
            checkCapability(one, option, place, facts, &findings)
            switch option.form {
            case .buffer where !facts.has(Capability.CAP_NET_ADMIN):
                let limit = option.number == SocketOptions.SO_SNDBUF ? facts.sendBufferLimit : facts.receiveBufferLimit
                let name = option.number == SocketOptions.SO_SNDBUF ? "wmem_max" : "rmem_max"
                if one.word / 2 > limit {
                    findings.note(
                        option.name, "gets \(limit) instead of \(one.word / 2) at the socket at \(place)",
                        help: "CAP_NET_ADMIN, or sysctl net.core.\(name)=\(one.word / 2)")
                }
            case .device, .networkOrderDevice: if !one.device.isEmpty { checkDevice(one.device, option, place, facts, &findings) }
            case .deviceName: checkDevice(one.value.prefix { $0 != 0 }, option, place, facts, &findings)
            default: break
            }
        }
    }

    private static func checkCapability(
        _ one: ImageInetOption, _ option: SocketOption, _ place: String, _ facts: HostFacts, _ findings: inout HostFindings
    ) {
        guard let first = option.capabilities.first, !option.capabilities.contains(where: { facts.has($0) }) else { return }
        // Taking something back, and small values, are free.
        if one.value.allSatisfy({ $0 == 0 }) { return }
        if let free = option.freeUpTo, Int32(bitPattern: one.word) <= free { return }
        findings.find(
            option.name, "may not be set for the socket at \(place)", help: "it needs \(names[first] ?? "a capability"): be root")
    }

    private static let names = [
        Capability.CAP_NET_BROADCAST: "CAP_NET_BROADCAST", Capability.CAP_NET_ADMIN: "CAP_NET_ADMIN", Capability.CAP_NET_RAW: "CAP_NET_RAW",
    ]

    private static func checkDevice(
        _ name: Data, _ option: SocketOption, _ place: String, _ facts: HostFacts, _ findings: inout HostFindings
    ) {
        if name.isEmpty || facts.devices[name.asBytes] != nil { return }
        findings.find(
            "network device \(name.asText)", "is missing, needed by \(option.name) of the socket at \(place)",
            help: "ip link add \(name.asText) type dummy, or rename another one")
    }
}
