/// The pid namespaces of a tree: 0 is that of its root, the others are nested in it.
///
/// A task has one number in each namespace from that of the root to its own. The first of them is its pid here;
/// the others are its *inner* numbers, from outside inwards.
///
/// - Source: pid_namespaces(7).
package struct PidNamespaces: Sendable, Equatable {
    /// By namespace; -1 for the first.
    package private(set) var parents = [-1]
    /// By namespace: pid of its init. 0: the init is outside of the tree, or there is none.
    package private(set) var inits: [UInt32]
    /// By namespace: how many there are between it and the first.
    package private(set) var depths = [0]
    /// By namespace: the numbers there of all processes, groups and sessions of the tree.
    private var used: [Set<UInt32>] = [[]]
    private var nextSpare: [UInt32] = [highestSpare]
    /// The highest number under the smallest default of `pid_max`, 32768: kernels with a higher limit have it too.
    private static let highestSpare: UInt32 = 32_767

    /// - Parameter rootIsInit: whether the root is the init of its namespace: 1 is its pid.
    package init(rootIsInit: Bool = false) { inits = [rootIsInit ? 1 : 0] }

    /// - Parameter nested: those below the first by number from 1, outer ones first.
    package init(rootIsInit: Bool, nested: some Sequence<(parent: UInt32, initPid: UInt32)>) {
        self.init(rootIsInit: rootIsInit)
        for one in nested { add(parent: Int(one.parent), initPid: one.initPid) }
    }

    /// - Precondition: `parent` was added before.
    @discardableResult
    package mutating func add(parent: Int, initPid: UInt32) -> Int {
        parents.append(parent)
        inits.append(initPid)
        depths.append(depths[parent] + 1)
        used.append([])
        nextSpare.append(Self.highestSpare)
        return parents.count - 1
    }

    package var areNested: Bool { parents.count > 1 }

    /// Whether `lower` is `upper` itself or nested in it.
    package func isAt(_ upper: Int, orAbove lower: Int) -> Bool {
        guard depths[upper] <= depths[lower] else { return false }
        var namespace = lower
        while depths[namespace] > depths[upper] { namespace = parents[namespace] }
        return namespace == upper
    }

    package func isAbove(_ upper: Int, _ lower: Int) -> Bool { upper != lower && isAt(upper, orAbove: lower) }

    /// The nested namespaces from the outermost to this one.
    package func lineage(of namespace: Int) -> [Int] {
        var lineage: [Int] = []
        var next = namespace
        while next > 0 {
            lineage.append(next)
            next = parents[next]
        }
        return lineage.reversed()
    }

    package func isInit(_ pid: UInt32, of namespace: Int) -> Bool { pid != 0 && inits[namespace] == pid }

    /// Marks inner numbers of a process, group or session as used: those in the nested namespaces from the outermost one
    /// to `namespace`. Zeros are passed over.
    package mutating func note(_ inner: [UInt32], in namespace: Int) {
        for (level, number) in zip(lineage(of: namespace), inner) where number != 0 { used[level].insert(number) }
    }

    /// Unused inner numbers for a placeholder in `namespace`; each call gives others.
    mutating func spareNumbers(in namespace: Int) -> [UInt32] {
        lineage(of: namespace).map { level in
            while used[level].contains(nextSpare[level]) { nextSpare[level] -= 1 }
            defer { nextSpare[level] -= 1 }
            return nextSpare[level]
        }
    }
}
