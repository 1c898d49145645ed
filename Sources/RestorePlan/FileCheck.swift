import CheckpointImage
import LinuxABI

/// Checks that files which are opened by name exist on this host, and are the same as at the checkpoint.
struct FileCheck {
    private let facts: HostFacts

    init(_ facts: HostFacts) { self.facts = facts }

    /// Checks a file that the program had open. It can have grown since.
    func checkOpen(_ identity: ImageFileIdentity, by place: String, _ findings: inout HostFindings) {
        guard let file = find(identity, by: place, &findings) else { return }
        if identity.mode & FileMode.S_IFMT == FileMode.S_IFREG && file.size < identity.size {
            findings.find(
                identity.path.asText, "is shorter than at the checkpoint (\(file.size) of \(identity.size) bytes), needed by \(place)",
                help: "put the old file back")
        }
    }

    /// Checks a mapped program or library. It must be the same build, because the program's memory refers to its code.
    func checkMapped(_ identity: ImageFileIdentity, by place: String, _ findings: inout HostFindings) {
        guard let file = find(identity, by: place, &findings) else { return }
        let isSameBuild = !identity.buildID.isEmpty && identity.buildID.asBytes == file.buildID
        let isSame = file.size == identity.size && file.modified == identity.modified
        if !isSame && !(isSameBuild && file.size == identity.size) {
            findings.find(
                identity.path.asText, "has changed since the checkpoint, and \(place) has it mapped", help: "put the old file back")
        }
    }

    /// Checks a working or root directory.
    func checkDirectory(_ identity: ImageFileIdentity, by place: String, _ findings: inout HostFindings) {
        guard case .failure(let missing)? = facts.files[identity.path.asBytes] else { return }
        findings.find(
            identity.path.asText, "\(missing.errno), the directory that \(place) is in",
            help: missing.isRefusal ? missing.help : "make it again")
    }

    /// The file on this host, if it is of the same kind. Nil where it is not (then there is a finding), or where the host
    /// was not asked about it.
    private func find(_ identity: ImageFileIdentity, by place: String, _ findings: inout HostFindings) -> HostFacts.File? {
        switch facts.files[identity.path.asBytes] {
        case nil: return nil
        case .failure(let missing)?:
            findings.find(identity.path.asText, "\(missing.errno), needed by \(place)", help: missing.help)
            return nil
        case .success(let file)?:
            if file.mode & FileMode.S_IFMT == identity.mode & FileMode.S_IFMT { return file }
            findings.find(identity.path.asText, "is another kind of file than at the checkpoint", help: "needed by \(place)")
            return nil
        }
    }

    /// Checks all files of the image except open files, which the plans of their kinds check.
    func check(_ image: CheckpointImage, _ findings: inout HostFindings) {
        var seen: Set<[UInt8]> = []
        for process in image.processes where process.state != .zombie {
            let place = "\(process.pid) \(process.command.asText)"
            checkMapped(process.executable, by: place, &findings)
            for mapping in image.addressSpace(of: process)?.mappings ?? [] where mapping.kind == .file {
                guard seen.insert(mapping.file.path.asBytes).inserted else { continue }
                // The file of a shared mapping can have grown and changed since, like an open file.
                if mapping.shared {
                    checkOpen(mapping.file, by: place, &findings)
                } else {
                    checkMapped(mapping.file, by: place, &findings)
                }
            }
            guard let directories = image.directories(of: process) else { continue }
            checkDirectory(directories.working, by: place, &findings)
            checkDirectory(directories.root, by: place, &findings)
        }
        for thread in image.threads {
            guard let own = image.ownDirectories(of: thread) else { continue }
            checkDirectory(own.working, by: "thread \(thread.tid)", &findings)
        }
    }
}
