/// Tells in constant time whether one node of a tree of numbered nodes is an ancestor of another one.
///
/// Every node has a place in preorder, and its descendants have the places up to `end`. Nodes that no root
/// leads to (a circle of parents) have no place, and are neither above nor below any node.
struct Ancestry: Sendable {
    /// Place in preorder; -1: reached from no root.
    private(set) var enter: [Int]
    /// The place after the last descendant's.
    private(set) var end: [Int]
    private(set) var depth: [Int]
    /// Nodes in preorder.
    private(set) var order: [Int] = []

    /// - Parameter parents: by node; -1: a root. Siblings keep their order.
    init(parents: [Int]) {
        let count = parents.count
        enter = [Int](repeating: -1, count: count)
        end = enter
        depth = [Int](repeating: 0, count: count)
        order.reserveCapacity(count)
        // The children of a node are a linked list from the last to the first. They are pushed in that order, so the
        // stack gives the first child first.
        var lastChild = [Int](repeating: -1, count: count)
        var before = lastChild
        var stack: [Int] = []
        for node in parents.indices where parents[node] >= 0 {
            before[node] = lastChild[parents[node]]
            lastChild[parents[node]] = node
        }
        for node in parents.indices.reversed() where parents[node] < 0 { stack.append(node) }
        while let node = stack.popLast() {
            enter[node] = order.count
            order.append(node)
            if parents[node] >= 0 { depth[node] = depth[parents[node]] + 1 }
            var child = lastChild[node]
            while child >= 0 {
                stack.append(child)
                child = before[child]
            }
        }
        for node in order { end[node] = enter[node] + 1 }
        for node in order.reversed() where parents[node] >= 0 { end[parents[node]] = max(end[parents[node]], end[node]) }
    }

    func isReached(_ node: Int) -> Bool { enter[node] >= 0 }

    /// Whether `upper` is `lower` itself or above it.
    func isAt(_ upper: Int, orAbove lower: Int) -> Bool {
        isReached(upper) && isReached(lower) && enter[upper] <= enter[lower] && enter[lower] < end[upper]
    }

    func isAbove(_ upper: Int, _ lower: Int) -> Bool { upper != lower && isAt(upper, orAbove: lower) }
}
