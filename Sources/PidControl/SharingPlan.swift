/// Which tasks are created with which objects in common, so that in the end exactly those share who shared.
///
/// An object gets from one task to another by birth only. So all who have it, and those by whom they are created
/// up to the first that creates them all, have it for a while: they *carry* it. Who is not to have it in the end
/// parts with it (`unshare`) when it has created everybody who needs it, or dies. Memory, signal actions and
/// disk contexts cannot be parted with: only those can carry them who keep them, and those who die.
///
/// A parent that cannot carry what its children share lets the first of them create the others, as siblings
/// (`CLONE_PARENT`): `wishes`.
///
/// Pure. A tree in which nobody shares anything costs nothing.
struct SharingPlan {
    /// What the plan needs to know of a task.
    struct Node {
        var creator: Int?
        var objects = CloneObjectIDs()
        /// It ends before the release, and so may carry anything.
        var dies = false
        /// Children by creation in the order in which that happens.
        var children: [Int] = []
    }

    /// A task that cannot hand on an object to these children.
    struct Wish {
        var node: Int
        var children: [Int]
        var kind: CloneObject
    }

    struct Obstacle {
        var node: Int
        var kind: CloneObject
        /// Two that have the object.
        var first: Int
        var second: Int
    }

    private let nodes: [Node]
    private let ancestry: Ancestry
    /// By task: what it has from its creator at birth.
    private(set) var atBirth: [CloneObjects]
    private(set) var wishes: [Wish] = []
    private(set) var obstacles: [Obstacle] = []
    /// By kind, then by object: who is to have it.
    private var users: [[UInt32: [Int]]] = []
    /// By kind, then by task: the object it is born with, 0: one of its own.
    private var incoming: [[UInt32]]

    /// What the living members share, without objects that only one of them has. Nil: nobody shares anything.
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

    // MARK: Who carries

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

    // MARK: Who can

    /// The objects that a task hands on, in the order of their first child.
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
            // One is enough for who cannot part with it.
            return kind.canBeUnshared || object == born || born == 0 && object == handed[0]
        }
        // Who keeps what it was born with has nothing else in between.
        return kind.canBeUnshared && (own == 0 || own != born)
    }

    private mutating func obstruct(_ node: Int, _ kind: CloneObject, _ object: UInt32, _ child: Int) {
        let users = users[kind.rawValue][object] ?? []
        // What a child is born with is for itself or for somebody below it.
        let below = users.first { ancestry.isAt(child, orAbove: $0) } ?? child
        let other = users.first { $0 != below }
        obstacles.append(Obstacle(node: node, kind: kind, first: other ?? node, second: below))
    }

    // MARK: In which order

    /// What a task does in the course of its creations.
    enum Step: Equatable {
        case create(Int)
        /// Gets new ones instead of these.
        case part(CloneObjectIDs)
    }

    /// Orders the creations of a task, which stay on their side of `setsid`, so that each child is born when the task
    /// has what they share. Nil: there is no such order.
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
            if !left.isEmpty { steps.after.append(.part(left)) }
        }
        return steps
    }

    /// What a task has when it has created everybody, and does not keep.
    func borrowed(at node: Int) -> CloneObjectIDs {
        var left = CloneObjectIDs()
        let phases = phases(of: node)
        for kind in CloneObject.allCases where own(kind, node) == 0 { left[kind] = phases[kind.rawValue].last ?? 0 }
        return left
    }

    /// By kind: which objects a task has one after the other, of those that it is born with, hands on or keeps.
    private func phases(of node: Int) -> [[UInt32]] {
        var phases: [[UInt32]] = []
        for kind in CloneObject.allCases {
            var objects = handed(kind, by: node)
            let (born, own) = (incoming(kind, node), own(kind, node))
            // What it was born with comes first, what it keeps last.
            if born != 0 { objects = [born] + objects.filter { $0 != born } }
            if own != 0 && own != born { objects = objects.filter { $0 != own } + [own] }
            phases.append(objects)
        }
        return phases
    }
}
