import CheckpointImage
import FoundationEssentials
import LinuxABI
import StepProgram

/// Netlink sockets. Each gets its old port, by which the program knows the answers of the kernel.
enum NetlinkSocketPlan: ObjectPlan {
    typealias Socket = PlannedFile<ImageNetlinkSocket>

    static func check(_ file: Socket, _ host: ObjectHost, _ findings: inout HostFindings) {
        let state = file.state
        let place = host.place(of: file.file)
        SocketOptionCheck.check(state.options, place, host.facts, &findings)
        let name = "netlink socket (\(state.protocolName))"
        if state.protocol == LinuxABI.Socket.NETLINK_GENERIC, !state.groups.isEmpty, host.facts.bootID != host.image.header.bootID {
            findings.note(name, "its groups at \(place) have the numbers of another boot", help: "restart the program if it gets wrong messages")
        }
        guard let problem = host.facts.socketProblems[file.file.id] else { return }
        switch (problem.call, problem.errno) {
        case ("bind", "EADDRINUSE"):
            findings.find(
                name, "port \(state.port) is in use here, needed at \(place)", help: "end the program that has it: ss -f netlink -p | grep -w \(state.port)")
        case (_, "EPERM"): findings.find(name, "\(problem.call): EPERM, needed at \(place)", help: "it needs CAP_NET_ADMIN: be root")
        default: findings.find(name, "\(problem.call): \(problem.errno), needed at \(place)", help: "this kernel does not have it: modprobe")
        }
    }

    static func make(_ bundle: [Socket], _ program: inout Program, _ builder: inout PlanBuilder) {
        for socket in bundle { make(socket, &program, &builder) }
    }

    private static func make(_ socket: Socket, _ program: inout Program, _ builder: inout PlanBuilder) {
        let state = socket.state
        let note = builder.note(socket.file)
        let number = Step.Argument.number(socket.number)
        let type = UInt64(state.type) | LinuxABI.Socket.SOCK_CLOEXEC
        let made = program.call(.socket, [.number(LinuxABI.Socket.AF_NETLINK), .value(type), .number(state.protocol)], note)
        builder.settle(&program, made, as: socket.number)
        builder.setOptions(&program, number, state.options, of: note)
        if state.port != 0 { program.call(.bind, [number, builder.data(state.address), 12], "port \(state.port)") }
        for group in state.groups {
            program.call(
                .setsockopt,
                [number, .number(SocketOption.SOL_NETLINK), .number(LinuxABI.Socket.NETLINK_ADD_MEMBERSHIP), builder.data(bytes(group)), 4],
                "group \(group)")
        }
        if state.peerPort != 0 || state.peerGroups != 0 {
            let parts: [[UInt8]] = [[16, 0, 0, 0], bytes(state.peerPort), bytes(state.peerGroups)]
            let peer = Array(parts.joined())
            program.call(.connect, [number, builder.data(peer), 12], "port \(state.peerPort)")
        }
        builder.setStatusFlags(&program, socket.file, number)
    }

    private static func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
}
