import CheckpointImage
import LinuxABI
import StepProgram

/// Regular files and directories that are opened again by name.
enum NamedFilePlan: ObjectPlan {
    static func check(_ file: PlannedFile<ImageNamedFile>, _ host: ObjectHost, _ findings: inout HostFindings) {
        FileCheck(host.facts).checkOpen(file.state.identity, by: host.place(of: file.file), &findings)
    }

    static func make(_ bundle: [PlannedFile<ImageNamedFile>], _ program: inout Program, _ builder: inout PlanBuilder) {
        for file in bundle { builder.openAgain(&program, file.file, file.state.identity, as: file.number) }
    }
}

extension PlanBuilder {
    /// Flags that matter only when a file is created: O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, and the bit of O_TMPFILE that
    /// O_DIRECTORY does not have.
    private static let onlyAtCreation: UInt32 =
        OpenFlag.O_CREAT | OpenFlag.O_EXCL | OpenFlag.O_NOCTTY | OpenFlag.O_TRUNC | OpenFlag.O_TMPFILE & ~OpenFlag.O_DIRECTORY

    /// Opens a file by the name that the image has of it, with its flags and its position.
    mutating func openAgain(
        _ program: inout Program, _ file: ImageOpenFile, _ identity: ImageFileIdentity, as number: UInt32
    ) {
        var flags = file.flags & ~Self.onlyAtCreation
        if identity.mode & FileMode.S_IFMT == FileMode.S_IFDIR { flags |= OpenFlag.O_DIRECTORY }
        openAt(&program, file, identity.path.asBytes, flags: flags, as: number)
    }

    mutating func openAt(_ program: inout Program, _ file: ImageOpenFile, _ path: [UInt8], flags: UInt32, as number: UInt32) {
        open(&program, path, flags: UInt64(flags), as: number)
        if file.offset != 0 && flags & OpenFlag.O_PATH == 0 {
            program.call(
                .lseek, [.number(number), .signed(file.offset), 0], check: .equals(file.offset), "file position")
        }
    }

    /// Opens a memory object once more, through the descriptor at which it was prepared.
    mutating func openObject(_ program: inout Program, _ file: ImageOpenFile, _ object: UInt32, as number: UInt32) {
        let path = Array("/proc/self/fd/\(high.object(image.place(ofMemoryObject: object) ?? 0))".utf8)
        // O_NOFOLLOW would refuse this name, which is a link.
        openAt(&program, file, path, flags: file.flags & ~Self.onlyAtCreation & ~OpenFlag.O_NOFOLLOW, as: number)
    }
}
