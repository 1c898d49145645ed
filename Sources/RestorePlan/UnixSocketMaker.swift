import CheckpointImage
import FoundationEssentials
import LinuxABI
import StepProgram

/// Makes the unix sockets of an image and connects them, in the order in which programs could have done that:
///
/// 0. Files that the sockets have left are removed, or those of others that are closed by now.
/// 1. Pairs without names, and sockets whose peer is gone.
/// 2. Names that lead to their socket no more: each is bound, used, and removed again before the name is wanted by another.
/// 3. Listening sockets, each with the connections that it has accepted and those that wait.
/// 4. Datagram sockets: names, then what waits in each, then whom each sends to.
///
/// What a name is needed for (to bind, connect, send, remove) is done with the rights of the task that has the named socket: the
/// user can have put another file there meanwhile.
struct UnixSocketMaker {
    typealias Socket = PlannedFile<ImageUnixSocket>

    let sockets: [Socket]
    let byID: [UInt32: Socket]
    private(set) var made: Set<UInt32> = []
    /// Sockets whose peer is gone: where the descriptor of that peer is, until it is closed.
    private var gone: [UInt32: Step.Argument] = [:]

    init(_ sockets: [Socket]) {
        self.sockets = sockets
        byID = Dictionary(sockets.map { ($0.file.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// For what has to be known before there are descriptors.
    init(of image: CheckpointImage) {
        self.init(
            image.openFiles.compactMap { file in
                if case .unix(let state)? = file.object { Socket(file: file, state: state, number: 0) } else { nil }
            })
    }

    mutating func makeAll(_ program: inout Program, _ builder: inout PlanBuilder) {
        for socket in sockets where bindsItself(socket) && !socket.state.name.removed {
            guard socket.state.isThere(builder.facts) || socket.state.isDead(builder.facts) else { continue }
            builder.removeName(&program, socket)
        }
        for socket in sockets where needsPair(socket) { makePair(&program, socket, &builder) }
        for wantsRemoved in [true, false] {
            for socket in sockets where socket.state.name.removed == wantsRemoved {
                if socket.state.listening { makeListener(&program, socket, &builder) }
                if socket.state.isDatagram && wantsRemoved { makeRemovedDatagram(&program, socket, &builder) }
            }
        }
        for socket in sockets where !made.contains(socket.file.id) { makeAlone(&program, socket, &builder) }
        let datagrams = sockets.filter { $0.state.isDatagram && !$0.state.name.removed }
        for socket in datagrams { fill(&program, socket, &builder) }
        for socket in datagrams { connectSenders(&program, to: socket, &builder) }
    }

    // MARK: - Pairs

    /// Ends of a connection of which neither was accepted by a socket of the tree; a socket whose peer is gone likewise.
    func needsPair(_ socket: Socket) -> Bool {
        if socket.state.peerGone { return listener(of: socket) == nil && listener(named: socket.state.peerAddress, like: socket) == nil }
        guard let other = byID[socket.state.peer], other.state.peer == socket.file.id, other.file.id != socket.file.id else { return false }
        if socket.state.isDatagram { return socket.state.address.isEmpty || other.state.address.isEmpty }
        return listener(of: socket) == nil && listener(of: other) == nil
    }

    /// The listening socket whose name an accepted socket has.
    private func listener(of socket: Socket) -> Socket? {
        if socket.state.listening { return nil }
        return sockets.first {
            $0.state.listening && $0.state.type == socket.state.type && $0.state.address == socket.state.address
                && $0.state.name.inode == socket.state.name.inode && $0.state.name.device == socket.state.name.device
        }
    }

    private func listener(named address: Data, like socket: Socket) -> Socket? {
        address.isEmpty ? nil : sockets.first { $0.state.listening && $0.state.type == socket.state.type && $0.state.address == address }
    }

    private mutating func makePair(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        guard !made.contains(socket.file.id) else { return }
        let other = byID[socket.state.peer]
        let pair = builder.room(16)
        let type = socket.state.type
        let note = builder.note(socket.file)
        builder.act(&program, as: socket.state.peerCredentials) { program, _ in
            program.call(
                .socketpair, [.value(LinuxABI.Socket.AF_UNIX), .value(UInt64(type) | LinuxABI.Socket.SOCK_CLOEXEC), 0, .value(pair)], note)
        }
        settle(&program, .stored(at: pair), as: socket)
        bindEnd(&program, socket, &builder)
        if let other {
            settle(&program, .stored(at: pair + 4), as: other)
            bindEnd(&program, other, &builder)
            fillFromPeer(&program, socket, &builder)
            fillFromPeer(&program, other, &builder)
        } else {
            gone[socket.file.id] = .stored(at: pair + 4)
            if socket.state.peerAddress.first == 0 {
                builder.bind(&program, .stored(at: pair + 4), socket.state.peerAddress, check: .none, "the name of a socket that is gone")
            }
            fillFromPeer(&program, socket, &builder)
        }
    }

    /// An end of a connection whose name belongs to no listening socket of the tree. An abstract one can have been its own or that of a
    /// socket that is closed by now. A path is that of the socket that accepted it, which may be alive outside of the tree.
    private func bindEnd(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        if socket.state.isDatagram || bindsItself(socket) { return bind(&program, socket, &builder) }
        guard socket.state.address.first == 0 else { return }
        builder.bind(&program, .number(socket.number), socket.state.address, check: .none, builder.note(socket.file))
    }

    // MARK: - Sockets with names

    /// Whether the name is its own: not that of the socket which accepted it.
    func bindsItself(_ socket: Socket) -> Bool {
        let state = socket.state
        if state.address.isEmpty { return false }
        if state.listening || state.isDatagram || state.peer == 0 && !state.peerGone { return true }
        // The client of a connection of which the other end was accepted.
        return listener(of: socket) == nil && (byID[state.peer].flatMap { listener(of: $0) } ?? listener(named: state.peerAddress, like: socket)) != nil
    }

    private func bind(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        if socket.state.address.isEmpty { return }
        builder.bindByName(&program, socket)
    }

    mutating func makeAlone(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        if made.contains(socket.file.id) { return }
        let flags = socket.state.listening ? LinuxABI.Socket.SOCK_NONBLOCK : 0
        settle(&program, .result(of: builder.newSocket(&program, socket.state.type, flags: flags, builder.note(socket.file))), as: socket)
        if bindsItself(socket) { bind(&program, socket, &builder) }
    }

    private mutating func makeListener(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        makeAlone(&program, socket, &builder)
        let state = socket.state
        // Each connection is accepted at once; those that wait need room.
        listen(&program, socket, backlog: max(UInt32(state.waiting.count), 1), &builder)
        for other in sockets where !made.contains(other.file.id) && other.state.type == state.type && !other.state.listening {
            if listener(of: other)?.file.id == socket.file.id, other.state.peer != 0 || other.state.peerGone {
                accept(&program, other, from: byID[other.state.peer], by: socket, &builder)
            } else if other.state.peerGone, listener(of: other) == nil, listener(named: other.state.peerAddress, like: other)?.file.id == socket.file.id {
                makeAlone(&program, other, &builder)
                connect(&program, other, to: socket, &builder)
                gone[other.file.id] = .result(of: accepted(&program, by: socket))
                fillFromPeer(&program, other, &builder)
            }
        }
        for client in state.waiting.compactMap({ byID[$0] }) {
            makeAlone(&program, client, &builder)
            let isSentLate = UnixSocketPlan.hasFiles(client.state)
            if !client.state.early.isEmpty { UnixSocketPlan.makeRoom(&program, .number(client.number), for: client, &builder) }
            // The process that sends is noted, too, for a receiver that asks for it (SO_PASSCRED).
            builder.act(&program, as: client.state.connector) { program, builder in
                connectNow(&program, client, to: socket, &builder)
                for message in client.state.early where !isSentLate {
                    UnixSocketPlan.send(&program, message, from: .number(client.number), to: socket, &builder)
                }
            }
        }
        listen(&program, socket, backlog: state.backlog, &builder)
        if state.name.removed { builder.removeName(&program, socket) }
    }

    private func listen(_ program: inout Program, _ socket: Socket, backlog: UInt32, _ builder: inout PlanBuilder) {
        builder.act(&program, as: socket.state.peerCredentials) { program, _ in
            program.call(.listen, [.number(socket.number), .number(backlog)], "listens")
        }
    }

    /// - Parameter client: the other end; nil: that is gone.
    private mutating func accept(
        _ program: inout Program, _ socket: Socket, from client: Socket?, by listener: Socket, _ builder: inout PlanBuilder
    ) {
        if let client {
            makeAlone(&program, client, &builder)
            connect(&program, client, to: listener, as: socket.state.peerCredentials, &builder)
        } else {
            let made = builder.newSocket(&program, socket.state.type, "a client that is gone")
            gone[socket.file.id] = .result(of: made)
            program.call(.dup3, [.result(of: made), .number(builder.scratchDescriptor), .value(PlanBuilder.cloexec)])
            let number = builder.scratchDescriptor
            builder.act(&program, as: socket.state.peerCredentials) { program, builder in
                builder.withName(&program, of: listener) { program, address, size in
                    program.call(.connect, [.number(number), address, size], "connects")
                }
            }
            program.call(.close, [.number(number)])
        }
        settle(&program, .result(of: accepted(&program, by: listener)), as: socket)
        fillFromPeer(&program, socket, &builder)
        if let client { fillFromPeer(&program, client, &builder) }
    }

    private func accepted(_ program: inout Program, by listener: Socket) -> Int {
        program.call(.accept4, [.number(listener.number), 0, 0, .value(LinuxABI.Socket.SOCK_CLOEXEC)], "accepts")
    }

    func connect(
        _ program: inout Program, _ client: Socket, to named: Socket, as credentials: ImageUnixCredentials? = nil, _ builder: inout PlanBuilder
    ) {
        builder.act(&program, as: credentials ?? ImageUnixCredentials()) { program, builder in
            connectNow(&program, client, to: named, &builder)
        }
    }

    private func connectNow(_ program: inout Program, _ client: Socket, to named: Socket, _ builder: inout PlanBuilder) {
        builder.withName(&program, of: named) { program, address, size in
            program.call(.connect, [.number(client.number), address, size], "connects")
        }
    }

    // MARK: - Ends

    private func fillFromPeer(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        if UnixSocketPlan.hasFiles(socket.state) { return }
        let peer = byID[socket.state.peer].map { Step.Argument.number($0.number) } ?? gone[socket.file.id]
        if let peer { UnixSocketPlan.fill(&program, socket, from: peer, &builder) }
    }

    private mutating func settle(_ program: inout Program, _ descriptor: Step.Argument, as socket: Socket) {
        made.insert(socket.file.id)
        program.call(
            .dup3, [descriptor, .number(socket.number), .value(PlanBuilder.cloexec)], check: .equals(Int64(socket.number)))
        program.call(.close, [descriptor])
    }

    /// Closes what the tree has no descriptor of.
    func end(_ program: inout Program, _ builder: inout PlanBuilder) {
        for socket in sockets {
            guard let peer = gone[socket.file.id] else { continue }
            if socket.state.reset {
                let byte = builder.data([0])
                let flags = LinuxABI.Socket.MSG_DONTWAIT | LinuxABI.Socket.MSG_NOSIGNAL
                program.call(.sendto, [.number(socket.number), byte, 1, .value(flags), 0, 0], "something that its peer does not read")
            }
            program.call(.close, [peer], "its peer is gone")
        }
    }
}
