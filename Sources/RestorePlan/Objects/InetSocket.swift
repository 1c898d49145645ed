import CheckpointImage
import FoundationEssentials
import LinuxABI
import StepProgram

/// UDP, UDP-Lite, raw and ICMP sockets: made, bound, filled with what waited, in their groups, with their options, connected, shut down.
enum InetSocketPlan: ObjectPlan {
    typealias Socket = PlannedFile<ImageInetSocket>

    static func check(_ file: Socket, _ host: ObjectHost, _ findings: inout HostFindings) {
        let state = file.state
        let place = host.place(of: file.file)
        SocketOptionCheck.check(state.options, place, host.facts, &findings)
        for group in state.groups { NetworkCheck.device(group.device, "the group \(ImageInetAddress.text(of: group.group)) of the socket at \(place)", host.facts, &findings) }
        for address in file.file.addresses { NetworkCheck.device(address.device, "the socket at \(place)", host.facts, &findings) }
        if let problem = host.facts.socketProblems[file.file.id] { find(problem, state, place, &findings) }
        let lost = state.queue.count { SpoofedDatagram(of: $0, to: state) == nil }
        let all = host.facts.has(Capability.CAP_NET_RAW) ? lost : state.queue.count
        if all > 0 {
            findings.note(
                state.kind, "\(all == 1 ? "1 datagram that waits" : "\(all) datagrams that wait") in the socket at \(place) cannot be given back",
                help: all > lost ? "it takes CAP_NET_RAW: be root" : "their link-local senders are of another device")
        }
    }

    /// What the kernel said to a socket of this kind.
    private static func find(_ problem: SocketProblem, _ state: ImageInetSocket, _ place: String, _ findings: inout HostFindings) {
        let local = state.hasLocal ? state.local.text : ""
        switch (problem.call, problem.errno) {
        case ("socket", "EPERM"):
            findings.find(state.kind, "may not be made, needed at \(place)", help: "it needs CAP_NET_RAW: be root")
        case ("socket", "EACCES"):
            findings.find(state.kind, "may not be made, needed at \(place)", help: "sysctl net.ipv4.ping_group_range=\"0 2147483647\"")
        case ("bind", "EADDRNOTAVAIL"):
            findings.find(
                "address \(ImageInetAddress.text(of: state.local.host))", "is not one of this host, needed by the \(state.kind) at \(place)",
                help: "ip address add it to a device")
        case ("bind", "EADDRINUSE"):
            findings.find(
                "\(state.kind) \(local)", "is in use here, needed at \(place)", help: "end the program that has it: ss -anp | grep -w \(state.local.port)")
        case ("bind", "EACCES"):
            findings.find("\(state.kind) \(local)", "may not be bound, needed at \(place)", help: "ports below 1024 need CAP_NET_BIND_SERVICE: be root")
        case ("connect", _):
            findings.find(
                "\(state.kind)", "cannot be connected with \(state.peer.text): \(problem.errno), needed at \(place)", help: "ip route get it says why")
        default: findings.find("\(state.kind) \(local)", "\(problem.call): \(problem.errno), needed at \(place)")
        }
    }

    static func make(_ bundle: [Socket], _ program: inout Program, _ builder: inout PlanBuilder) {
        var members: [[UInt8]: Int] = [:]
        for socket in bundle.sorted(by: { ($0.state.bindOrder, $0.file.id) < ($1.state.bindOrder, $1.file.id) }) {
            let group = socket.state.group
            make(socket, place: socket.state.bindOrder == 0 ? nil : members[group, default: 0], &program, &builder)
            members[group, default: 0] += 1
        }
    }

    /// - Parameter place: its number among the sockets that share its port; nil: it shares none.
    private static func make(_ socket: Socket, place: Int?, _ program: inout Program, _ builder: inout PlanBuilder) {
        let state = socket.state
        let note = builder.note(socket.file)
        let number = Step.Argument.number(socket.number)
        let type = UInt64(state.type) | LinuxABI.Socket.SOCK_CLOEXEC
        let made = program.call(.socket, [.number(state.family), .value(type), .number(state.protocol)], note)
        builder.settle(&program, made, as: socket.number)
        builder.setUser(&program, number, state.user)
        builder.setOptions(&program, number, state.options, .early, of: note)
        if state.hasLocal {
            let (address, size) = builder.address(state.local)
            program.call(.bind, [number, address, size], state.local.text)
        }
        if let place, !state.queue.isEmpty { choose(place, number, &program, &builder) { fill(socket, &$0, &$1) } } else { fill(socket, &program, &builder) }
        for group in state.groups { join(group, number, &program, &builder) }
        builder.setOptions(&program, number, state.options, .late, of: note)
        if state.hasPeer {
            let (address, size) = builder.address(state.peer)
            program.call(.connect, [number, address, size], state.peer.text)
        }
        if state.shutdown & 1 != 0 { program.call(.shutdown, [number, .value(LinuxABI.Socket.SHUT_RD)], check: .none, "receives no more") }
        if state.shutdown & 2 != 0 { program.call(.shutdown, [number, .value(LinuxABI.Socket.SHUT_WR)], check: .none, "sends no more") }
        builder.setStatusFlags(&program, socket.file, number)
    }

    /// `struct group_req`: the device, padding, the group as a socket address; `struct group_filter` likewise, with a list.
    private static func join(
        _ group: ImageMulticastGroup, _ number: Step.Argument, _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        let level = group.group.count == 4 ? SocketOption.SOL_IP : SocketOption.SOL_IPV6
        let device = builder.facts.devices[group.device.asBytes] ?? 0
        let request = bytes(device) + bytes(0) + address(group.group)
        let note = "group \(ImageInetAddress.text(of: group.group)) at \(group.device.asText)"
        program.call(
            .setsockopt, [number, .number(level), .number(LinuxABI.Socket.MCAST_JOIN_GROUP), builder.data(request), .number(request.count)], note)
        guard group.include || !group.sources.isEmpty else { return }
        let mode: UInt32 = group.include ? LinuxABI.Socket.MCAST_INCLUDE : 0
        let parts: [[UInt8]] = [request, bytes(mode), bytes(UInt32(group.sources.count))] + group.sources.map { address($0) }
        let filter = Array(parts.joined())
        program.call(
            .setsockopt, [number, .number(level), .number(LinuxABI.Socket.MCAST_MSFILTER), builder.data(filter), .number(filter.count)],
            "sources of \(note)")
    }

    private static func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    /// `struct sockaddr_storage` without a port.
    private static func address(_ host: Data) -> [UInt8] {
        let start: [UInt8] = host.count == 4 ? [2, 0, 0, 0] : [10, 0, 0, 0, 0, 0, 0, 0]
        return start + host.asBytes + [UInt8](repeating: 0, count: 128 - start.count - host.count)
    }

    // MARK: - What waits

    /// Lets the kernel give all that comes to one of the sockets that share a port, for a moment. Where others than those of the tree are
    /// before it, it chooses by addresses, as always.
    ///
    /// - Source: socket(7), SO_ATTACH_REUSEPORT_CBPF.
    private static func choose(
        _ place: Int, _ number: Step.Argument, _ program: inout Program, _ builder: inout PlanBuilder,
        _ body: (inout Program, inout PlanBuilder) -> Void
    ) {
        // struct sock_filter: BPF_RET | BPF_K, the number; struct sock_fprog: their number and place
        let instruction = builder.launchpad.add(words: [6 | UInt64(place) << 32])
        let choice = builder.launchpad.add(words: [1, instruction])
        let level = Step.Argument.number(SocketOption.SOL_SOCKET)
        program.call(.setsockopt, [number, level, .number(SocketOptions.SO_ATTACH_REUSEPORT_CBPF), .value(choice), 16], "gets what waits, not the others of its port")
        body(&program, &builder)
        program.call(.setsockopt, [number, level, .number(SocketOptions.SO_DETACH_REUSEPORT_BPF), builder.data(bytes(0)), 4], "by addresses again")
    }

    /// Sends what waited in a socket to it once more, over the loopback device, with the addresses of those who had sent it.
    private static func fill(_ socket: Socket, _ program: inout Program, _ builder: inout PlanBuilder) {
        guard builder.facts.has(Capability.CAP_NET_RAW) else { return }
        for datagram in socket.state.queue {
            guard let packet = SpoofedDatagram(of: datagram, to: socket.state)?.packet else { continue }
            let type = UInt64(LinuxABI.Socket.SOCK_RAW) | LinuxABI.Socket.SOCK_CLOEXEC
            let raw = program.call(.socket, [.number(packet.family), .value(type), .number(LinuxABI.Socket.IPPROTO_RAW)], "a datagram that waits")
            if packet.family == LinuxABI.Socket.AF_INET6 {
                // IPV6_HDRINCL
                program.call(.setsockopt, [.result(of: raw), .number(SocketOption.SOL_IPV6), 36, builder.data(bytes(1)), 4])
            }
            let destination = builder.data(packet.destination)
            program.call(
                .sendto,
                [
                    .result(of: raw), .value(builder.launchpad.add(packet.bytes)), .number(packet.bytes.count),
                    .value(LinuxABI.Socket.MSG_DONTWAIT), destination, .number(packet.destination.count),
                ], check: .none, "from \(datagram.from.text)")
            program.call(.close, [.result(of: raw)])
        }
    }
}

extension ImageInetSocket {
    /// The same for all that share a port at one address.
    fileprivate var group: [UInt8] { [UInt8(truncatingIfNeeded: `protocol`)] + local.socketAddress(device: 0) + local.device.asBytes }
}

extension PlanBuilder {
    /// A socket address, with the number of its device here, and its size.
    mutating func address(_ address: ImageInetAddress) -> (Step.Argument, Step.Argument) {
        let bytes = address.socketAddress(device: facts.devices[address.device.asBytes] ?? 0)
        return (data(bytes), .number(bytes.count))
    }

    /// Sockets that share a port have to be of one user.
    mutating func setUser(_ program: inout Program, _ socket: Step.Argument, _ user: UInt32) {
        guard user != facts.ownCredentials.fileSystemUser, facts.has(Capability.CAP_CHOWN) else { return }
        program.call(.fchownat, [socket, path([]), .number(user), .signed(-1), .value(At.AT_EMPTY_PATH)], check: .none, "its user")
    }

    func setStatusFlags(_ program: inout Program, _ file: ImageOpenFile, _ socket: Step.Argument) {
        let flags = file.flags & (OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND | OpenFlag.O_NOATIME)
        if flags != 0 { program.call(.fcntl, [socket, .value(Fcntl.F_SETFL), .number(flags)], "status flags") }
    }
}

enum NetworkCheck {
    static func device(_ name: Data, _ user: String, _ facts: HostFacts, _ findings: inout HostFindings) {
        if name.isEmpty || facts.devices[name.asBytes] != nil { return }
        findings.find(
            "network device \(name.asText)", "is missing, needed by \(user)", help: "ip link add \(name.asText) type dummy, or rename another one")
    }
}
