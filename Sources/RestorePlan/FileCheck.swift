import CheckpointImage
import LinuxABI

/// Checks that files which are opened by name exist on this host, and are the same as at the checkpoint.
struct FileCheck {
    private let facts: HostFacts
    private let options: FileOptions

    init(_ facts: HostFacts, _ options: FileOptions = FileOptions()) {
        self.facts = facts
        self.options = options
    }

    /// Checks a file that the program had open. It can have grown since.
    func checkOpen(_ identity: ImageFileIdentity, _ request: FileRequest, by place: String, _ findings: inout HostFindings) {
        if identity.removed { return checkRemoved(identity, request, by: place, &findings) }
        guard let file = find(identity, request, by: place, &findings), identity.mode & FileMode.S_IFMT == FileMode.S_IFREG,
            file.size < identity.size
        else { return }
        find(
            identity, "is shorter than at the checkpoint (\(file.size) of \(identity.size) bytes), needed by \(place)",
            help: "put the old file back; \(moveHelp(identity)); --files accept takes this one", &findings)
    }

    /// Says that a file which the program had open has grown, or was written to, since. If something was added behind the
    /// place at which the program goes on writing, it will overwrite that.
    func noteChange(_ identity: ImageFileIdentity, of open: ImageOpenFile, by place: String, _ findings: inout HostFindings) {
        guard identity.mode & FileMode.S_IFMT == FileMode.S_IFREG, open.flags & OpenFlag.O_PATH == 0,
            case .success(let file)? = facts.files[identity.path.asBytes], file.size >= identity.size
        else { return }
        if file.size == identity.size {
            guard file.modified != identity.modified else { return }
            return findings.note(
                identity.path.asText, "has another time than at the checkpoint and as many bytes: its contents may be others; \(place) goes on with it")
        }
        let grown = "has grown since the checkpoint (\(file.size) bytes, not \(identity.size)), and \(place)"
        guard FileRequest.access(open.flags).contains(.write) else { return findings.note(identity.path.asText, grown + " reads it") }
        // It is cut, or there is a finding: see `FileCut`.
        if options.changed == .rollback { return }
        let rollback = "--files rollback cuts it off and keeps it beside the file"
        guard open.offset == Int64(clamping: identity.size), identity.size > 0, open.flags & OpenFlag.O_APPEND == 0 else {
            return findings.note(identity.path.asText, grown + " writes to it", help: rollback)
        }
        findings.note(
            identity.path.asText, grown + " writes on at byte \(open.offset), over what was added",
            help: rollback + "; by hand: truncate -s \(identity.size), a copy keeps it")
    }

    /// Checks a mapped program or library. It must be the same build, because the program's memory refers to its code.
    func checkMapped(_ identity: ImageFileIdentity, _ request: FileRequest, by place: String, _ findings: inout HostFindings) {
        guard let file = find(identity, request, by: place, &findings), let difference = difference(file, identity) else { return }
        find(
            identity, "has changed since the checkpoint, and \(place) has it mapped: \(difference)",
            help: "put the old file back; \(moveHelp(identity)); --files accept takes this one", &findings)
    }

    /// How a mapped file differs from that of the checkpoint; nil: it is the same.
    private func difference(_ file: HostFacts.File, _ identity: ImageFileIdentity) -> String? {
        if file.size < identity.size { return "it is shorter (\(file.size) of \(identity.size) bytes)" }
        if file.size > identity.size { return "it has grown (\(file.size) bytes, not \(identity.size))" }
        if file.modified == identity.modified || hasSameContents(file, identity) { return nil }
        let isKnown = !identity.buildID.isEmpty && !file.buildID.isEmpty || identity.hasContents && file.contents != nil
        return isKnown ? "it has other contents" : "it has another time, and nothing tells whether the contents are the same"
    }

    /// What to type where a file is elsewhere now: with the path that it has in the image.
    private func moveHelp(_ identity: ImageFileIdentity) -> String {
        "--path \(printable(options.moves.original(identity.path.asBytes)))=FILE names it where it is elsewhere"
    }

    /// Refuses a file that has changed, or says that it is taken as it is.
    private func find(_ identity: ImageFileIdentity, _ reason: String, help: String, _ findings: inout HostFindings) {
        if options.changed == .accept {
            findings.note(identity.path.asText, reason + "; it is taken as it is", help: "--files accept")
        } else {
            findings.find(identity.path.asText, reason, help: help)
        }
    }

    private func hasSameContents(_ file: HostFacts.File, _ identity: ImageFileIdentity) -> Bool {
        if !identity.buildID.isEmpty { return identity.buildID.asBytes == file.buildID }
        return identity.hasContents && identity.contents == file.contents
    }

    /// Checks a working or root directory.
    func checkDirectory(_ identity: ImageFileIdentity, _ request: FileRequest, by place: String, _ findings: inout HostFindings) {
        if identity.removed { return checkRemoved(identity, request, by: place, &findings) }
        let place = "the directory that \(place) is in"
        switch facts.files[identity.path.asBytes] {
        case nil: return
        case .failure(let missing)?:
            findings.find(identity.path.asText, "\(missing.errno), \(place)", help: missing.isRefusal ? missing.help : "make it again, or \(moveHelp(identity))")
        case .success(let file)?:
            if file.mode & FileMode.S_IFMT != FileMode.S_IFDIR {
                findings.find(identity.path.asText, "ENOTDIR, \(place)", help: "make it again, or \(moveHelp(identity))")
            } else {
                checkDoor(identity, request, by: place, &findings)
            }
        }
    }

    private func checkRemoved(
        _ identity: ImageFileIdentity, _ request: FileRequest, by place: String, _ findings: inout HostFindings
    ) {
        if RemovedDirectory.place(of: identity, request.rights, facts) != nil { return }
        findings.find(
            identity.path.asText, "was removed before the checkpoint, and \(place) has it; such a directory can be made nowhere here",
            help: "let user \(request.rights.user) make directories in /tmp")
    }

    /// The file on this host, if it is of the same kind and can be opened. Nil where it is not (then there is a finding), or
    /// where the host was not asked about it.
    private func find(
        _ identity: ImageFileIdentity, _ request: FileRequest, by place: String, _ findings: inout HostFindings
    ) -> HostFacts.File? {
        switch facts.files[identity.path.asBytes] {
        case nil: return nil
        case .failure(let missing)?:
            findings.find(identity.path.asText, "\(missing.errno), needed by \(place)", help: missing.isRefusal ? missing.help : missing.help + ", or " + moveHelp(identity))
            return nil
        case .success(let file)?:
            if file.mode & FileMode.S_IFMT != identity.mode & FileMode.S_IFMT {
                findings.find(identity.path.asText, "is another kind of file than at the checkpoint, needed by \(place)",
                    help: "put the old file back, or \(moveHelp(identity))")
                return nil
            }
            return checkDoor(identity, request, by: "needed by \(place)", &findings) ? file : nil
        }
    }

    /// Whether it can be opened without more rights than those who had it.
    @discardableResult
    private func checkDoor(
        _ identity: ImageFileIdentity, _ request: FileRequest, by place: String, _ findings: inout HostFindings
    ) -> Bool {
        guard case .refused(let errno) = facts.door(request) else { return true }
        if errno == "ELOOP" {
            findings.find(
                identity.path.asText, "is reached through a symbolic link, which was not there at the checkpoint, \(place)",
                help: "put the file itself there, or mount its directory there (mount --bind)")
            return false
        }
        findings.find(
            identity.path.asText,
            "\(errno) for user \(request.rights.user), \(place); it is another file than at the checkpoint, which crrestart opens with that user's rights only",
            help: "put the old file back, or let that user open this one")
        return false
    }

    /// Checks all files of the image except open files, which the plans of their kinds check.
    func check(_ image: CheckpointImage, _ findings: inout HostFindings) {
        let holders = FileHolders(image, facts)
        var mapped = MappedFiles()
        for process in image.processes where process.state != .zombie {
            let place = "\(process.pid) \(process.command.asText)"
            if process.executable.object == 0 {
                checkMapped(process.executable, holders.request(programOf: process), by: place, &findings)
            }
            let rights = holders.rights(ofSpace: image.spaceID(of: process))
            for mapping in image.addressSpace(of: process)?.mappings ?? [] where mapping.kind == .file {
                let known = mapped.requests.count
                let number = mapped.number(of: mapping, rights)
                guard number == known else { continue }
                let request = mapped.requests[number]
                // The file of a shared mapping can have grown and changed since, like an open file.
                if mapping.shared {
                    checkOpen(mapping.file, request, by: place, &findings)
                } else {
                    checkMapped(mapping.file, request, by: place, &findings)
                }
            }
            guard let directories = image.directories(of: process) else { continue }
            checkDirectory(directories.working, holders.request(directories.working, of: directories), by: place, &findings)
            checkDirectory(directories.root, holders.request(directories.root, of: directories), by: place, &findings)
        }
        for thread in image.threads {
            guard let own = image.ownDirectories(of: thread) else { continue }
            checkDirectory(own.working, holders.request(own.working, of: own), by: "thread \(thread.tid)", &findings)
        }
    }
}
