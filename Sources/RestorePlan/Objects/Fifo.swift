package import CheckpointImage
import LinuxABI
import StepProgram

/// FIFOs: found by name, or made anew where they have none, and opened without waiting for the other side.
///
/// What a FIFO is opened by first is a descriptor with O_PATH, which no other end notices. Where there is something to write into
/// it, or a writing end to open, both ends are held meanwhile.
enum FifoPlan: ObjectPlan {
    private static let settable = OpenFlag.O_NONBLOCK | OpenFlag.O_APPEND | OpenFlag.O_DIRECT

    static func check(_ file: PlannedFile<ImageFifoEnd>, _ host: ObjectHost, _ findings: inout HostFindings) {
        FileCheck(host.facts).checkOpen(file.state.identity, host.holders.request(file.file, file.state.identity), by: host.place(of: file.file), &findings)
    }

    static func make(_ bundle: [PlannedFile<ImageFifoEnd>], _ program: inout Program, _ builder: inout PlanBuilder) {
        guard let first = bundle.first, let pipe = builder.image.pipe(first.state.pipe) else { return }
        let identity = first.state.identity
        let request = builder.holders.request(first.file, identity)
        let takesRights = identity.removed || builder.facts.door(request) == .asHolder
        let anchor =
            identity.removed
            ? builder.openRemovedFifo(&program, identity, request.rights)
            : builder.open(&program, request, flags: UInt64(OpenFlag.O_PATH))
        builder.settle(&program, anchor, as: builder.scratchDescriptor)
        let path = Array("/proc/self/fd/\(builder.scratchDescriptor)".utf8)
        if takesRights { builder.takeRights(&program, request.rights) }
        // Who may only write cannot hold both ends: a reader has to be there.
        let mayHold = identity.removed || builder.facts.refusals[FileRequest(identity, [.read, .write], request.rights)] == nil
        func isWriter(_ end: PlannedFile<ImageFifoEnd>) -> Bool { end.file.flags & OpenFlag.O_ACCMODE != OpenFlag.O_RDONLY }
        let isHeld = mayHold && (!pipe.contents.isEmpty || bundle.contains { isWriter($0) || $0.state.hungUp })
        var keeper: Int?
        if isHeld {
            let flags = UInt64(OpenFlag.O_RDWR | OpenFlag.O_NONBLOCK | (pipe.packets ? OpenFlag.O_DIRECT : 0)) | PlanBuilder.cloexec
            let held = program.call(.openat, [.value(At.AT_FDCWD), builder.path(path), .value(flags), 0], "both ends for a while")
            setCapacity(&program, .result(of: held), pipe)
            for piece in pipe.contents where !piece.isEmpty {
                let address = builder.launchpad.add(piece.asBytes)
                program.call(
                    .write, [.result(of: held), .value(address), .number(piece.count)], check: .equals(Int64(piece.count)),
                    "\(byteCount(UInt64(piece.count))) in flight")
            }
            keeper = held
        }
        // A reader that is opened while there is no writer is not told of an end: it waits for the first one.
        let hasWriter = bundle.contains(where: isWriter)
        let isUntold = { (end: PlannedFile<ImageFifoEnd>) in !hasWriter && !end.state.hungUp && pipe.contents.isEmpty }
        // Readers first: without them a writing end could not be opened.
        for end in bundle.filter({ !isUntold($0) }).sorted(by: { !isWriter($0) && isWriter($1) }) { open(end, path, &program, &builder) }
        let untold = bundle.filter(isUntold)
        if let keeper, untold.count < bundle.count { program.call(.close, [.result(of: keeper)]) }
        for end in untold { open(end, path, &program, &builder) }
        if !isHeld, let end = bundle.first { setCapacity(&program, .number(end.number), pipe) }
        if takesRights { builder.giveBackRights(&program, request.rights) }
        program.call(.close, [.number(builder.scratchDescriptor)])
    }

    private static func open(
        _ end: PlannedFile<ImageFifoEnd>, _ path: [UInt8], _ program: inout Program, _ builder: inout PlanBuilder
    ) {
        let access = end.file.flags & (OpenFlag.O_ACCMODE | OpenFlag.O_SYNC | OpenFlag.O_NOATIME)
        builder.open(&program, path, flags: UInt64(access | OpenFlag.O_NONBLOCK), as: end.number)
        program.call(.fcntl, [.number(end.number), .value(Fcntl.F_SETFL), .number(end.file.flags & settable)], builder.note(end.file))
    }

    private static func setCapacity(_ program: inout Program, _ descriptor: Step.Argument, _ pipe: ImagePipe) {
        if pipe.capacity == 65536 { return }
        program.call(
            .fcntl, [descriptor, .value(Fcntl.F_SETPIPE_SZ), .number(pipe.capacity)], check: .equals(Int64(pipe.capacity)), "capacity")
    }
}

extension PlanBuilder {
    /// Makes a FIFO that has no name any more, likewise: see ``openRemoved(_:_:_:flags:enters:)``.
    ///
    /// - Returns: the step whose result is a descriptor with O_PATH.
    mutating func openRemovedFifo(_ program: inout Program, _ identity: ImageFileIdentity, _ rights: FileRights) -> Int {
        let place = RemovedDirectory.place(of: identity, rights, facts) ?? [UInt8(ascii: "/")]
        let name = path(Array(".treerestore-removed-\(image.header.root)-\(hex(room(1)))".utf8))
        let pathOnly = UInt64(OpenFlag.O_PATH)
        takeRights(&program, rights)
        program.call(.umask, [0], check: .none)
        let parent = open(
            &program, place, flags: pathOnly | UInt64(OpenFlag.O_DIRECTORY), resolve: Resolve.RESOLVE_NO_SYMLINKS, "for a FIFO that was removed")
        // It can be there only if a restart was killed.
        program.call(
            .mknodat, [.result(of: parent), name, .number(FileMode.S_IFIFO | identity.mode & 0o7777 | 0o600), 0], check: .none,
            identity.path.asText)
        let how = openHow(pathOnly | UInt64(OpenFlag.O_NOFOLLOW) | Self.cloexec, Resolve.RESOLVE_NO_SYMLINKS | Resolve.RESOLVE_BENEATH)
        let made = program.call(.openat2, [.result(of: parent), name, how, 24], identity.path.asText)
        program.call(.unlinkat, [.result(of: parent), name, 0], "removed again")
        giveBackRights(&program, rights)
        program.call(.close, [.result(of: parent)])
        return made
    }
}

extension HostFacts {
    /// Whether those who hold FIFOs may open both ends of them.
    package func fifoRequests(of image: CheckpointImage) -> [FileRequest] {
        let holders = FileHolders(image, self)
        return image.openFiles.compactMap { file in
            guard case .fifo(let end)? = file.object, !end.identity.removed else { return nil }
            return FileRequest(end.identity, [.read, .write], holders.rights(of: file))
        }
    }
}
