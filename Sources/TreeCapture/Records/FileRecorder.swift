internal import CheckpointImage
internal import Kernel
internal import LinuxABI

/// Makes the records of descriptor tables and open files. It knows nothing of single kinds: see ``DescriptorCaptures``.
struct FileRecorder {
    /// A descriptor that leads to an open file.
    struct Place {
        var process: HostPid
        /// Set where the table is that of a thread which does not share the process's.
        var thread: HostPid?
        var number: Int32
        /// File locks that are held through it, as `fdinfo` has them.
        var locks: [RawText]

        var name: String { "fd \(number)" + (thread.map { " of thread \($0)" } ?? "") }
    }

    let sight: TreeSight
    let numbers: TaskNumbers
    /// By open file: where it is.
    let places: [[Place]]
    /// Open files, file tables, and what open files share, such as pipes.
    var records = ImageRecords()
    private(set) var findings: [(pid: HostPid, object: String, refusal: Refusal)] = []
    private(set) var notices: [String] = []
    /// The open file that is being recorded, where it is one alone.
    private var current: Int?
    private let identities: FileIdentities
    /// Sockets by inode: the open file.
    let sockets: [UInt64: Int]
    /// Unix sockets, by inode, that a listening one of the tree has not accepted yet.
    let waiting: Set<UInt64>
    /// TCP connections.
    let connections: TCPEnds

    init(_ sight: TreeSight, _ identities: FileIdentities) {
        self.sight = sight
        numbers = TaskNumbers(sight)
        self.identities = identities
        sockets = Dictionary(
            sight.files.enumerated().filter { $0.element.status.kind == .socket }.map { ($0.element.status.inode, $0.offset) },
            uniquingKeysWith: { first, _ in first })
        waiting = Set(sight.files.flatMap { UnixSocket.waiting($0) })
        connections = TCPEnds(sight.files, Array(sight.files.indices))
        var owners: [Int: (process: HostPid, thread: HostPid?)] = [:]
        for (process, thread) in sight.threads where owners[thread.table] == nil {
            owners[thread.table] = (process.pid, thread.table == process.door.table ? nil : thread.tid)
        }
        var places = sight.files.map { _ in [Place]() }
        for (index, table) in sight.tables.enumerated() {
            guard let owner = owners[index + 1] else { continue }
            for descriptor in table.descriptors where places.indices.contains(descriptor.file - 1) {
                places[descriptor.file - 1].append(
                    Place(process: owner.process, thread: owner.thread, number: descriptor.number, locks: descriptor.locks))
            }
        }
        self.places = places
    }

    mutating func recordAll() {
        var saved: Set<Int> = []
        var external: Set<Int> = []
        for (index, file) in sight.files.enumerated() {
            current = index + 1
            defer { current = nil }
            if External.isNamed(file, sight.external ?? []) {
                var record = ImageOpenFile()
                record.id = UInt32(index + 1)
                record.flags = file.info.value.openFlags
                record.external = External.object(file)
                records.openFiles.append(record)
                saved.insert(index + 1)
                external.insert(index + 1)
                if places[index].contains(where: { !$0.locks.isEmpty }) { notice("locks on \(file.target.shown) are not in the image (--external)") }
                continue
            }
            switch captured(file, index + 1) {
            case .object(let object):
                var record = ImageOpenFile()
                record.id = UInt32(index + 1)
                record.flags = file.info.value.openFlags
                record.offset = Int64(bitPattern: file.info.value.position)
                record.object = object
                if let refusal = recordLocks(file, index + 1, in: &record) {
                    find(places[index], refusal)
                    continue
                }
                if let refusal = recordOwner(file, index + 1, in: &record) {
                    find(places[index], refusal)
                    continue
                }
                records.openFiles.append(record)
                saved.insert(index + 1)
            case .refused(let reason, let help): find(places[index], reason, help: help)
            case .found: break
            }
        }
        for kind in DescriptorCaptures.all { kind.finish(&self) }
        records.fileTables = sight.tables.enumerated().map { index, table in
            var record = ImageFileTable()
            record.id = UInt32(index + 1)
            record.descriptors = table.descriptors.filter { saved.contains($0.file) }.map { one in
                var descriptor = ImageDescriptor()
                descriptor.number = UInt32(one.number)
                descriptor.file = UInt32(one.file)
                descriptor.closeOnExec = one.isCloseOnExec
                return descriptor
            }
            record.locks = posixLocks(of: table, saved: saved.subtracting(external))
            return record
        }
    }

    private mutating func captured(_ file: OpenFileSight, _ id: Int) -> Captured {
        DescriptorCaptures.kind(of: file).record(file, id, &self)
    }

    /// The file that a descriptor leads to; nil where it has no name.
    func identity(of file: OpenFileSight) -> ImageFileIdentity? {
        guard file.isFoundByName || file.isRemoved, !file.target.bytes.isEmpty else { return nil }
        return identities.identity(
            of: PlaceSight(path: file.target, isDeleted: file.isRemoved, status: file.status), in: file.mountNamespace)
    }

    /// The file that a name leads to.
    func identity(ofName path: [UInt8], in mountNamespace: Int) -> ImageFileIdentity? { identities.identity(of: path, in: mountNamespace) }

    /// What the name of a file leads to now.
    func name(_ path: [UInt8]) -> NameSight? { identities.names[path] }

    mutating func find(_ places: some Sequence<Place>, _ reason: String, help: String = "", otherEnd: OtherEnd? = nil) {
        var refusal = Refusal(reason, help: help)
        refusal.otherEnd = otherEnd
        find(places, refusal)
    }

    /// One finding for one thing, however many descriptors lead to it.
    mutating func find(_ places: some Sequence<Place>, _ refusal: Refusal) {
        let all = Array(places)
        guard let first = all.first else { return }
        var refusal = refusal
        let processes = Set(all.map(\.process)).count
        if processes > 1 {
            refusal.reason += "; \(processes) processes have it open"
        } else if all.count > 1 {
            refusal.reason += "; also at " + all.dropFirst().prefix(8).map(\.name).joined(separator: ", ")
                + (all.count > 9 ? " and \(all.count - 9) more" : "")
        }
        if let current, let help = External.help(sight.files[current - 1], at: first.number) {
            refusal.help += (refusal.help.isEmpty ? "" : "; ") + help
        }
        findings.append((first.process, first.name, refusal))
    }

    mutating func notice(_ text: String) {
        if !notices.contains(text) { notices.append(text) }
    }
}

/// Files by name, as an image recognises them.
struct FileIdentities {
    let names: NameTable
    /// By place of the namespace in the sight: the id of its record.
    let namespaceIDs: [UInt32]
    /// By name: all but the namespace. Many processes map the same libraries.
    private let known: [ImageFileIdentity?]

    init(_ names: NameTable, _ namespaceIDs: [UInt32]) {
        self.names = names
        self.namespaceIDs = namespaceIDs
        known = names.all.map { name in
            guard let status = name.status else { return nil }
            var identity = Self.identity(name.path.bytes, status)
            if let build = name.buildID { identity.buildID = build.bytes.asData }
            if let contents = name.contents { identity.contents = contents }
            if let object = name.object { identity.copy = UInt32(object) }
            return identity
        }
    }

    /// - Parameter mountNamespace: the place of that in which the path was read.
    func identity(of path: [UInt8], in mountNamespace: Int) -> ImageFileIdentity? {
        guard let place = names.place(of: path), var identity = known[place] else { return nil }
        identity.mountNamespace = id(mountNamespace)
        return identity
    }

    /// Of a file that was seen itself, whatever its name leads to.
    func identity(of place: PlaceSight, in mountNamespace: Int) -> ImageFileIdentity {
        var identity = Self.identity(place.path.bytes, place.status)
        identity.mountNamespace = id(mountNamespace)
        if let name = names[place.path.bytes], let object = name.object, name.status?.isSameFile(as: place.status) == true {
            identity.copy = UInt32(object)
        }
        return identity
    }

    func id(_ namespace: Int) -> UInt32 { namespace > 0 ? namespaceIDs[namespace - 1] : 0 }

    private static func identity(_ path: [UInt8], _ status: FileStatus) -> ImageFileIdentity {
        var identity = ImageFileIdentity()
        identity.path = path.asData
        identity.device = status.device
        identity.inode = status.inode
        identity.size = UInt64(max(0, status.size))
        identity.modified = status.modificationTime
        identity.mode = status.mode
        return identity
    }
}
