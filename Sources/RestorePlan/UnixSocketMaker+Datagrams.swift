import CheckpointImage
import FoundationEssentials
import LinuxABI
import StepProgram

/// Datagram sockets: names, what waits in each, and whom each sends to.
extension UnixSocketMaker {
    mutating func makeRemovedDatagram(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        makeAlone(&program, socket, &builder)
        for other in sockets where other.state.peer == socket.file.id { makeAlone(&program, other, &builder) }
        fill(&program, socket, &builder)
        connectSenders(&program, to: socket, &builder)
        builder.removeName(&program, socket)
    }

    func connectSenders(_ program: inout Program, to socket: Socket, _ builder: inout PlanBuilder) {
        if socket.state.address.isEmpty { return }
        for other in sockets where other.state.isDatagram && other.state.peer == socket.file.id && !needsPair(other) {
            connect(&program, other, to: socket, &builder)
        }
    }

    /// Sends what waits in a datagram socket, from the sockets that its messages came from. A sender that the tree does not have
    /// (any more) is made for the message.
    func fill(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        if needsPair(socket) || socket.state.peerGone { return }
        for message in socket.state.queue where message.files.isEmpty {
            let known = sockets.first { $0.state.isDatagram && !message.from.isEmpty && $0.state.address == message.from && made.contains($0.file.id) }
            var sender = Step.Argument.number(known?.number ?? 0)
            var temporary: Int?
            if known == nil {
                let new = builder.newSocket(&program, LinuxABI.Socket.SOCK_DGRAM, "a sender")
                (sender, temporary) = (.result(of: new), new)
                if message.from.first == 0 { builder.bind(&program, sender, message.from, check: .none, "the name of a sender") }
            }
            UnixSocketPlan.makeRoom(&program, sender, for: socket, &builder)
            if message.hasSender {
                sendAs(&program, message, from: sender, to: socket, &builder)
            } else {
                let bytes = builder.launchpad.add(message.bytes.isEmpty ? [0] : message.bytes.asBytes)
                builder.withName(&program, of: socket) { program, address, size in
                    let flags = LinuxABI.Socket.MSG_DONTWAIT | LinuxABI.Socket.MSG_NOSIGNAL
                    program.call(
                        .sendto, [sender, .value(bytes), .number(message.bytes.count), .value(flags), address, size],
                        check: .equals(Int64(message.bytes.count)), "waits")
                }
            }
            if let temporary { program.call(.close, [.result(of: temporary)]) }
        }
    }

    /// Sends a message to a named socket in the name of its sender, whose number and user come with it.
    private func sendAs(
        _ program: inout Program, _ message: ImageUnixMessage, from sender: Step.Argument, to socket: Socket, _ builder: inout PlanBuilder
    ) {
        let number = Step.Argument.number(builder.scratchDescriptor)
        program.call(.dup3, [sender, number, .value(PlanBuilder.cloexec)])
        builder.act(&program, as: message.sender) { program, builder in
            let header = UnixSocketPlan.header(of: message, to: builder.address(socket.state.address), &builder)
            builder.withName(&program, of: socket) { program, _, _ in
                UnixSocketPlan.send(&program, message, header, from: number, "waits")
            }
        }
        program.call(.close, [number])
    }
}
