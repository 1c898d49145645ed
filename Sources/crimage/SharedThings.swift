internal import CheckpointImage

/// Kernel objects that processes share by flags of clone(2), as text.
struct SharedThings {
    private static let kinds: [(name: String, id: @Sendable (ImageProcess) -> UInt32)] = [
        ("memory", \.addressSpace), ("descriptors", \.fileTable), ("directories", \.sharedDirectories),
        ("signal actions", \.sharedActions), ("semaphore undo", \.sharedUndo), ("disk priority", \.sharedDiskContext),
    ]

    /// For each kind: its users by id, in the order of the image.
    private var users: [[UInt32: [UInt32]]] = []

    init(_ image: CheckpointImage) {
        let living = image.processes.filter { $0.state != .zombie }
        for kind in Self.kinds {
            users.append(Dictionary(grouping: living.filter { kind.id($0) != 0 }, by: kind.id).mapValues { $0.map(\.pid) })
        }
    }

    /// E.g. `memory, descriptors with 12`; empty if the process shares nothing.
    func words(of process: ImageProcess) -> [String] {
        guard process.state != .zombie else { return [] }
        var namesByOthers: [(others: [UInt32], names: [String])] = []
        for (number, kind) in Self.kinds.enumerated() {
            let others = (users[number][kind.id(process)] ?? []).filter { $0 != process.pid }
            guard !others.isEmpty else { continue }
            if let known = namesByOthers.firstIndex(where: { $0.others == others }) {
                namesByOthers[known].names.append(kind.name)
            } else {
                namesByOthers.append((others, [kind.name]))
            }
        }
        return namesByOthers.map { others, names in
            let some = others.prefix(4).map(String.init).joined(separator: ", ") + (others.count > 4 ? " and \(others.count - 4) others" : "")
            return names.joined(separator: ", ") + " with " + some
        }
    }
}
