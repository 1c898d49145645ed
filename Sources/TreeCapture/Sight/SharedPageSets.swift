internal import Kernel

/// Sorts pages that spaces share copy-on-write into sets that a restart can load in one process and hand on by forks.
///
/// A set belongs to the lowest common ancestor of the processes that share its pages. A page of which several versions are
/// shared below the same ancestor is in several sets.
struct SharedPageSets {
    private struct Key: Hashable {
        var ancestor: Int
        var layer: Int
    }

    private struct Growing {
        var key: Key
        var set = MemorySight.SharedSet()
        /// By space: its place among the holders.
        var places: [Int: Int] = [:]
        var fields = 0
        /// Pages that need not be saved again.
        var spared: UInt64 = 0
    }

    /// A set that spares less is not worth its own section of the image and steps of the restart.
    private static let fewestSpared: UInt64 = 16
    /// Numbers in one record, far below what a reader accepts.
    private static let mostFields = 1 << 19

    /// By process: its parent and depth in the tree.
    private var parent: [Int?]
    private var depth: [Int]
    /// By space: the first process with it.
    private var process: [Int]
    private var sets: [Growing] = []
    private var current: [Key: Int] = [:]

    init(_ sight: TreeSight) {
        var place: [HostPid: Int] = [:]
        for (index, one) in sight.processes.enumerated() { place[one.pid] = index }
        parent = sight.processes.map { place[HostPid($0.stat.value.parent)] }
        depth = []
        // Parents need not come first in every sight.
        for index in sight.processes.indices {
            var steps = 0
            var at = index
            while let up = parent[at], steps <= sight.processes.count { (at, steps) = (up, steps + 1) }
            depth.append(steps)
        }
        process = [Int](repeating: 0, count: sight.spaces.count)
        for (index, one) in sight.processes.enumerated().reversed() where process.indices.contains(one.space - 1) {
            process[one.space - 1] = index
        }
    }

    private func commonAncestor(_ first: Int, _ second: Int) -> Int {
        var (one, other) = (first, second)
        while one != other {
            if depth[one] < depth[other] { swap(&one, &other) }
            guard let up = parent[one] else { return one }
            one = up
        }
        return one
    }

    /// - Parameter finding: members are places of spaces.
    mutating func add(_ finding: SharedPageLook.Finding) {
        var layers: [Int: Int] = [:]
        for spaces in finding.classes.sorted(by: { $0.count > $1.count }) {
            let ancestor = spaces.dropFirst().reduce(process[spaces[0]]) { commonAncestor($0, process[$1]) }
            let layer = layers[ancestor, default: 0]
            layers[ancestor] = layer + 1
            add(finding.pages, spaces, Key(ancestor: ancestor, layer: layer))
        }
    }

    private mutating func add(_ pages: Range<UInt64>, _ spaces: [Int], _ key: Key) {
        let index: Int
        if let known = current[key], sets[known].fields < Self.mostFields {
            index = known
        } else {
            index = sets.count
            current[key] = index
            sets.append(Growing(key: key))
        }
        let run = MemorySight.Run(page: pages.lowerBound, count: UInt64(pages.count))
        sets[index].set.append(run, from: spaces[0] + 1)
        for space in spaces {
            let place: Int
            if let known = sets[index].places[space] {
                place = known
            } else {
                place = sets[index].set.holders.count
                sets[index].places[space] = place
                sets[index].set.holders.append(MemorySight.Holder(space: space + 1))
            }
            sets[index].set.holders[place].append(run)
        }
        sets[index].fields += 2 + 2 * spaces.count
        sets[index].spared += run.count * UInt64(spaces.count - 1)
    }

    /// The sets that are worth it, those of higher ancestors first: a restart loads them first.
    func finished() -> [MemorySight.SharedSet] {
        let worth = sets.filter { $0.spared >= Self.fewestSpared }
        let ordered = worth.enumerated().sorted {
            (depth[$0.element.key.ancestor], $0.offset) < (depth[$1.element.key.ancestor], $1.offset)
        }
        return ordered.map { one in
            var set = one.element.set
            set.holders.sort { $0.space < $1.space }
            return set
        }
    }
}

extension MemorySight {
    /// Takes pages that spaces share out of their own runs, and into sets.
    mutating func findSharedPages(_ sight: TreeSight) throws(SystemError) {
        if sight.spaces.count < 2 { return }
        let members = zip(sight.spaces, spaces).map { space, runs in
            SharedPageLook.Member(task: space.holder.rawValue, runs: Self.withoutThePool(runs, space))
        }
        var sets = SharedPageSets(sight)
        for finding in try SharedPageLook.findings(among: members) { sets.add(finding) }
        let found = sets.finished()
        if found.isEmpty { return }
        var held = [[Run]](repeating: [], count: spaces.count)
        for set in found {
            for holder in set.holders { held[holder.space - 1] += holder.runs }
        }
        for index in spaces.indices where !held[index].isEmpty {
            spaces[index] = Self.subtracting(held[index].sorted { $0.page < $1.page }, from: spaces[index])
        }
        shared = found
    }

    /// Page numbers. Huge pages from the pool are saved with each process that has them.
    private static func withoutThePool(_ runs: [Run], _ space: SpaceSight) -> [Range<UInt64>] {
        let pool = space.maps.value.maps.filter { $0.flags.contains(.hugeTLB) }.map { $0.start / pageSize..<$0.end / pageSize }
        let all = runs.map { $0.page..<$0.page + $0.count }
        if pool.isEmpty { return all }
        return pool.reduce(all) { left, hole in
            left.flatMap { run -> [Range<UInt64>] in
                guard run.overlaps(hole) else { return [run] }
                return [run.lowerBound..<max(run.lowerBound, hole.lowerBound), min(run.upperBound, hole.upperBound)..<run.upperBound].filter { !$0.isEmpty }
            }
        }
    }

    /// - Parameters: ascending; what is taken away is there.
    private static func subtracting(_ holes: [Run], from runs: [Run]) -> [Run] {
        var left: [Run] = []
        var next = 0
        for run in runs {
            var page = run.page
            let end = run.page + run.count
            while next < holes.count, holes[next].page < end {
                if holes[next].page > page { left.append(Run(page: page, count: holes[next].page - page)) }
                page = holes[next].page + holes[next].count
                next += 1
            }
            if page < end { left.append(Run(page: page, count: end - page)) }
        }
        return left
    }
}
