import CheckpointImage
import LinuxABI
import StepProgram

/// Regular files and directories that are opened again by name.
enum NamedFilePlan: ObjectPlan {
    static func check(_ file: PlannedFile<ImageNamedFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        let place = host.place(of: file.file)
        let check = FileCheck(host.facts, host.files)
        check.checkOpen(file.state.identity, host.holders.request(file.file, file.state.identity), by: place, &findings)
        check.noteChange(file.state.identity, of: file.file, by: place, &findings)
    }

    static func make(_ bundle: [PlannedFile<ImageNamedFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle { builder.openAgain(&program, file.file, file.state.identity, as: file.number) }
    }
}

extension PlanBuilder {
    /// Flags that matter only when a file is created: O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, and the bit of O_TMPFILE that
    /// O_DIRECTORY does not have. And O_ASYNC, which has an effect only where fcntl(2) switches it on.
    private static let onlyAtCreation: UInt32 =
        OpenFlag.FASYNC | OpenFlag.O_CREAT | OpenFlag.O_EXCL | OpenFlag.O_NOCTTY | OpenFlag.O_TRUNC | OpenFlag.O_TMPFILE & ~OpenFlag.O_DIRECTORY

    /// Opens a file by the name that the image has of it, with its flags and its position.
    ///
    /// Something else can have taken its name since the plan was made: a named pipe does not hold the restart up
    /// (O_NONBLOCK), and has no position.
    mutating func openAgain(
        _ program: inout Program, _ file: ImageOpenFile, _ identity: ImageFileIdentity, as number: UInt32
    ) {
        let request = holders.request(file, identity)
        var flags = file.flags & ~Self.onlyAtCreation
        let kind = identity.mode & FileMode.S_IFMT
        let isPathOnly = flags & OpenFlag.O_PATH != 0
        // O_TMPFILE, of a file that got a name later, has the bit of O_DIRECTORY.
        if kind == FileMode.S_IFDIR { flags |= OpenFlag.O_DIRECTORY } else { flags &= ~OpenFlag.O_DIRECTORY }
        if identity.removed {
            settle(&program, openRemoved(&program, identity, request.rights, flags: UInt64(flags)), as: number)
            return
        }
        let waits = kind == FileMode.S_IFREG && !isPathOnly && flags & OpenFlag.O_NONBLOCK == 0
        settle(&program, open(&program, request, flags: UInt64(waits ? flags | OpenFlag.O_NONBLOCK : flags)), as: number)
        if waits { program.call(.fcntl, [.number(number), .value(Fcntl.F_SETFL), .number(flags)]) }
        seek(&program, file, as: number, always: kind == FileMode.S_IFREG)
    }

    private func seek(_ program: inout Program, _ file: ImageOpenFile, as number: UInt32, always: Bool = false) {
        guard file.offset != 0 || always, file.flags & OpenFlag.O_PATH == 0 else { return }
        program.call(.lseek, [.number(number), .signed(file.offset), 0], check: .equals(file.offset), "file position")
    }

    /// Makes the prepared descriptor that of the program. Unlike one that is opened anew, that of a memfd does not count as a writer of
    /// the file, so the program in it can be executed, as before; and one that O_TMPFILE made still says so.
    private func takeOver(_ program: inout Program, _ file: ImageOpenFile, _ prepared: UInt32, as number: UInt32) {
        program.call(
            .dup3, [.number(prepared), .number(number), .value(Self.cloexec)], check: .equals(Int64(number)), note(file))
        let changeable = OpenFlag.O_APPEND | OpenFlag.O_NONBLOCK | OpenFlag.O_DIRECT | OpenFlag.O_NOATIME
        if file.flags & changeable != 0 {
            program.call(.fcntl, [.number(number), .value(Fcntl.F_SETFL), .number(file.flags & changeable)], "flags")
        }
        program.call(.lseek, [.number(number), .signed(file.offset), 0], check: .equals(file.offset), "file position")
    }

    /// By memory object: the first open file that can both read and write, as that of memfd_create(2) can, or that was made by
    /// O_TMPFILE.
    static func creators(_ image: CheckpointImage) -> [UInt32: UInt32] {
        let isUnlinked = Dictionary(image.memoryObjects.map { ($0.id, $0.unlinkedFile) }) { first, _ in first }
        let programs = Set(image.processes.lazy.map(\.executable.object))
        var creators: [UInt32: UInt32] = [:]
        for file in image.openFiles where file.flags & OpenFlag.O_ACCMODE == OpenFlag.O_RDWR && file.flags & OpenFlag.O_PATH == 0 {
            guard case .nameless(let state)? = file.object, creators[state.object] == nil, let isUnlinked = isUnlinked[state.object] else { continue }
            let isTemporary = file.flags & OpenFlag.O_TMPFILE == OpenFlag.O_TMPFILE && !programs.contains(state.object)
            if !isUnlinked || isTemporary { creators[state.object] = file.id }
        }
        return creators
    }

    /// Opens a memory object once more, through the descriptor at which it was prepared.
    mutating func openObject(_ program: inout Program, _ file: ImageOpenFile, _ object: UInt32, as number: UInt32) {
        if creators[object] == file.id { return takeOver(&program, file, preparedObject(object), as: number) }
        let path = objectPath(object)
        // O_NOFOLLOW would refuse this name, which is a link.
        var flags = file.flags & ~Self.onlyAtCreation & ~OpenFlag.O_NOFOLLOW
        // A file that was made by O_TMPFILE tells of O_DIRECTORY, which is a part of that flag.
        if file.flags & OpenFlag.O_TMPFILE == OpenFlag.O_TMPFILE { flags &= ~OpenFlag.O_DIRECTORY }
        open(&program, path, flags: UInt64(flags), as: number)
        seek(&program, file, as: number)
    }

    func objectPath(_ object: UInt32) -> [UInt8] { Array("/proc/self/fd/\(preparedObject(object))".utf8) }

    /// Where a memory object was prepared.
    private func preparedObject(_ object: UInt32) -> UInt32 { high.object(image.place(ofMemoryObject: object) ?? 0) }
}
