internal import CheckpointImage

/// What processes have in common by clone(2), in words.
struct SharedThings {
    /// In the order of ``CheckpointImage/sharedNumbers(of:)``.
    private static let kinds = ["memory", "descriptors", "directories", "signal actions", "semaphore undo", "disk priority"]

    /// By kind and number: the users, in the order of the image.
    private var users: [[UInt32: [UInt32]]] = kinds.map { _ in [:] }
    private let image: CheckpointImage

    init(_ image: CheckpointImage) {
        self.image = image
        for process in image.processes {
            for (kind, number) in image.sharedNumbers(of: process).enumerated() where number != 0 {
                users[kind][number, default: []].append(process.pid)
            }
        }
    }

    /// E.g. `memory, descriptors with 12`; nothing where it shares nothing.
    func words(of process: ImageProcess) -> [String] {
        guard process.state != .zombie else { return [] }
        var namesByOthers: [(others: [UInt32], names: [String])] = []
        for (kind, number) in image.sharedNumbers(of: process).enumerated() {
            let others = (users[kind][number] ?? []).filter { $0 != process.pid }
            guard !others.isEmpty else { continue }
            if let known = namesByOthers.firstIndex(where: { $0.others == others }) {
                namesByOthers[known].names.append(Self.kinds[kind])
            } else {
                namesByOthers.append((others, [Self.kinds[kind]]))
            }
        }
        return namesByOthers.map { others, names in
            let some = others.prefix(4).map(String.init).joined(separator: ", ") + (others.count > 4 ? " and \(others.count - 4) others" : "")
            return names.joined(separator: ", ") + " with " + some
        }
    }
}
