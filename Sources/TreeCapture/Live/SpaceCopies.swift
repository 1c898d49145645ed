internal import Kernel
internal import LinuxABI

/// Copies of the address spaces of a tree, from which pages are written while the tree runs on.
///
/// What is taken is given back when this goes away: every copy is ended. If this process dies, the kernel ends them.
final class SpaceCopies {
    let mode: LiveMode
    /// By id of the space: the process that is its copy.
    private(set) var copies: [Int: HostPid] = [:]
    /// By id of the space: why it has no copy.
    private(set) var obstacles: [Int: Refusal] = [:]

    init(_ mode: LiveMode) { self.mode = mode }

    deinit { end() }

    var count: Int { copies.count }

    func add(_ copy: HostPid, of space: Int) { copies[space] = copy }
    func refuse(_ space: Int, _ refusal: Refusal) { obstacles[space] = refusal }

    /// Ends all copies.
    func end() {
        for copy in copies.values { MemoryCopy.end(copy.rawValue) }
        copies = [:]
    }

    /// Spaces whose copy was ended by something else, the kernel for instance where memory is short.
    func lost() -> [Int] {
        let lost = copies.filter { MemoryCopy.hasEnded($0.value.rawValue) }.keys.sorted()
        for space in lost { copies[space] = nil }
        return lost
    }

    /// What `--live=always` says of spaces that have no copy.
    func findings(_ sight: TreeSight) -> [Finding] {
        obstacles.sorted { $0.key < $1.key }.compactMap { space, refusal -> Finding? in
            guard let process = sight.processes.first(where: { $0.space == space }) else { return nil }
            return Finding(
                pid: process.pid, command: printable(process.stat.value.comm), object: "memory", reason: refusal.reason,
                help: refusal.help.isEmpty ? "--live=auto stops it while its pages are set aside" : refusal.help)
        }
    }

    /// What `--live=auto` says of them: one sentence for each reason.
    func notices(_ sight: TreeSight) -> [String] {
        SpaceRefusals.sentences(obstacles, sight).map { "pages of \($0.whom) were read while the tree stood still: it \($0.reason)" }
    }
}

/// Reasons that concern address spaces.
enum SpaceRefusals {
    /// Each reason once, with the first process that it concerns, and how many there are besides.
    static func sentences(_ refusals: [Int: Refusal], _ sight: TreeSight) -> [(whom: String, reason: String)] {
        var found: [(reason: String, first: String, others: Int)] = []
        for (space, refusal) in refusals.sorted(by: { $0.key < $1.key }) {
            guard let process = sight.processes.first(where: { $0.space == space }) else { continue }
            if let index = found.firstIndex(where: { $0.reason == refusal.reason }) {
                found[index].others += 1
            } else {
                found.append((refusal.reason, "\(process.pid) \(printable(process.stat.value.comm))", 0))
            }
        }
        return found.map { ($0.others == 0 ? $0.first : "\($0.first) (and \($0.others) more)", $0.reason) }
    }
}
