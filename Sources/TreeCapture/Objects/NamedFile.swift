internal import CheckpointImage
internal import Kernel

/// Regular files and directories: opened again by name, or saved with their contents where they have none.
extension Collector {
    func namedFile(_ file: inout ImageOpenFile, _ look: DescriptorLook) throws(SystemError) -> Bool {
        let status = look.status
        let target = look.target
        if status.linkCount > 0, let known = identity(of: target), known.status.isSameFile(as: status) {
            file.kind = .path
            file.identity = known.identity
            return true
        }
        if status.kind == .directory { return refuse(look, "the directory \(target) has been removed") }
        if status.linkCount > 0 && !target.hasPrefix("/memfd:") {
            return refuse(
                look, "the file \(target) cannot be found by its name any more", help: "it was moved; move it back")
        }
        file.kind = .object
        file.object = try object(
            at: "/proc/\(look.pid)/fd/\(look.number)",
            name: target.hasSuffix(" (deleted)") ? String(target.dropLast(10)) : target)
        return true
    }
}
