internal import CheckpointImage
internal import Kernel

/// Before the tree is released: do the same processes share things as at the checkpoint, and no others?
///
/// - Preconditions: the tasks are stopped, so what they have stays as it is.
struct SharingCheck {
    private static let kinds: [(kind: SharedKind, name: String, id: @Sendable (ImageProcess) -> UInt32)] = [
        (.memory, "memory", { $0.addressSpace }), (.descriptorTable, "descriptors", { $0.fileTable }),
        (.fileSystem, "directories", { $0.sharedDirectories }), (.signalActions, "signal actions", { $0.sharedActions }),
        (.semaphoreUndo, "semaphore operations to undo", { $0.sharedUndo }), (.diskContext, "its disk context", { $0.sharedDiskContext }),
    ]

    private let living: [ImageProcess]
    private let hostOf: [UInt32: Int32]
    /// With directories that are not those of their process.
    private let strays: [ImageThread]

    /// - Parameter hostOf: by tid of the image, the number here.
    init(_ image: CheckpointImage, _ hostOf: [UInt32: Int32]) {
        living = image.processes.filter { $0.state != .zombie }
        strays = image.threads.filter(\.hasOwnDirectories)
        self.hostOf = hostOf
    }

    /// Threads that have their process's directories, and should not.
    private func threadDifferences() -> [String] {
        strays.filter { thread in
            guard let own = hostOf[thread.tid], let leader = hostOf[thread.process] else { return true }
            return ((try? compare(.fileSystem, of: own, with: leader)) ?? .same) == .same
        }.map { "thread \($0.tid) has no directories of its own" }
    }

    /// What is not as it should be. Nothing is asked where nothing is shared.
    func differences() -> [String] { threadDifferences() + processDifferences() }

    private func processDifferences() -> [String] {
        let users = Self.kinds.map { kind in Dictionary(grouping: living.filter { kind.id($0) != 0 }, by: kind.id) }
        guard users.contains(where: { $0.contains { $0.value.count > 1 } }) else { return [] }
        var found: [String] = []
        for (number, kind) in Self.kinds.enumerated() {
            for group in users[number].values {
                for other in group.dropFirst() where !isSame(kind.kind, group[0], other) {
                    found.append("\(other.pid) does not share \(kind.name) with \(group[0].pid)")
                }
            }
        }
        // A process that shares too much does so with its parent or with a sibling.
        var lastChild: [UInt32: ImageProcess] = [:]
        let known = Dictionary(living.map { ($0.pid, $0) }) { first, _ in first }
        for process in living {
            for other in [known[process.parent], lastChild[process.parent]].compactMap({ $0 }) {
                // Undo lists and disk contexts are made when they are first needed: before that there is nothing to share.
                for kind in Self.kinds.prefix(4) where kind.id(process) == 0 || kind.id(process) != kind.id(other) {
                    if isSame(kind.kind, process, other) { found.append("\(process.pid) shares \(kind.name) with \(other.pid)") }
                }
            }
            lastChild[process.parent] = process
        }
        return found
    }

    private func isSame(_ kind: SharedKind, _ first: ImageProcess, _ second: ImageProcess) -> Bool {
        guard let one = hostOf[first.pid], let other = hostOf[second.pid] else { return false }
        return (try? compare(kind, of: one, with: other)) == .same
    }
}
