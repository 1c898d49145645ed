import CheckpointImage
import FoundationEssentials
import LinuxABI
import StepProgram

/// Packet sockets. Filter and options come before the device: nothing is received that the program would not have got.
enum PacketSocketPlan: ObjectPlan {
    typealias Socket = PlannedFile<ImagePacketSocket>

    static func check(_ file: Socket, _ host: ObjectHost, _ findings: inout HostFindings) {
        let place = host.place(of: file.file)
        SocketOptionCheck.check(file.state.options, place, host.facts, &findings)
        NetworkCheck.device(file.state.device, "the packet socket at \(place)", host.facts, &findings)
        for one in file.state.memberships { NetworkCheck.device(one.device, "the packet socket at \(place)", host.facts, &findings) }
        guard let problem = host.facts.socketProblems[file.file.id] else { return }
        let help = problem.errno == "EPERM" ? "it needs CAP_NET_RAW: be root" : ""
        findings.find("packet socket", "\(problem.call): \(problem.errno), needed at \(place)", help: help)
    }

    static func make(_ bundle: [Socket], _ program: inout Program, _ builder: inout PlanBuilder) {
        for socket in bundle { make(socket, &program, &builder) }
    }

    private static func make(_ socket: Socket, _ program: inout Program, _ builder: inout PlanBuilder) {
        let state = socket.state
        let note = builder.note(socket.file)
        let number = Step.Argument.number(socket.number)
        let type = UInt64(state.type) | LinuxABI.Socket.SOCK_CLOEXEC
        let made = program.call(.socket, [.number(LinuxABI.Socket.AF_PACKET), .value(type), 0], note)
        builder.settle(&program, made, as: socket.number)
        builder.setOptions(&program, number, state.options, of: note)
        func set(_ option: UInt32, _ value: [UInt8], _ note: String) {
            program.call(.setsockopt, [number, .number(SocketOption.SOL_PACKET), .number(option), builder.data(value), .number(value.count)], note)
        }
        if state.copyThreshold != 0 { set(LinuxABI.Socket.PACKET_COPY_THRESH, bytes(state.copyThreshold), "PACKET_COPY_THRESH") }
        if state.protocol != 0 || !state.device.isEmpty {
            // struct sockaddr_ll: family, protocol, device, and what bind(2) does not use
            let device = builder.facts.devices[state.device.asBytes] ?? 0
            let start: [UInt8] = [17, 0, UInt8(truncatingIfNeeded: state.protocol >> 8), UInt8(truncatingIfNeeded: state.protocol)]
            let parts: [[UInt8]] = [start, bytes(device), [UInt8](repeating: 0, count: 12)]
            let address = builder.data(Array(parts.joined()))
            program.call(.bind, [number, address, 20], state.device.isEmpty ? "all devices" : state.device.asText)
        }
        for one in state.memberships {
            // struct packet_mreq: device, type, length of the address, the address
            let device = builder.facts.devices[one.device.asBytes] ?? 0
            let size = one.address.count
            let padding = [UInt8](repeating: 0, count: max(0, 8 - size))
            let parts: [[UInt8]] = [bytes(device), [UInt8(one.type), 0, UInt8(size), 0], one.address.asBytes, padding]
            let request = Array(parts.joined())
            for _ in 0..<one.count { set(LinuxABI.Socket.PACKET_ADD_MEMBERSHIP, request, "packets of \(one.device.asText)") }
        }
        if state.inFanout { set(LinuxABI.Socket.PACKET_FANOUT, bytes(state.fanout), "shares packets with its group") }
        builder.setStatusFlags(&program, socket.file, number)
    }

    private static func bytes(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
}
