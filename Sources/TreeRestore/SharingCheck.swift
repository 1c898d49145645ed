internal import CheckpointImage
internal import Kernel

/// Before the tree is released: do the same processes share things as at the checkpoint, and no others?
///
/// - Preconditions: the tasks are stopped, so what they have stays as it is.
struct SharingCheck {
    /// In the order of ``CheckpointImage/sharedNumbers(of:)``.
    private static let kinds: [(kind: SharedKind, name: String)] = [
        (.memory, "memory"), (.descriptorTable, "descriptors"), (.fileSystem, "directories"), (.signalActions, "signal actions"),
        (.semaphoreUndo, "semaphore operations to undo"), (.diskContext, "its disk context"),
    ]

    private let living: [ImageProcess]
    private let hostOf: [UInt32: Int32]
    /// By pid: what each process shares.
    private let numbers: [UInt32: [UInt32]]
    /// Threads with directories or descriptors that are not those of their process.
    private let strays: [(thread: ImageThread, kind: SharedKind, name: String)]

    /// - Parameter hostOf: by tid of the image, the number here.
    init(_ image: CheckpointImage, _ hostOf: [UInt32: Int32]) {
        living = image.processes.filter { $0.state != .zombie }
        numbers = Dictionary(living.map { ($0.pid, image.sharedNumbers(of: $0)) }) { first, _ in first }
        strays =
            image.threads.filter { image.ownDirectories(of: $0) != nil }.map { ($0, .fileSystem, "directories") }
            + image.threads.filter { image.ownFileTable(of: $0) != nil }.map { ($0, .descriptorTable, "descriptors") }
        self.hostOf = hostOf
    }

    private func id(_ kind: Int, of process: ImageProcess) -> UInt32 { numbers[process.pid]?[kind] ?? 0 }

    /// Threads that have what their process has, and should not.
    private func threadDifferences() -> [String] {
        strays.filter { thread, kind, _ in
            guard let own = hostOf[thread.tid], let leader = hostOf[thread.process] else { return true }
            return ((try? compare(kind, of: own, with: leader)) ?? .same) == .same
        }.map { "thread \($0.tid) has no \($2) of its own" }
    }

    /// What is not as it should be. Nothing is asked where nothing is shared.
    func differences() -> [String] { threadDifferences() + processDifferences() }

    private func processDifferences() -> [String] {
        let users = Self.kinds.indices.map { kind in
            Dictionary(grouping: living.filter { id(kind, of: $0) != 0 }) { id(kind, of: $0) }
        }
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
                for (number, kind) in Self.kinds.prefix(4).enumerated()
                where id(number, of: process) == 0 || id(number, of: process) != id(number, of: other) {
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
