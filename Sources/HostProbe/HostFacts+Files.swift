internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

extension HostFacts {
    /// The files that the tree needs: as they are here, and whether they can be opened as they were, by crrestart and by those
    /// who had them.
    ///
    /// - Precondition: what crrestart itself may is known.
    mutating func probeFiles(of image: CheckpointImage, _ options: FileOptions) {
        let requests = requests(of: image)
        var wanted: [[UInt8]: FileRequest] = [:]
        for request in requests {
            if wanted[request.path] == nil { wanted[request.path] = request } else { wanted[request.path]?.access.formUnion(request.access) }
        }
        let checksums = Self.filesWithChecksum(image)
        let outputs = options.changed == .rollback ? Self.outputFiles(image) : [:]
        for (path, request) in wanted {
            do throws(SystemError) {
                let status = try FileStatus(of: path, followingLinks: !request.isLink)
                if let refusal = FileAccess(rawValue: request.access.rawValue).refusal(of: path) { throw refusal }
                let isRegular = status.kind == .regular
                var file = File(
                    size: UInt64(max(0, status.size)), modified: status.modificationTime, mode: status.mode,
                    buildID: isRegular ? ((try? BuildID.read(from: path)) ?? nil) ?? [] : [])
                file.device = status.device
                file.inode = status.inode
                if let there = checksums[path], isRegular, file.size == there.size, file.modified != there.modified {
                    file.contents = try? FileContents.checksum(of: path)
                }
                if let size = outputs[path], isRegular, file.size > size { file.ends = Self.ends(of: path, size: size) }
                files[path] = .success(file)
            } catch {
                files[path] = .failure(MissingFile(errno: error.name))
            }
        }
        probeRefusals(requests.union(fifoRequests(of: image)))
    }

    /// Looks at this host as a task with `rights` would.
    func run(_ look: () -> Void, with rights: FileRights) throws(SystemError) {
        if rights == FileRights(ownCredentials) { return look() }
        let kept = ownCredentials.effective & FileRights.kept
        let borrowed = BorrowedRights(
            user: rights.user, group: rights.group, groups: rights.groups, effective: (rights.capabilities | kept) & ownCredentials.permitted)
        try borrowed.use(look)
    }

    /// What the holders of the files may, asked with their rights.
    private mutating func probeRefusals(_ requests: Set<FileRequest>) {
        for (rights, requests) in Dictionary(grouping: requests, by: \.rights) {
            var found: [FileRequest: String] = [:]
            func look() {
                for request in requests {
                    let access = FileAccess(rawValue: request.access.rawValue)
                    if let refusal = access.refusalWithoutLinks(of: request.path, isLink: request.isLink) { found[request] = refusal.name }
                }
            }
            do throws(SystemError) { try run(look, with: rights) } catch {
                for request in requests { found[request] = error.name }
            }
            refusals.merge(found) { first, _ in first }
        }
    }

    /// Files of which the image tells how they began and ended, with their sizes.
    private static func outputFiles(_ image: CheckpointImage) -> [[UInt8]: UInt64] {
        var found: [[UInt8]: UInt64] = [:]
        for file in image.openFiles {
            if case .named(let named)? = file.object, named.hasContents { found[named.identity.path.asBytes] = named.identity.size }
        }
        return found
    }

    private static func ends(of path: [UInt8], size: UInt64) -> ImageFileEnds? {
        guard let file = try? Descriptor.openWithoutLinks(path, OpenFlag.O_RDONLY | OpenFlag.O_NONBLOCK),
            let ends = try? FileContents.ends(of: file, size: size)
        else { return nil }
        return ImageFileEnds(ends)
    }

    /// Mapped files that the image recognises by their contents.
    private static func filesWithChecksum(_ image: CheckpointImage) -> [[UInt8]: ImageFileIdentity] {
        var found: [[UInt8]: ImageFileIdentity] = [:]
        for space in image.addressSpaces {
            for mapping in space.mappings where mapping.kind == .file && mapping.file.hasContents {
                found[mapping.file.path.asBytes] = mapping.file
            }
        }
        return found
    }
}

extension ImageFileEnds {
    package init(_ ends: (head: UInt32, tail: UInt32)) {
        self.init()
        head = ends.head
        tail = ends.tail
    }
}
