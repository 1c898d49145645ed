import CheckpointImage
import StepProgram

/// Files that are opened again by name, and memory objects, which `Prepare` has made already.
extension PlanBuilder {
    mutating func openNamedFile(_ program: inout Program, _ file: ImageOpenFile, as number: UInt32) {
        // Without what only matters when a file is made: O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, __O_TMPFILE.
        var flags = UInt64(file.flags) & ~0o1700 & ~0o20000000
        let path: [UInt8]
        if file.kind == .object {
            let place = image.memoryObjects.firstIndex { $0.id == file.object } ?? 0
            path = Array("/proc/self/fd/\(high.object(place))".utf8)
            flags &= ~0o400000  // O_NOFOLLOW: this name is a link
        } else {
            path = file.identity.path.asBytes
            if file.identity.mode & 0o170000 == 0o040000 { flags |= 0o200000 }
        }
        open(&program, path, flags: flags, as: number)
        if file.offset != 0 && flags & 0o10000000 == 0 {
            program.call(
                .lseek, [.number(number), .signed(file.offset), 0], check: .equals(file.offset), "file position")
        }
    }
}
