import CheckpointImage
import LinuxABI
import StepProgram

/// A unix socket that is connected with the same name again (`crrestart --reconnect`), by the process that has it: its peer sees the
/// number and the user of that process (SO_PEERCRED). What was on the way in the old connection is lost.
enum ExternalConnection {
    static func check(_ file: PlannedFile<ImageExternalFile>, _ choice: DescriptorChoice, _ host: ObjectHost, _ findings: inout HostFindings) {
        let place = host.place(of: file.file)
        guard file.state.hasConnection else {
            return findings.find(
                choice.option, "\(place) was not a unix socket whose peer has a name that leads there from everywhere",
                help: "--fd 'M=\(choice.text)' for descriptor M of crrestart, --fd N=null")
        }
        let connection = file.state.connection
        SocketOptionCheck.check(connection.inetOptions, place, host.facts, &findings)
        let shown = ImageUnixSocket.shown(connection.address)
        func find(_ reason: String, _ help: String) { findings.find(choice.option, "\(shown): \(reason)", help: help) }
        let start = "start the program that listens there"
        guard let path = connection.path else {
            let name = [UInt8(truncatingIfNeeded: connection.type)] + connection.address.asBytes.map { $0 == 0 ? UInt8(ascii: "@") : $0 }
            if !host.facts.socketNames.contains(name) { find("ECONNREFUSED", start) }
            return
        }
        let rights = host.holders.rights(of: file.file)
        switch host.facts.files[path] {
        case .failure(let missing)?: return find(missing.errno, start)
        case .success(let found)?:
            if found.mode & FileMode.S_IFMT != FileMode.S_IFSOCK { return find("is not a socket", start) }
            // The kernel may not tell which files sockets are bound to.
            if let bound = host.facts.boundSockets, !bound.contains(UInt32(truncatingIfNeeded: found.inode)) { return find("ECONNREFUSED", start) }
        case nil: break
        }
        if let errno = host.facts.refusals[FileRequest(path, .write, rights)] { find("\(errno) for user \(rights.user)", "let that user connect") }
    }

    static func request(_ file: ImageExternalFile, _ rights: FileRights) -> FileRequest? {
        file.hasConnection ? file.connection.path.map { FileRequest($0, .write, rights) } : nil
    }

    static func make(_ file: PlannedFile<ImageExternalFile>, _ program: inout Program, _ builder: inout PlanBuilder) {
        let connection = file.state.connection
        let note = builder.note(file.file)
        // A connection that has to wait for its peer to accept others is refused: no task of the tree waits for what is outside.
        let made = builder.newSocket(&program, connection.type, flags: LinuxABI.Socket.SOCK_NONBLOCK, note)
        builder.settle(&program, made, as: file.number)
        let number = Step.Argument.number(file.number)
        if !connection.own.isEmpty { builder.bind(&program, number, connection.own, note) }
        builder.act(&program, as: builder.holder(of: file.file)) { program, builder in
            builder.withName(&program, connection.address, of: file.file) { program, address, size in
                program.call(.connect, [number, address, size], "connects with \(ImageUnixSocket.shown(connection.address)) again")
            }
        }
        builder.setOptions(&program, number, connection.inetOptions, of: note)
        if connection.shutdown & 1 != 0 { program.call(.shutdown, [number, .value(LinuxABI.Socket.SHUT_RD)], "receives no more") }
        if connection.shutdown & 2 != 0 { program.call(.shutdown, [number, .value(LinuxABI.Socket.SHUT_WR)], "sends no more") }
        let flags = file.file.flags & (OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND | OpenFlag.O_NOATIME)
        program.call(.fcntl, [number, .value(Fcntl.F_SETFL), .number(flags)], "status flags")
    }

    /// What the user should know, when it is done.
    static func notice(_ file: ImageExternalFile) -> String? {
        guard file.hasConnection else { return nil }
        return "\(ImageUnixSocket.shown(file.connection.address)) is connected anew\(file.connection.loss.map { ", \($0)" } ?? "")"
    }
}
