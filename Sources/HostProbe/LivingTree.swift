internal import RestorePlan

/// A tree that still lives while it is asked whether it could be restarted when it has ended. What it holds counts as free:
/// its numbers, and what `/proc` shows of it as gone.
package struct LivingTree: Sendable {
    /// Pids and tids as seen from this process, zombies among them.
    package var tasks: Set<Int32>

    package init(tasks: Set<Int32>) { self.tasks = tasks }

    /// Whether a path leads to what `/proc` shows of one of its tasks.
    func shows(_ path: [UInt8]) -> Bool {
        let parts = path.split(separator: UInt8(ascii: "/"), maxSplits: 2)
        guard parts.count > 1, parts[0].elementsEqual("proc".utf8) else { return false }
        return Int32(String(decoding: parts[1], as: UTF8.self)).map(tasks.contains) ?? false
    }
}

extension HostFacts {
    /// The facts as they are when a tree has ended that has not ended yet.
    mutating func foresee(endOf tree: LivingTree) {
        for path in files.keys where tree.shows(path) { files[path] = .failure(MissingFile(errno: "ENOENT")) }
        // Which descriptors crrestart will have is its user's choice.
        (terminal, terminalOpensAnew) = (0, true)
        watchable = [true, true, true, true]
    }
}
