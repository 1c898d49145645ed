import CheckpointImage
import LinuxABI
import StepProgram

/// TCP sockets. The root of the tree makes all of them before it creates any process: those that listen first, then connections, in
/// repair mode, in which nothing is sent. The monitor ends that mode in the last moment: see ``TCPStart``.
enum TCPSocketPlan: ObjectPlan {
    typealias Socket = PlannedFile<ImageTcpSocket>

    static func check(_ file: Socket, _ host: ObjectHost, _ findings: inout HostFindings) {
        let (state, place) = (file.state, host.place(of: file.file))
        SocketOptionCheck.check(state.options, place, host.facts, &findings)
        let shown = ImageTcpSocket.shown(state.address)
        if state.isConnection || state.isClosed {
            if !host.facts.has(Capability.CAP_NET_ADMIN) {
                findings.find("connection \(shown)", "needs CAP_NET_ADMIN, at \(place)", help: "be root: sudo crrestart")
            } else if state.isClosed, !host.facts.has(Capability.CAP_NET_RAW) {
                findings.find("connection \(shown)", "needs CAP_NET_RAW, at \(place): it is closed", help: "be root: sudo crrestart")
            }
        }
        guard !state.address.isEmpty else { return }
        if host.facts.foreignAddresses.contains(state.address.asBytes) {
            findings.find(
                "address \(shown)", "is none of this host, needed by the socket at \(place)",
                help: Self.help(state))
        }
        if let holder = host.facts.takenPorts[state.key] {
            findings.find("address \(shown)", "is in use here, needed by the socket at \(place)", help: "end \(holder)")
        }
    }

    private static func help(_ state: ImageTcpSocket) -> String {
        let host = ImageTcpSocket.host(state.address)
        if state.isConnection || state.state == TCP.TCP_SYN_SENT {
            return "its other end knows it by that address, which has to be moved here: ip address add \(host) dev DEVICE"
        }
        return "ip address add \(host) dev DEVICE, or --address \(host)=NEW"
    }

    static func make(_ bundle: [Socket], _ program: inout Program, _ builder: inout PlanBuilder) {
        for socket in bundle { open(&program, socket, &builder) }
        for socket in bundle where !socket.state.needsRepair { bind(&program, socket, &builder) }
        let listening = bundle.filter(\.state.isListening)
        for socket in listening.sorted(by: { ($0.state.listenOrder, $0.file.id) < ($1.state.listenOrder, $1.file.id) }) { listen(&program, socket) }
        for (index, socket) in bundle.enumerated() where socket.state.needsRepair { connect(&program, socket, index, &builder) }
        // The kernel sends once more what is not acknowledged, after a second: by then all the others have to be there.
        for socket in bundle where socket.state.needsRepair { fill(&program, socket, &builder) }
        for socket in bundle { finish(&program, socket, &builder) }
    }

    /// A socket that no process has a descriptor of is in flight: it is started before it is sent.
    static func connect(_ socket: Socket, _ program: inout Program, _ builder: inout PlanBuilder) {
        guard builder.graph.unheldFiles.contains(socket.file.id), socket.state.needsRepair else { return }
        let start = TCPStart(socket.state, of: builder.image)
        set(&program, socket, TCP.TCP_REPAIR, start.endOfRepair, &builder, "is a connection again")
        if !start.unsent.isEmpty {
            program.call(
                .sendto, [.number(socket.number), .value(builder.launchpad.add(start.unsent)), .number(start.unsent.count), .value(quiet), 0, 0],
                check: .equals(Int64(start.unsent.count)), "what has not been sent")
        }
        if start.sendsEnd { program.call(.shutdown, [.number(socket.number), .value(LinuxABI.Socket.SHUT_WR)], "sends no more") }
    }

    // MARK: - Steps

    private static let quiet = LinuxABI.Socket.MSG_DONTWAIT | LinuxABI.Socket.MSG_NOSIGNAL

    private static func open(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        let made = program.call(
            .socket, [.number(socket.state.family), .value(UInt64(LinuxABI.Socket.SOCK_STREAM) | LinuxABI.Socket.SOCK_CLOEXEC), .value(TCP.IPPROTO_TCP)],
            builder.note(socket.file))
        builder.settle(&program, made, as: socket.number)
        let early = socket.state.options.filter { !$0.isSize && !$0.isOption(SocketOptions.SO_REUSEADDR) }
        builder.setOptions(&program, .number(socket.number), early, .early, of: builder.note(socket.file))
    }

    /// Connections of a tree that was ended can be on their port still: that takes SO_REUSEADDR, which is put right in the end.
    private static func bind(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        if socket.state.address.isEmpty { return }
        setReuse(&program, socket, true, &builder)
        // The kernel lets connections share a port that it chose for them, but not after bind(2): repair mode does not ask.
        let sharesPort = socket.state.state == TCP.TCP_SYN_SENT && builder.facts.has(Capability.CAP_NET_ADMIN)
        if sharesPort { set(&program, socket, TCP.TCP_REPAIR, 1, &builder, "other connections can have its port") }
        let address = socket.state.address.asBytes
        program.call(.bind, [.number(socket.number), builder.data(address), .number(address.count)], "bind \(ImageTcpSocket.shown(socket.state.address))")
        if sharesPort {
            set(&program, socket, TCP.TCP_REPAIR, TCP.TCP_REPAIR_OFF_NO_WP, &builder)
            setReuse(&program, socket, true, &builder)
        }
    }

    private static func listen(_ program: inout Program, _ socket: Socket) {
        program.call(.listen, [.number(socket.number), .number(socket.state.backlog)], "listens")
    }

    private static func connect(_ program: inout Program, _ socket: Socket, _ index: Int, _ builder: inout PlanBuilder) {
        let (state, stream) = (socket.state, socket.state.stream)
        let start = TCPStart(state, of: builder.image)
        set(&program, socket, TCP.TCP_REPAIR, 1, &builder, "nothing is sent")
        set(&program, socket, TCP.TCP_REPAIR_QUEUE, TCP.TCP_SEND_QUEUE, &builder)
        set(&program, socket, TCP.TCP_QUEUE_SEQ, start.sendBase, &builder, "sequence number of what it sends")
        set(&program, socket, TCP.TCP_REPAIR_QUEUE, TCP.TCP_RECV_QUEUE, &builder)
        set(&program, socket, TCP.TCP_QUEUE_SEQ, start.receiveBase, &builder, "sequence number of what it receives")
        let address = state.address.asBytes
        program.call(.bind, [.number(socket.number), builder.data(address), .number(address.count)], "bind \(ImageTcpSocket.shown(state.address))")
        // The kernel works out the length of segments while it connects, from what the peer takes, and not again when it is told that
        // below: without this it would be 536 bytes with all headers, for good. Source: net/ipv4/tcp_output.c, `tcp_connect_init`.
        // A segment of more than half the largest window might never be sent; a larger window makes the kernel work it out again.
        let largest = stream.window.largest
        let longest = min(stream.segment, longestSegment, largest > defaultSegment ? largest / 2 : .max)
        let isTold = !state.isClosed && longest >= shortestSegment
        if isTold { set(&program, socket, TCP.TCP_MAXSEG, longest, &builder, "segments as long as the peer takes") }
        let peer = state.isClosed ? ImageTcpSocket.standIn(index, state.address.asBytes) : state.peerAddress.asBytes
        program.call(
            .connect, [.number(socket.number), builder.data(peer), .number(peer.count)], "connect \(ImageTcpSocket.shown(peer.asData))")
        if state.isClosed { return }
        // What the program has asked for cannot be seen of a connection.
        if isTold { set(&program, socket, TCP.TCP_MAXSEG, 0, &builder) }
        // struct tcp_repair_opt
        var options: [UInt32] = [TCP.TCPOPT_MAXSEG, stream.segment]
        if stream.selective { options += [TCP.TCPOPT_SACK_PERMITTED, 0] }
        if stream.scalesWindows { options += [TCP.TCPOPT_WINDOW, stream.sendScale | stream.receiveScale << 16] }
        if stream.hasTimestamps_p { options += [TCP.TCPOPT_TIMESTAMP, 0] }
        set(&program, socket, TCP.TCP_REPAIR_OPTIONS, options, &builder, "what both ends have agreed on")
        if stream.hasTimestamps_p { set(&program, socket, TCP.TCP_TIMESTAMP, stream.timestamp, &builder, "its clock") }
    }

    /// What TCP_MAXSEG takes. Source: net/ipv4/tcp.c, TCP_MIN_MSS and MAX_TCP_WINDOW.
    private static let shortestSegment: UInt32 = 88
    /// TCP_MSS_DEFAULT of include/net/tcp.h: smaller windows are not halved. Source: `tcp_bound_to_half_wnd`.
    private static let defaultSegment: UInt32 = 536
    private static let longestSegment: UInt32 = 32767

    private static func fill(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        let (state, start) = (socket.state, TCPStart(socket.state, of: builder.image))
        let largest = max(state.stream.receiveQueue.count, start.sent.count, start.unsent.count)
        if largest > roomAnyway {
            let size = builder.data(bytes([UInt32(clamping: max(largest * 2, 1 << 20))]))
            for option in [SocketOptions.SO_SNDBUFFORCE, SocketOptions.SO_RCVBUFFORCE] {
                program.call(.setsockopt, [.number(socket.number), .value(LinuxABI.Socket.SOL_SOCKET), .number(option), size, 4], "room for what waits")
            }
        }
        put(&program, state.stream.receiveQueue.asBytes, into: TCP.TCP_RECV_QUEUE, of: socket, &builder, "waits to be received")
        put(&program, start.sent, into: TCP.TCP_SEND_QUEUE, of: socket, &builder, "has been sent, and is not acknowledged")
        if !state.isClosed { setWindow(&program, socket, start, &builder) }
        set(&program, socket, TCP.TCP_REPAIR_QUEUE, TCP.TCP_SEND_QUEUE, &builder)
        if start.hasSentEnd { program.call(.shutdown, [.number(socket.number), .value(LinuxABI.Socket.SHUT_WR)], "has sent that it sends no more") }
    }

    /// A new socket has room for these bytes.
    private static let roomAnyway = 32 << 10
    /// The kernel makes one piece of memory for each.
    private static let piece = 16 << 10

    private static func put(
        _ program: inout Program, _ bytes: [UInt8], into queue: UInt32, of socket: Socket, _ builder: inout PlanBuilder, _ what: String
    ) {
        if bytes.isEmpty { return }
        set(&program, socket, TCP.TCP_REPAIR_QUEUE, queue, &builder)
        let address = builder.launchpad.add(bytes)
        for place in stride(from: 0, to: bytes.count, by: piece) {
            let count = min(piece, bytes.count - place)
            program.call(
                .sendto, [.number(socket.number), .value(address + UInt64(place)), .number(count), .value(quiet), 0, 0], check: .equals(Int64(count)),
                "\(byteCount(UInt64(count))) \(what)")
        }
    }

    /// struct tcp_repair_window. What is told of bytes that are received anew would be refused.
    private static func setWindow(_ program: inout Program, _ socket: Socket, _ start: TCPStart, _ builder: inout PlanBuilder) {
        let window = socket.state.stream.window
        let end = start.receiveEnd
        func clamped(_ number: UInt32, to limit: UInt32) -> UInt32 { Int32(bitPattern: number &- limit) > 0 ? limit : number }
        set(
            &program, socket, TCP.TCP_REPAIR_WINDOW,
            [
                clamped(window.sendUpdate, to: end &+ window.receive), window.send, window.largest, window.receive,
                clamped(window.receiveUpdate, to: end),
            ], &builder, "windows")
    }

    private static func finish(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        let state = socket.state
        var options = state.options.filter { $0.option?.moment == .late || $0.isSize }
        if state.needsRepair { for (option, value) in usual { add(option, value, to: &options) } }
        builder.setOptions(&program, .number(socket.number), options, nil, of: builder.note(socket.file))
        if !state.needsRepair, !state.address.isEmpty, !state.reusesAddress { setReuse(&program, socket, false, &builder) }
        if state.address.isEmpty, state.reusesAddress { setReuse(&program, socket, true, &builder) }
        // In flight: the monitor has no way to send it a FIN.
        let isUnheld = builder.graph.unheldFiles.contains(socket.file.id)
        if state.isConnection, state.receivesNoMore || isUnheld && TCPStart(state, of: builder.image).receivesEnd {
            program.call(.shutdown, [.number(socket.number), .value(LinuxABI.Socket.SHUT_RD)], "receives no more")
        }
        let flags = socket.file.flags & (OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND | OpenFlag.O_NOATIME)
        if flags != 0 { program.call(.fcntl, [.number(socket.number), .value(Fcntl.F_SETFL), .number(flags)], "status flags") }
    }

    /// What a new socket has, where the host was not told otherwise: buffers were made large for what waits, and locked.
    private static let usual: [(UInt32, UInt32)] = [
        (SocketOptions.SO_SNDBUF, 16384), (SocketOptions.SO_RCVBUF, 131072), (SocketOptions.SO_BUF_LOCK, 0),
    ]

    private static func add(_ number: UInt32, _ value: UInt32, to options: inout [ImageInetOption]) {
        guard !options.contains(where: { $0.isOption(number) }), let option = SocketOption.known(SocketOption.SOL_SOCKET, number) else { return }
        options.append(ImageInetOption(option, bytes([value])))
    }

    private static func setReuse(_ program: inout Program, _ socket: Socket, _ value: Bool, _ builder: inout PlanBuilder) {
        program.call(
            .setsockopt,
            [
                .number(socket.number), .value(LinuxABI.Socket.SOL_SOCKET), .number(SocketOptions.SO_REUSEADDR),
                builder.data(bytes([value ? 1 : 0])), 4,
            ], "SO_REUSEADDR")
    }

    private static func set(
        _ program: inout Program, _ socket: Socket, _ option: UInt32, _ value: UInt32, _ builder: inout PlanBuilder, _ note: String = ""
    ) { set(&program, socket, option, [value], &builder, note) }

    private static func set(
        _ program: inout Program, _ socket: Socket, _ option: UInt32, _ words: [UInt32], _ builder: inout PlanBuilder, _ note: String
    ) {
        program.call(
            .setsockopt, [.number(socket.number), .value(TCP.IPPROTO_TCP), .number(option), builder.data(bytes(words)), .number(words.count * 4)],
            note)
    }

    private static func bytes(_ words: [UInt32]) -> [UInt8] {
        words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
    }
}

extension ImageTcpSocket {
    /// It is made in repair mode: a connection, or one that is closed and had its place.
    var needsRepair: Bool { isConnection || isClosed }

    var reusesAddress: Bool { options.contains { $0.isOption(SocketOptions.SO_REUSEADDR) } }

    /// It gets the packets of one network device only. One to itself would find no socket, and be answered with a reset, to the other end.
    var belongsToDevice: Bool {
        let address = address.asBytes
        return options.contains { $0.option?.form == .deviceName } || address.count == 28 && address[24...].contains { $0 != 0 }
    }

    /// What a closed connection was connected with is not known: something local that no other has.
    static func standIn(_ index: Int, _ address: [UInt8]) -> [UInt8] {
        let port = UInt16(truncatingIfNeeded: index % 65535 + 1)
        let ports = [UInt8(port >> 8), UInt8(port & 0xff)]
        let host: [UInt8] = [127, 0, UInt8(truncatingIfNeeded: index / 65535), 1]
        if address.count < 28 { return [2, 0] + ports + host + [UInt8](repeating: 0, count: 8) }
        let isMapped = address[8..<18].allSatisfy { $0 == 0 } && address[18] == 0xff && address[19] == 0xff
        let zeros = [UInt8](repeating: 0, count: 10)
        return [10, 0] + ports + [0, 0, 0, 0] + zeros + (isMapped ? [0xff, 0xff] + host : [0, 0, 0, 0, 0, 1]) + [0, 0, 0, 0]
    }
}

extension ImageInetOption {
    /// Sizes of buffers are set when what waits is in them.
    fileprivate var isSize: Bool { isBuffer || isOption(SocketOptions.SO_BUF_LOCK) }
}
