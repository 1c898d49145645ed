import CheckpointImage
import FoundationEssentials
import LinuxABI
import PidControl
import StepProgram

/// Names of unix sockets, and in whose name they are connected.
extension PlanBuilder {
    mutating func newSocket(_ program: inout Program, _ type: UInt32, flags: UInt64 = 0, _ note: String) -> Int {
        program.call(.socket, [.value(LinuxABI.Socket.AF_UNIX), .value(UInt64(type) | flags | LinuxABI.Socket.SOCK_CLOEXEC), 0], note)
    }

    /// `struct sockaddr_un`: the family, then the name. A path ends with a zero byte.
    mutating func address(_ name: Data) -> (Step.Argument, Step.Argument) {
        var bytes: [UInt8] = [UInt8(LinuxABI.Socket.AF_UNIX), 0] + name.asBytes
        if name.first != 0 && name.count < 108 { bytes.append(0) }
        return (data(bytes), .number(bytes.count))
    }

    mutating func bind(_ program: inout Program, _ socket: Step.Argument, _ name: Data, check: Step.Check = .noError, _ note: String) {
        let (address, size) = address(name)
        program.call(.bind, [socket, address, size], check: check, note)
    }

    /// Does something with the name of a socket: with the rights of the task that has it, and from the directory from which it leads
    /// there.
    mutating func withName(
        _ program: inout Program, of socket: PlannedFile<ImageUnixSocket>, _ body: (inout Program, Step.Argument, Step.Argument) -> Void
    ) {
        let (address, size) = address(socket.state.address)
        guard socket.state.hasName else { return body(&program, address, size) }
        let rights = holders.rights(of: socket.file)
        takeRights(&program, rights)
        if !socket.state.isAbsolute, let directory = socket.state.workingDirectory {
            let flags = UInt64(OpenFlag.O_PATH | OpenFlag.O_DIRECTORY) | Self.cloexec
            let opened = open(&program, directory, flags: flags, resolve: Resolve.RESOLVE_NO_SYMLINKS, "where the name of a socket begins")
            program.call(.fchdir, [.result(of: opened)])
            program.call(.close, [.result(of: opened)])
        }
        body(&program, address, size)
        giveBackRights(&program, rights)
    }

    /// The same with the name of a socket outside of the tree: an absolute path, or an abstract name.
    mutating func withName(
        _ program: inout Program, _ name: Data, of file: ImageOpenFile, _ body: (inout Program, Step.Argument, Step.Argument) -> Void
    ) {
        let (address, size) = address(name)
        let rights = holders.rights(of: file)
        takeRights(&program, rights)
        body(&program, address, size)
        giveBackRights(&program, rights)
    }

    /// The first process that has a file, with the user that it acts as.
    func holder(of file: ImageOpenFile) -> ImageUnixCredentials {
        var found = ImageUnixCredentials()
        for process in image.processes where process.state != .zombie {
            for thread in image.threads(of: process.pid) where !thread.hasExited_p {
                guard image.fileTable(thread.fileTable)?.descriptors.contains(where: { $0.file == file.id }) == true else { continue }
                found.process = process.pid
                found.user = thread.credentials.effectiveUser
                found.group = thread.credentials.effectiveGroup
                return found
            }
        }
        return found
    }

    /// Binds a socket to its own name.
    mutating func bindByName(_ program: inout Program, _ socket: PlannedFile<ImageUnixSocket>) {
        guard socket.state.hasName else { return bind(&program, .number(socket.number), socket.state.address, note(socket.file)) }
        let state = socket.state
        let rights = holders.rights(of: socket.file)
        let text = note(socket.file)
        withName(&program, of: socket) { program, address, size in
            // The permissions of a socket are 0777 without the umask.
            program.call(.umask, [.number(~state.name.mode & 0o777)], check: .none)
            program.call(.bind, [.number(socket.number), address, size], text)
        }
        guard state.name.owner != rights.user || state.name.group != rights.group, let file = state.file else { return }
        let name = path(file)
        takeRights(&program, rights)
        program.call(
            .fchownat, [.value(At.AT_FDCWD), name, .number(state.name.owner), .number(state.name.group), .value(At.AT_SYMLINK_NOFOLLOW)],
            check: .none, "its owner")
        giveBackRights(&program, rights)
    }

    mutating func removeName(_ program: inout Program, _ socket: PlannedFile<ImageUnixSocket>) {
        guard let file = socket.state.file else { return }
        let name = path(file)
        let rights = holders.rights(of: socket.file)
        takeRights(&program, rights)
        program.call(.unlinkat, [.value(At.AT_FDCWD), name, 0], "the name of \(note(socket.file))")
        giveBackRights(&program, rights)
    }

    // MARK: - In whose name

    /// Does something that the kernel notes the process for (SO_PEERCRED). For a process of the tree that does not exist yet, one with
    /// its number and user does it and ends: what is noted are the number and the user.
    ///
    /// - Precondition: only the root of the tree exists. The descriptors that `body` makes are at numbers that it chooses.
    mutating func act(
        _ program: inout Program, as credentials: ImageUnixCredentials, _ body: (inout Program, inout PlanBuilder) -> Void
    ) {
        let process = credentials.process
        guard process != 0, valid.creation.task(process) != nil else { return body(&program, &self) }
        if process == image.header.root {
            let changes = becomes(&program, credentials)
            body(&program, &self)
            if changes { becomesItself(&program, credentials) }
            return
        }
        guard !valid.usesLastPid, let task = valid.creation.task(process), task.numbers.count == 1, let number = task.numbers.first else {
            return body(&program, &self)
        }
        var substitute = Program(title: "\(process), for a moment", hasNotes: hasNotes)
        _ = becomes(&substitute, credentials)
        body(&substitute, &self)
        substitute.call(.exit_group, [0], "has done it")
        let slot = tasks.count + helpers.count
        clone(
            &program, slot, program: slot + substitutes.count, numbers: [number], seenAs: number, substitute.title,
            flags: CloneFlag.CLONE_FILES | CloneFlag.CLONE_UNTRACED, exitSignal: 0)
        substitutes.append(substitute)
        let status = room(8)
        program.call(
            .wait4, [.number(number), .value(status), .value(WaitOption.__WALL), 0], check: .equals(Int64(number)), "wait for the end of \(number)")
        program.call(
            .futex, [.value(status), .value(Futex.FUTEX_CMP_REQUEUE | Futex.FUTEX_PRIVATE_FLAG), 0, 0, .value(status), 0], check: .equals(0),
            "\(number) has done it")
    }

    /// Makes a process with whatever number is free, which ends at once, and waits for it.
    ///
    /// - Parameter pidFile: where a descriptor of it is stored (CLONE_PIDFD).
    /// - Precondition: only the root of the tree exists.
    mutating func passingProcess(_ program: inout Program, _ title: String, pidFile: UInt64) {
        var passing = Program(title: title, hasNotes: hasNotes)
        passing.call(.exit_group, [0], "has been there")
        let slot = tasks.count + helpers.count
        let other = slot + substitutes.count
        substitutes.append(passing)
        let flags = CloneFlag.CLONE_FILES | CloneFlag.CLONE_UNTRACED | CloneFlag.CLONE_PIDFD
        // struct clone_args, as in `clone`
        let arguments = launchpad.add(words: [flags, pidFile, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        let made = program.call(.clone3, [.value(arguments), 88, 0, 0, .slot(slot), .program(other)], title)
        program.call(.wait4, [.result(of: made), 0, .value(WaitOption.__WALL), 0], "wait for its end")
    }

    /// Takes the effective user and group of another, and keeps every right.
    ///
    /// - Returns: whether that is needed, and possible.
    private func becomes(_ program: inout Program, _ credentials: ImageUnixCredentials) -> Bool {
        let own = facts.ownCredentials
        let isOther = credentials.user != own.effectiveUser || credentials.group != own.effectiveGroup
        guard isOther, facts.mayTakeRights, own.effective & Capability.set(Capability.CAP_SETPCAP) != 0 else { return false }
        let keep = own.secureBits | SecureBit.SECBIT_NO_SETUID_FIXUP
        program.call(.prctl, [.value(Prctl.PR_SET_SECUREBITS), .number(keep)], "keep capabilities over the change")
        change(&program, toUser: credentials.user, group: credentials.group)
        return true
    }

    private func becomesItself(_ program: inout Program, _ credentials: ImageUnixCredentials) {
        let own = facts.ownCredentials
        change(&program, toUser: own.effectiveUser, group: own.effectiveGroup)
        program.call(.prctl, [.value(Prctl.PR_SET_SECUREBITS), .number(own.secureBits)], "as before")
    }

    /// The kernel changes with the effective ones those for files, too, which are what ``takeRights(_:_:)`` expects.
    private func change(_ program: inout Program, toUser user: UInt32, group: UInt32) {
        let own = facts.ownCredentials
        let none = Step.Argument.signed(-1)
        program.call(.setresgid, [none, .number(group), none], "group \(group)")
        program.call(.setfsgid, [.number(own.fileSystemGroup)], check: .equals(Int64(group)))
        program.call(.setresuid, [none, .number(user), none], "user \(user)")
        program.call(.setfsuid, [.number(own.fileSystemUser)], check: .equals(Int64(user)))
    }
}
