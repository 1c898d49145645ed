import CheckpointImage
import LinuxABI
import StepProgram

/// Unix sockets. The root of the tree makes all of them before it creates any process, in the order in which programs could
/// have made them: names, connections, what waits, options. Where descriptors wait in a queue, its socket is filled in `connect`.
enum UnixSocketPlan: ObjectPlan {
    typealias Socket = PlannedFile<ImageUnixSocket>

    static func check(_ file: Socket, _ host: ObjectHost, _ findings: inout HostFindings) {
        let state = file.state
        let place = host.place(of: file.file)
        SocketOptionCheck.check(state.inetOptions, place, host.facts, &findings)
        guard UnixSocketMaker(of: host.image).bindsItself(file) else { return }
        if state.name.removed { return checkDirectory(file, host, &findings) }
        let shown = ImageUnixSocket.shown(state.address)
        let name = [UInt8(truncatingIfNeeded: state.type)] + state.shownInTable
        // A relative name can be that of another file.
        if host.facts.socketNames.contains(name), !state.hasName || state.isAbsolute && state.isThere(host.facts) {
            findings.find(shown, "is in use here, needed by the socket at \(place)", help: "end the program that has it: ss -xap | grep -F \(shown)")
            return
        }
        guard let path = state.file else { return }
        switch host.facts.files[path] {
        case .success? where !state.isThere(host.facts) && !state.isDead(host.facts):
            findings.find(path.asData.asText, "is another file than at the checkpoint, needed by the socket at \(place)", help: "move it away: mv \(path.asData.asText) \(path.asData.asText).old")
        case .failure(let missing)? where missing.errno != "ENOENT":
            findings.find(path.asData.asText, "\(missing.errno), needed by the socket at \(place)", help: missing.help)
        default: checkDirectory(file, host, &findings)
        }
    }

    /// A process with the number of a sender has to exist for a moment: see `PlanBuilder.act`.
    static func checkSenders(_ image: CheckpointImage, usesLastPid: Bool, _ findings: inout HostFindings) {
        let outermost = image.process(image.header.root)?.pidNamespace
        for file in image.openFiles {
            guard case .unix(let socket)? = file.object else { continue }
            for sender in socket.queue.map(\.sender) where sender.process != 0 && sender.process != image.header.root {
                let isNested = image.process(sender.process)?.pidNamespace != outermost
                guard isNested || usesLastPid else { continue }
                findings.find(
                    "open file \(file.id), \(socket.summary(in: image))",
                    "a message of process \(sender.process) waits in it with its credentials, in whose name it cannot be sent here",
                    help: isNested
                        ? "the process is in a pid namespace of its own: checkpoint when the message has been received"
                        : "clone3 with set_tid is needed: Linux 5.5, and CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN")
            }
        }
    }

    /// Whether the task can make the file of a socket, and remove the old one.
    private static func checkDirectory(_ file: Socket, _ host: ObjectHost, _ findings: inout HostFindings) {
        guard file.state.hasName else { return }
        let path = file.state.name.directory
        let rights = host.holders.rights(of: file.file)
        let place = host.place(of: file.file)
        if case .failure(let missing)? = host.facts.files[path.asBytes] {
            findings.find(path.asText, "\(missing.errno), the directory of the socket at \(place)", help: "make it again")
        } else if let errno = host.facts.refusals[FileRequest(path.asBytes, [.write, .execute], rights)] {
            findings.find(
                path.asText, "\(errno) for user \(rights.user), the directory of the socket at \(place)",
                help: "let that user make files there")
        }
    }

    static func make(_ bundle: [Socket], _ program: inout Program, _ builder: inout PlanBuilder) {
        var maker = UnixSocketMaker(bundle)
        maker.makeAll(&program, &builder)
        maker.end(&program, &builder)
        for socket in bundle where !isFinishedLate(socket, builder) { finish(&program, socket, &builder) }
        for socket in bundle { setFlags(&program, socket) }
    }

    /// Fills a queue in which descriptors wait: the files that they lead to exist only now.
    static func connect(_ socket: Socket, _ program: inout Program, _ builder: inout PlanBuilder) {
        guard isFinishedLate(socket, builder) else { return }
        for message in socket.state.early { send(&program, message, from: .number(socket.number), to: socket, &builder) }
        if !socket.state.early.isEmpty, !socket.state.closed { finish(&program, socket, &builder) }
        let peer = builder.unixSocket(socket.state.peer)
        // One of the two does it for both.
        if let peer, hasFiles(peer.state), hasFiles(socket.state) ? peer.file.id < socket.file.id : true { return }
        guard let peer else { return }
        if hasFiles(socket.state) { fill(&program, socket, from: .number(peer.number), &builder) }
        if hasFiles(peer.state) { fill(&program, peer, from: .number(socket.number), &builder) }
        for one in [socket, peer] where !one.state.closed { finish(&program, one, &builder) }
    }

    static func hasFiles(_ state: ImageUnixSocket) -> Bool { (state.queue + state.early).contains { !$0.files.isEmpty } }

    /// Shutting down one end of a connection does so to the other.
    private static func isFinishedLate(_ socket: Socket, _ builder: PlanBuilder) -> Bool {
        hasFiles(socket.state) || builder.unixSocket(socket.state.peer).map { hasFiles($0.state) } ?? false
    }

    // MARK: - What waits

    /// Sends what waits in a socket.
    static func fill(_ program: inout Program, _ socket: Socket, from sender: Step.Argument, _ builder: inout PlanBuilder) {
        if socket.state.queue.isEmpty { return }
        makeRoom(&program, sender, for: socket, &builder)
        // The process that stands in for a sender has descriptors, and not the results of others.
        let isTold = socket.state.queue.contains { $0.hasSender }
        let number = Step.Argument.number(builder.scratchDescriptor)
        if isTold { program.call(.dup3, [sender, number, .value(PlanBuilder.cloexec)]) }
        for row in rows(of: socket.state.queue) {
            builder.act(&program, as: row.first?.sender ?? ImageUnixCredentials()) { program, builder in
                for message in row { send(&program, message, from: isTold ? number : sender, to: socket, &builder) }
            }
        }
        if isTold { program.call(.close, [number]) }
    }

    /// Messages that one process has sent in succession.
    private static func rows(of queue: [ImageUnixMessage]) -> [[ImageUnixMessage]] {
        var rows: [[ImageUnixMessage]] = []
        for message in queue {
            if let last = rows.last?.last, last.sender == message.sender { rows[rows.count - 1].append(message) } else { rows.append([message]) }
        }
        return rows
    }

    static func makeRoom(_ program: inout Program, _ sender: Step.Argument, for socket: Socket, _ builder: inout PlanBuilder) {
        let count = socket.state.queue.reduce(0) { $0 + $1.bytes.count }
        // More than a small buffer of the sender may have room for: it got its size later, or the pieces were others.
        let size = builder.data(bytes32(UInt32(clamping: max(count * 2, 1 << 20))))
        let force = builder.facts.hostCapabilities & Capability.set(Capability.CAP_NET_ADMIN) != 0
        let option = force ? SocketOptions.SO_SNDBUFFORCE : SocketOptions.SO_SNDBUF
        program.call(.setsockopt, [sender, .value(LinuxABI.Socket.SOL_SOCKET), .number(option), size, 4], "room for what waits")
    }

    static func send(
        _ program: inout Program, _ message: ImageUnixMessage, from sender: Step.Argument, to socket: Socket, _ builder: inout PlanBuilder
    ) {
        let header = header(of: message, to: (0, 0), &builder)
        send(&program, message, header, from: sender, "\(byteCount(UInt64(message.bytes.count))) wait in \(builder.note(socket.file))")
    }

    static func send(_ program: inout Program, _ message: ImageUnixMessage, _ header: UInt64, from sender: Step.Argument, _ note: String) {
        let flags = LinuxABI.Socket.MSG_DONTWAIT | LinuxABI.Socket.MSG_NOSIGNAL
        program.call(.sendmsg, [sender, .value(header), .value(flags)], check: .equals(Int64(message.bytes.count)), note)
    }

    /// `struct msghdr` of a message, with its credentials and descriptors.
    ///
    /// - Parameter name: where an address lies to which it is sent, and its size.
    static func header(of message: ImageUnixMessage, to name: (Step.Argument, Step.Argument), _ builder: inout PlanBuilder) -> UInt64 {
        let bytes = message.bytes.asBytes
        let address = builder.launchpad.add(bytes.isEmpty ? [0] : bytes)
        let part = builder.launchpad.add(words: [address, UInt64(bytes.count)])
        var control = credentials(message.sender)
        if !message.files.isEmpty {
            control.append(littleEndian: UInt64(16 + message.files.count * 4))
            control.append(littleEndian32: UInt32(LinuxABI.Socket.SOL_SOCKET))
            control.append(littleEndian32: UInt32(LinuxABI.Socket.SCM_RIGHTS))
            for file in message.files {
                let number = builder.image.openFile(file).map { builder.place(of: $0, for: 3) } ?? 0
                control.append(littleEndian32: number)
            }
            while control.count % 8 != 0 { control.append(0) }
        }
        let start = control.isEmpty ? 0 : builder.launchpad.add(control)
        var words: [UInt64] = [name.0, name.1].map { if case .value(let value) = $0 { value } else { 0 } }
        // struct msghdr: name and its size, parts and their number, control data and their size, flags
        words += [part, 1, start, UInt64(control.count), 0]
        return builder.launchpad.add(words: words)
    }

    /// `struct cmsghdr` of SCM_CREDENTIALS, in steps of 8 bytes; empty: the message has none.
    static func credentials(_ sender: ImageUnixCredentials) -> [UInt8] {
        if sender.process == 0 { return [] }
        var control: [UInt8] = []
        control.append(littleEndian: 28)
        for word in [UInt32(LinuxABI.Socket.SOL_SOCKET), UInt32(LinuxABI.Socket.SCM_CREDENTIALS), sender.process, sender.user, sender.group, 0] {
            control.append(littleEndian32: word)
        }
        return control
    }

    // MARK: - Options

    private static func finish(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        setOptions(&program, socket, &builder)
        if socket.state.peerGone { return }
        let state = socket.state.shutdown
        if state & 1 != 0 { program.call(.shutdown, [.number(socket.number), .value(LinuxABI.Socket.SHUT_RD)], "receives no more") }
        if state & 2 != 0 { program.call(.shutdown, [.number(socket.number), .value(LinuxABI.Socket.SHUT_WR)], "sends no more") }
    }

    private static func setOptions(_ program: inout Program, _ socket: Socket, _ builder: inout PlanBuilder) {
        var options = socket.state.inetOptions
        // The buffer of a sender was made large for what waits.
        if !options.contains(where: { $0.isOption(SocketOptions.SO_SNDBUF) }),
            let size = SocketOption.known(SocketOption.SOL_SOCKET, SocketOptions.SO_SNDBUF)
        {
            options.append(ImageInetOption(size, bytes32(usualBuffer)))
        }
        builder.setOptions(&program, .number(socket.number), options, of: builder.note(socket.file))
    }

    /// `net.core.wmem_default`.
    private static let usualBuffer: UInt32 = 212_992

    private static func bytes32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }

    private static func setFlags(_ program: inout Program, _ socket: Socket) {
        let flags = socket.file.flags & (OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND | OpenFlag.O_NOATIME)
        // One that listens does not wait while its connections are made.
        if flags != 0 || socket.state.listening { program.call(.fcntl, [.number(socket.number), .value(Fcntl.F_SETFL), .number(flags)], "status flags") }
    }
}

extension ImageUnixSocket {
    /// Whether the file of the socket is there still.
    func isThere(_ facts: HostFacts) -> Bool {
        guard let file, case .success(let found)? = facts.files[file] else { return false }
        return found.inode == name.inode && found.device == name.device
    }

    /// Whether there is the file of another socket that is closed by now: a program or a failed restart has left it.
    func isDead(_ facts: HostFacts) -> Bool {
        guard let file, case .success(let found)? = facts.files[file], let bound = facts.boundSockets else { return false }
        return found.mode & FileMode.S_IFMT == FileMode.S_IFSOCK && !bound.contains(UInt32(truncatingIfNeeded: found.inode))
    }

    /// What the host is asked for its name: the file that is there, and whether one can be made.
    func requests(_ rights: FileRights) -> [FileRequest] {
        guard let file else { return [] }
        let directory = FileRequest(name.directory.asBytes, [.write, .execute], rights)
        return name.removed ? [directory] : [FileRequest(file, [], rights), directory]
    }
}

extension PlanBuilder {
    /// A unix socket of the image at its high descriptor.
    func unixSocket(_ id: UInt32) -> PlannedFile<ImageUnixSocket>? {
        guard let file = image.openFile(id), case .unix(let state)? = file.object else { return nil }
        return PlannedFile(file: file, state: state, number: graph.number[id] ?? 0)
    }
}
