package import CheckpointImage
internal import LinuxABI

/// By which rights a task reaches files: what the kernel looks at when a path is followed and a file is opened.
///
/// - Source: path_resolution(7); capabilities(7).
package struct FileRights: Hashable, Sendable {
    package var user: UInt32
    package var group: UInt32
    package var groups: [UInt32]
    /// The effective capabilities, without ``kept``.
    package var capabilities: UInt64

    /// Capabilities that a task keeps while it has the rights of another user: it needs them to get its own back. They open no file.
    package static let kept = Capability.set(Capability.CAP_SETUID, Capability.CAP_SETGID)

    package init(_ credentials: ImageCredentials) {
        user = credentials.fileSystemUser
        group = credentials.fileSystemGroup
        groups = credentials.groups
        capabilities = credentials.effective & ~Self.kept
    }
}

/// Something that is opened by its name, and for whom.
package struct FileRequest: Hashable, Sendable {
    /// Bits of access(2).
    package struct Access: OptionSet, Hashable, Sendable {
        package let rawValue: Int
        package init(rawValue: Int) { self.rawValue = rawValue }

        package static let execute = Access(rawValue: 1)
        package static let write = Access(rawValue: 2)
        package static let read = Access(rawValue: 4)
    }

    package var path: [UInt8]
    package var access: Access
    package var rights: FileRights
    /// The path names a symbolic link, which is not followed.
    package var isLink = false
    /// The file of the checkpoint. Two requests for one path can want different files.
    package var device: UInt64
    package var inode: UInt64

    init(_ identity: ImageFileIdentity, _ access: Access, _ rights: FileRights) {
        path = identity.path.asBytes
        self.access = access
        self.rights = rights
        isLink = Self.isLink(identity)
        device = identity.device
        inode = identity.inode
    }

    init(_ path: [UInt8], _ access: Access, _ rights: FileRights) {
        self.path = path
        self.access = access
        self.rights = rights
        device = 0
        inode = 0
    }

    static func isLink(_ identity: ImageFileIdentity) -> Bool { identity.mode & FileMode.S_IFMT == FileMode.S_IFLNK }

    /// What open(2) with these flags asks for. O_PATH asks for nothing; O_ACCMODE 3 (for ioctl only) asks for both.
    static func access(_ flags: UInt32) -> Access {
        if flags & OpenFlag.O_PATH != 0 { return [] }
        return switch flags & OpenFlag.O_ACCMODE {
        case OpenFlag.O_RDONLY: .read
        case OpenFlag.O_WRONLY: .write
        default: [.read, .write]
        }
    }
}

/// How a file is opened, so that root's restart of an ordinary user's image opens nothing that this user could not.
enum FileDoor: Equatable {
    /// With the rights of the task that holds it, and no symbolic link is followed: there was none in the path at the checkpoint.
    case asHolder
    /// With the rights of crrestart, after a look has shown that it is the file of the checkpoint, by device and inode.
    case asIdentified
    /// Neither is possible.
    case refused(errno: String)
}

extension HostFacts {
    /// Whether crrestart can take the rights of other users. Otherwise it opens everything with its own.
    var mayTakeRights: Bool { ownCredentials.effective & FileRights.kept == FileRights.kept }

    func door(_ request: FileRequest) -> FileDoor {
        let refusal = refusals[request]
        // What is below /proc is another file in each pid namespace.
        let isBelowProc = request.path.starts(with: "/proc/".utf8)
        if refusal == nil, isInOwnUserNamespace || isBelowProc || request.rights == FileRights(ownCredentials) { return .asHolder }
        if request.inode != 0, case .success(let file)? = files[request.path], file.inode == request.inode, file.device == request.device {
            return .asIdentified
        }
        return refusal.map { .refused(errno: $0) } ?? .asHolder
    }
}

/// For each thing that is opened by its name: the rights with which that is done.
///
/// They are those of the first task of the tree that has it: parents come before children, and what a program inherits was
/// opened by one of its parents.
struct FileHolders {
    private var ofFile: [UInt32: FileRights] = [:]
    private var ofSpace: [UInt32: FileRights] = [:]
    private var ofDirectories: [UInt32: FileRights] = [:]
    private var ofProcess: [UInt32: FileRights] = [:]
    private let root: FileRights

    init(_ image: CheckpointImage, _ facts: HostFacts) {
        let own = FileRights(facts.ownCredentials)
        root = image.processes.first.flatMap { Self.rights(of: $0, image) }.map { facts.mayTakeRights ? $0 : own } ?? own
        for process in image.processes where process.state != .zombie {
            let rights = facts.mayTakeRights ? Self.rights(of: process, image) ?? own : own
            ofProcess[process.pid] = rights
            for thread in image.threads(of: process.pid) {
                if ofSpace[thread.addressSpace] == nil { ofSpace[thread.addressSpace] = rights }
                if ofDirectories[thread.directories] == nil { ofDirectories[thread.directories] = rights }
            }
            for table in Self.tables(of: process, image) {
                for descriptor in image.fileTable(table)?.descriptors ?? [] where ofFile[descriptor.file] == nil {
                    ofFile[descriptor.file] = rights
                }
            }
        }
    }

    /// Of its first living thread: an image tells nothing of one that has exited.
    private static func rights(of process: ImageProcess, _ image: CheckpointImage) -> FileRights? {
        image.threads(of: process.pid).first { !$0.hasExited_p }.map { FileRights($0.credentials) }
    }

    private static func tables(of process: ImageProcess, _ image: CheckpointImage) -> [UInt32] {
        var seen: Set<UInt32> = []
        return image.threads(of: process.pid).map(\.fileTable).filter { seen.insert($0).inserted }
    }

    func rights(of file: ImageOpenFile) -> FileRights { ofFile[file.id] ?? root }
    func rights(ofSpace id: UInt32) -> FileRights { ofSpace[id] ?? root }
    func rights(ofDirectories id: UInt32) -> FileRights { ofDirectories[id] ?? root }

    func request(_ file: ImageOpenFile, _ identity: ImageFileIdentity) -> FileRequest {
        FileRequest(identity, FileRequest.access(file.flags), rights(of: file))
    }

    func request(_ mapping: ImageMapping, ofSpace id: UInt32) -> FileRequest {
        FileRequest(mapping.file, mapping.isWrittenToFile ? [.read, .write] : .read, rights(ofSpace: id))
    }

    func request(programOf process: ImageProcess) -> FileRequest {
        FileRequest(process.executable, [.read, .execute], ofProcess[process.pid] ?? root)
    }

    func request(_ directory: ImageFileIdentity, of directories: ImageDirectories) -> FileRequest {
        FileRequest(directory, .execute, rights(ofDirectories: directories.id))
    }
}

extension HostFacts {
    /// Everything that the image wants opened by name.
    package func requests(of image: CheckpointImage) -> Set<FileRequest> {
        let holders = FileHolders(image, self)
        var requests: Set<FileRequest> = []
        for process in image.processes where process.state != .zombie && process.executable.object == 0 {
            requests.insert(holders.request(programOf: process))
        }
        func want(_ identity: ImageFileIdentity, _ request: FileRequest) {
            if identity.removed {
                for place in RemovedDirectory.places(of: identity) { requests.insert(RemovedDirectory.request(place, request.rights)) }
            } else {
                requests.insert(request)
            }
        }
        for directories in image.directories {
            for one in [directories.working, directories.root] { want(one, holders.request(one, of: directories)) }
        }
        var mapped = MappedFiles()
        for space in image.addressSpaces {
            let rights = holders.rights(ofSpace: space.id)
            for mapping in space.mappings where mapping.kind == .file { _ = mapped.number(of: mapping, rights) }
        }
        requests.formUnion(mapped.requests)
        for file in image.openFiles {
            if case .unix(let socket)? = file.object { requests.formUnion(socket.requests(holders.rights(of: file))) }
            if case .external(let one)? = file.object, let request = ExternalConnection.request(one, holders.rights(of: file)) { requests.insert(request) }
            for identity in file.saved?.namedFiles ?? [] { want(identity, holders.request(file, identity)) }
        }
        return requests
    }
}
