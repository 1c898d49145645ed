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
        /// A file lock is held through it.
        var holdsLock: Bool

        var name: String { "fd \(number)" + (thread.map { " of thread \($0)" } ?? "") }
    }

    let sight: TreeSight
    /// By open file: where it is.
    let places: [[Place]]
    /// Open files, file tables, and what open files share, such as pipes.
    var records = ImageRecords()
    private(set) var findings: [(pid: HostPid, object: String, refusal: Refusal)] = []
    private(set) var notices: [String] = []
    private let identities: FileIdentities

    init(_ sight: TreeSight, _ identities: FileIdentities) {
        self.sight = sight
        self.identities = identities
        var owners: [Int: (process: HostPid, thread: HostPid?)] = [:]
        for (process, thread) in sight.threads where owners[thread.table] == nil {
            owners[thread.table] = (process.pid, thread.table == process.door.table ? nil : thread.tid)
        }
        var places = sight.files.map { _ in [Place]() }
        for (index, table) in sight.tables.enumerated() {
            guard let owner = owners[index + 1] else { continue }
            for descriptor in table.descriptors where places.indices.contains(descriptor.file - 1) {
                places[descriptor.file - 1].append(
                    Place(
                        process: owner.process, thread: owner.thread, number: descriptor.number, holdsLock: !descriptor.locks.isEmpty))
            }
        }
        self.places = places
    }

    mutating func recordAll() {
        var saved: Set<Int> = []
        for (index, file) in sight.files.enumerated() {
            switch captured(file, index + 1) {
            case .object(let object):
                var record = ImageOpenFile()
                record.id = UInt32(index + 1)
                record.flags = file.info.value.openFlags
                record.offset = Int64(bitPattern: file.info.value.position)
                record.object = object
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
            return record
        }
    }

    private mutating func captured(_ file: OpenFileSight, _ id: Int) -> Captured {
        let locked = places[id - 1].filter(\.holdsLock)
        if !locked.isEmpty {
            find(locked, "holds a file lock on \(file.target.shown), which cannot be saved yet")
            return .found
        }
        if file.info.value.openFlags & OpenFlag.FASYNC != 0 {
            return .refused("sends signals (O_ASYNC) for \(file.target.shown), which cannot be saved yet")
        }
        return DescriptorCaptures.kind(of: file).record(file, id, &self)
    }

    /// The file that a descriptor leads to, by its name; nil where there is none.
    func identity(of file: OpenFileSight) -> ImageFileIdentity? {
        identities.identity(of: file.target.bytes, in: file.mountNamespace)
    }

    mutating func find(_ places: some Sequence<Place>, _ reason: String, help: String = "") {
        for place in places { findings.append((place.process, place.name, Refusal(reason, help: help))) }
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

    init(_ names: NameTable, _ namespaceIDs: [UInt32]) {
        self.names = names
        self.namespaceIDs = namespaceIDs
    }

    /// - Parameter mountNamespace: the place of that in which the path was read.
    func identity(of path: [UInt8], in mountNamespace: Int) -> ImageFileIdentity? {
        guard let name = names[path], let status = name.status else { return nil }
        var identity = Self.identity(path, status)
        identity.mountNamespace = id(mountNamespace)
        if let build = name.buildID { identity.buildID = build.bytes.asData }
        return identity
    }

    /// Of a file that was seen itself, whatever its name leads to.
    func identity(of place: PlaceSight, in mountNamespace: Int) -> ImageFileIdentity {
        var identity = Self.identity(place.path.bytes, place.status)
        identity.mountNamespace = id(mountNamespace)
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
