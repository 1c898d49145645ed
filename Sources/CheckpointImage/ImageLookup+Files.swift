internal import FoundationEssentials
internal import LinuxABI

extension ImageLookup {
    mutating func validate(_ table: ImageFileTable) throws(ImageError) {
        let subject = { "file table \(table.id)" }
        var next: UInt32 = 0
        for descriptor in table.descriptors {
            try require(descriptor.number < ImageLimits.descriptors, .descriptorRange, subject())
            try require(descriptor.number >= next, .descriptorOrder, subject())
            next = descriptor.number + 1
            try require(
                openFile[descriptor.file] != nil, .noOpenFile, "fd \(descriptor.number) of \(subject())")
            if firstDescriptor[descriptor.file] == nil { firstDescriptor[descriptor.file] = (table.id, descriptor.number) }
        }
    }

    func validate(_ file: ImageOpenFile, _ records: ImageRecords) throws(ImageError) {
        let subject = { "open file \(file.id)" }
        guard let object = file.saved else { throw .rule(.fileKind, subject()) }
        try require(file.offset >= 0 || object.hasAnyPosition, .fileOffset, subject())
        try require(file.ownerSignal <= 64, .signalRange, subject())
        if file.hasOwner { try require(isOwner(file.owner), .fileOwner, subject()) }
        for reference in object.references {
            try require(holds(reference), reference.missing, "\(reference) of \(subject())")
        }
        try object.check(RuleContext(id: file.id, records: records, lookup: self))
        try validate(file.locks, of: file)
    }

    /// Whether signals go to a task of the image only: signals of a file are not to reach strangers.
    private func isOwner(_ owner: ImageFileOwner) -> Bool {
        switch owner.type {
        case UInt32(Fcntl.F_OWNER_TID): thread[owner.number] != nil
        case UInt32(Fcntl.F_OWNER_PID): process[owner.number] != nil
        case UInt32(Fcntl.F_OWNER_PGRP): owner.number != 0 && groups.contains(owner.number)
        default: false
        }
    }

    func holds(_ reference: ObjectReference) -> Bool {
        switch reference {
        case .openFile(let id): openFile[id] != nil
        case .pipe(let id): pipe[id] != nil
        case .memoryObject(let id): memoryObject[id] != nil
        case .terminal(let id): terminal[id] != nil
        case .unixSockets, .tcpSockets, .sharedPorts, .removedQueue: true
        }
    }

    func validate(_ pipe: ImagePipe) throws(ImageError) {
        let subject = { "pipe \(pipe.id)" }
        try require((4096...1 << 31).contains(pipe.capacity), .pipeCapacity, subject())
        let count = pipe.contents.reduce(0) { $0 + $1.count }
        try require(count <= Int(pipe.capacity), .pipeContents, subject())
    }

    func validate(_ terminal: ImageTerminal, _ records: ImageRecords) throws(ImageError) {
        let subject = { "terminal \(terminal.id)" }
        let words = [terminal.rows, terminal.columns, terminal.width, terminal.height]
        try require(words.allSatisfy { $0 <= UInt32(UInt16.max) } && terminal.number < 1 << 20, .terminalRange, subject())
        try require(terminal.settings.isEmpty || terminal.settings.count == ImageLimits.terminalSettings, .terminalRange, subject())
        try require(max(terminal.input.count, terminal.output.count) <= ImageLimits.terminalContents, .terminalRange, subject())
        try require(terminal.mode & ~0o777 == 0 && terminal.held <= 2, .terminalRange, subject())
        let ends = terminal.lineEnds
        try require(ends.count <= ImageLimits.terminalContents, .terminalRange, subject())
        try require(zip(ends, ends.dropFirst()).allSatisfy { $0 <= $1 } && (ends.last ?? 0) <= terminal.input.count, .terminalRange, subject())
        let isLeader = records.processes.contains { $0.pid == terminal.session && $0.session == terminal.session }
        try require(terminal.session == 0 || isLeader, .terminalSession, subject())
        let isGroup = groups.contains(terminal.foreground)
        try require(terminal.foreground == 0 || isGroup, .terminalSession, subject())
        let others = records.terminals.count { $0.session == terminal.session }
        try require(terminal.session == 0 || others == 1, .terminalSession, subject())
    }

    /// A path, a mount namespace in which it can have been read, and a copy in the image, or none.
    func requireFile(_ identity: ImageFileIdentity, _ subject: @autoclosure () -> String) throws(ImageError) {
        try requirePath(identity.path, subject())
        try require(
            identity.mountNamespace == 0 || mountNamespaces.contains(identity.mountNamespace), .noNamespace, subject())
        try require(identity.copy == 0 || memoryObject[identity.copy] != nil, .noMemoryObject, subject())
    }

    /// Absolute, without a zero byte.
    func requirePath(_ path: Data, _ subject: @autoclosure () -> String) throws(ImageError) {
        try require(!path.isEmpty, .pathMissing, subject())
        try require(path.first == UInt8(ascii: "/"), .pathRelative, subject())
        try require(!path.asBytes.contains(0), .pathWithZero, subject())
    }

    /// At most 15 bytes, as the kernel keeps it.
    func isCommandName(_ name: Data) -> Bool { name.count <= 15 && !name.contains(0) }
}
