/// Decides which objects each task shares with its creator at its creation, so that at the end of the restart exactly
/// the tasks share an object that shared it at the checkpoint: its *users*.
///
/// A task gets another task's object at its creation only. So all users of an object, and all their creators up to
/// the lowest common one, have it for a while: they *carry* it. A carrier that is not a user gives the object up
/// (`unshare`) when it has created all children that need it, or it dies. A running task cannot give up memory, signal
/// actions and io contexts: only users can carry these, and tasks that die before the release.
///
/// Where a parent cannot carry an object that its children share, `wishes` asks that the first of these children create
/// the others as its siblings (`CLONE_PARENT`).
///
/// Pure. A tree in which no processes share anything costs nothing.
struct SharingPlan {
    /// What the plan needs to know of a task.
    struct Node {
        var creator: Int?
        var objects = CloneObjectIDs()
        /// It ends before the release, so it can carry objects that it cannot give up.
        var dies = false
        /// The tasks that it creates, in the order of their creation.
        var children: [Int] = []
    }

    /// A task that cannot carry an object that these children share. One of the children should create the others.
    struct Wish {
        var node: Int
        var children: [Int]
        var kind: CloneObject
    }

    /// A task that cannot carry an object and has to.
    struct Obstacle {
        var node: Int
        var kind: CloneObject
        /// Two users of the object.
        var first: Int
        var second: Int
    }

    private let nodes: [Node]
    private let ancestry: Ancestry
    /// By task: the kinds of objects that it shares with its creator at its creation.
    private(set) var atBirth: [CloneObjects]
    private(set) var wishes: [Wish] = []
    private(set) var obstacles: [Obstacle] = []
    /// By kind, then by object: the tasks that have it at the end.
    private var users: [[UInt32: [Int]]] = []
    /// By kind, then by task: the object that it shares with its creator at its creation, 0: none.
    private var incoming: [[UInt32]]

    /// What living members share, without objects that only one of them has. Nil: no two members share anything.
    static func sharedObjects(_ members: [CreationPlan.Member]) -> [CloneObjectIDs]? {
        guard members.contains(where: { !$0.objects.isEmpty }) else { return nil }
        var result = members.map { $0.isZombie ? CloneObjectIDs() : $0.objects }
        var isNeeded = false
        for kind in CloneObject.allCases {
            var users: [UInt32: Int] = [:]
            for objects in result where objects[kind] != 0 { users[objects[kind], default: 0] += 1 }
            for index in result.indices where result[index][kind] != 0 {
                if users[result[index][kind]] == 1 { result[index][kind] = 0 } else { isNeeded = true }
            }
        }
        return isNeeded ? result : nil
    }

    init(_ nodes: [Node], _ ancestry: Ancestry) {
        self.nodes = nodes
        self.ancestry = ancestry
        atBirth = [CloneObjects](repeating: [], count: nodes.count)
        incoming = CloneObject.allCases.map { _ in [UInt32](repeating: 0, count: nodes.count) }
        for kind in CloneObject.allCases { carry(kind) }
        for kind in CloneObject.allCases { check(kind) }
    }

    func incoming(_ kind: CloneObject, _ node: Int) -> UInt32 { incoming[kind.rawValue][node] }

    private func own(_ kind: CloneObject, _ node: Int) -> UInt32 { nodes[node].dies ? 0 : nodes[node].objects[kind] }

    // MARK: Carriers

    private mutating func carry(_ kind: CloneObject) {
        var users: [UInt32: [Int]] = [:]
        for index in nodes.indices where own(kind, index) != 0 { users[own(kind, index), default: []].append(index) }
        self.users.append(users)
        for (object, members) in users.sorted(by: { $0.key < $1.key }) where members.count > 1 {
            var top = members[0]
            for member in members { while !ancestry.isAt(top, orAbove: member), let creator = nodes[top].creator { top = creator } }
            for member in members {
                var node = member
                while node != top, incoming[kind.rawValue][node] != object, let creator = nodes[node].creator {
                    if incoming[kind.rawValue][node] != 0 {
                        obstacles.append(Obstacle(node: node, kind: kind, first: members[0], second: member))
                        break
                    }
                    incoming[kind.rawValue][node] = object
                    atBirth[node].insert(CloneObjects(kind))
                    node = creator
                }
            }
        }
    }

    // MARK: Limits

    /// The objects that a task shares with children at their creation, in the order of the first child for each.
    func handed(_ kind: CloneObject, by node: Int) -> [UInt32] {
        var found: [UInt32] = []
        var seen: Set<UInt32> = []
        for child in nodes[node].children {
            let object = incoming(kind, child)
            if object != 0 && seen.insert(object).inserted { found.append(object) }
        }
        return found
    }

    private mutating func check(_ kind: CloneObject) {
        for node in nodes.indices where !nodes[node].children.isEmpty || incoming(kind, node) != 0 {
            let handed = handed(kind, by: node)
            let born = incoming(kind, node)
            let own = own(kind, node)
            let refused = handed.filter { !mayCarry($0, kind, node, handed, born: born, own: own) }
            guard !refused.isEmpty else { continue }
            let children = Dictionary(grouping: nodes[node].children) { incoming(kind, $0) }
            for object in refused {
                guard let children = children[object] else { continue }
                if object != born && children.count > 1 {
                    wishes.append(Wish(node: node, children: children, kind: kind))
                } else {
                    obstruct(node, kind, object, children[0])
                }
            }
        }
    }

    private func mayCarry(
        _ object: UInt32, _ kind: CloneObject, _ node: Int, _ handed: [UInt32], born: UInt32, own: UInt32
    ) -> Bool {
        if object == own { return true }
        if nodes[node].dies {
            // A task that cannot give up its object of this kind can carry a single one.
            return kind.canBeUnshared || object == born || born == 0 && object == handed[0]
        }
        // A task that still has at the end the object of its birth cannot have another one in between.
        return kind.canBeUnshared && (own == 0 || own != born)
    }

    private mutating func obstruct(_ node: Int, _ kind: CloneObject, _ object: UInt32, _ child: Int) {
        let users = users[kind.rawValue][object] ?? []
        // A child shares an object at its creation because it is a user, or because one of its descendants is.
        let below = users.first { ancestry.isAt(child, orAbove: $0) } ?? child
        let other = users.first { $0 != below }
        obstacles.append(Obstacle(node: node, kind: kind, first: other ?? node, second: below))
    }

    // MARK: Order

    /// What a task does in the course of its creations.
    enum Step: Equatable {
        case create(Int)
        /// Gives up these objects, and gets new ones instead (`unshare`).
        case unshare(CloneObjectIDs)
    }

    /// Orders the creations of a task so that it has, at each of them, the objects that it shares with the child. No
    /// creation moves from one side of `setsid` to the other. Nil: there is no such order.
    ///
    /// - Parameter firstPart: how many of its children come before `setsid`.
    func order(of node: Int, firstPart: Int) -> (before: [Step], after: [Step])? {
        let phases = phases(of: node)
        let children = nodes[node].children
        var steps: (before: [Step], after: [Step]) = ([], [])
        if phases.contains(where: { $0.count > 1 }) {
            var order = BirthOrder(of: children, firstPart: firstPart, phases: phases) { incoming($0, $1) }
            guard let found = order.steps() else { return nil }
            steps = found
        } else {
            steps = (children.prefix(firstPart).map { .create($0) }, children.dropFirst(firstPart).map { .create($0) })
        }
        if !nodes[node].dies {
            let left = borrowed(at: node)
            if !left.isEmpty { steps.after.append(.unshare(left)) }
        }
        return steps
    }

    /// The objects that a task has after its last creation and does not have at the end.
    func borrowed(at node: Int) -> CloneObjectIDs {
        var left = CloneObjectIDs()
        let phases = phases(of: node)
        for kind in CloneObject.allCases where own(kind, node) == 0 { left[kind] = phases[kind.rawValue].last ?? 0 }
        return left
    }

    /// By kind: the objects that a task has, in this order: the one of its creation, those for its children, the one
    /// that it has at the end.
    private func phases(of node: Int) -> [[UInt32]] {
        var phases: [[UInt32]] = []
        for kind in CloneObject.allCases {
            var objects = handed(kind, by: node)
            let (born, own) = (incoming(kind, node), own(kind, node))
            if born != 0 { objects = [born] + objects.filter { $0 != born } }
            if own != 0 && own != born { objects = objects.filter { $0 != own } + [own] }
            phases.append(objects)
        }
        return phases
    }
}
