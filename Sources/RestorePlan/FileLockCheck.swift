package import CheckpointImage

/// A lock that a process of this host has on a file of the image.
package struct HeldLock: Sendable, Equatable {
    package enum Kind: Sendable { case flock, range, lease }

    package var kind: Kind
    package var isWrite: Bool
    package var start: UInt64
    /// The last byte; the largest number where there is no end.
    package var last: UInt64
    /// In words, e.g. `4711 dpkg`.
    package var holder: String

    package init(kind: Kind, isWrite: Bool, start: UInt64 = 0, last: UInt64 = .max, holder: String) {
        self.kind = kind
        self.isWrite = isWrite
        self.start = start
        self.last = last
        self.holder = holder
    }

    /// As that of another process it would look like this.
    package init(_ lock: ImageFileLock) {
        self.init(
            kind: lock.kind == .flock ? .flock : lock.kind == .lease ? .lease : .range, isWrite: lock.write, start: lock.start, last: lock.last,
            holder: "")
    }

    /// Whether the two cannot be held at once.
    func excludes(_ other: HeldLock) -> Bool {
        kind == other.kind && (isWrite || other.isWrite) && start <= other.last && other.start <= last
    }
}

/// The locks of the image, each with the file by whose name the host knows it.
package struct ImageLocks {
    package var all: [(path: [UInt8], lock: ImageFileLock, place: String)] = []

    package init(_ image: CheckpointImage) {
        for file in image.openFiles {
            for lock in file.locks { add(lock, on: file, image) }
        }
        for table in image.fileTables {
            for lock in table.locks { if let file = image.openFile(lock.file) { add(lock, on: file, image) } }
        }
    }

    private mutating func add(_ lock: ImageFileLock, on file: ImageOpenFile, _ image: CheckpointImage) {
        guard let identity = file.saved?.namedFile, !identity.removed else { return }
        let place = image.firstDescriptor(of: file.id).map { "fd \($0.number)" } ?? "open file \(file.id)"
        all.append((identity.path.asBytes, lock, place))
    }

    /// Finds locks of other programs that stand in the way.
    func check(_ facts: HostFacts, _ findings: inout HostFindings) {
        for (path, lock, place) in all {
            let wanted = HeldLock(lock)
            guard let other = facts.locks[path]?.first(where: { $0.excludes(wanted) }) else { continue }
            findings.find(
                path.asData.asText, "is locked by \(other.holder), and \(place) had \(lock.words) on it",
                help: "end that program, or let it unlock the file")
        }
    }
}
