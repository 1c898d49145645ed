/// The order of one task's creations in which each child is born when the task has what the two share.
///
/// Of each kind a task has one object after the other, and none of them twice: its *phases*. A child can be born when
/// all its phases have come, and a phase is over when all its children are born. Who can be born stays so until it
/// is: any of them may be next.
///
/// Pure; takes time linear in the number of children.
struct BirthOrder {
    typealias Step = SharingPlan.Step

    /// Positions of children in the list of all are what is meant by numbers here.
    private let children: [Int]
    /// How many of them come before `setsid`.
    private let firstPart: Int
    private var kinds: [Phases]
    /// By child: of how many kinds its phase has not come.
    private var missing: [Int]
    /// Those who can be born, before `setsid` and after.
    private var ready: [[Int]] = [[], []]

    /// What one kind of objects asks for.
    private struct Phases {
        let objects: [UInt32]
        /// By child: the phase in which it is to be born, nil: any.
        let places: [Int?]
        /// By phase: who is to be born in it.
        let members: [[Int]]
        /// By phase: how many of those are not born.
        var left: [Int]
        /// The phase whose children can be born.
        var open = 0
        /// The phase whose object the task has.
        var held = 0

        init(_ objects: [UInt32], wanted: [UInt32]) {
            self.objects = objects
            let numbers = Dictionary(zip(objects, objects.indices), uniquingKeysWith: { first, _ in first })
            places = wanted.map { numbers[$0] }
            var members = [[Int]](repeating: [], count: objects.count)
            for (child, place) in places.enumerated() { if let place { members[place].append(child) } }
            self.members = members
            left = members.map(\.count)
            skip()
        }

        /// True if another phase has come.
        mutating func skip() -> Bool {
            let before = open
            while open < left.count && left[open] == 0 { open += 1 }
            return open != before
        }
    }

    /// - Parameters:
    ///   - children: in the order that they should have if nothing is against it.
    ///   - phases: by kind: the objects that the task has one after the other.
    ///   - object: which of them a child is to be born with, 0: none.
    init(
        of children: [Int], firstPart: Int, phases: [[UInt32]], object: (_ kind: CloneObject, _ child: Int) -> UInt32
    ) {
        self.children = children
        self.firstPart = firstPart
        kinds = zip(CloneObject.allCases, phases).map { kind, objects in
            Phases(objects, wanted: children.map { object(kind, $0) })
        }
        missing = [Int](repeating: 0, count: children.count)
        for kind in kinds {
            for (child, place) in kind.places.enumerated() where place != nil && place != kind.open { missing[child] += 1 }
        }
        for child in children.indices where missing[child] == 0 { enqueue(child) }
    }

    /// Nil: there is none.
    mutating func steps() -> (before: [Step], after: [Step])? {
        guard let before = part(0, firstPart), let after = part(1, children.count - firstPart) else { return nil }
        return (before, after)
    }

    private mutating func part(_ part: Int, _ count: Int) -> [Step]? {
        var steps: [Step] = []
        for index in 0..<count {
            // The queue grows as children are born.
            guard index < ready[part].count else { return nil }
            bear(ready[part][index], &steps)
        }
        return steps
    }

    private mutating func bear(_ child: Int, _ steps: inout [Step]) {
        var parted = CloneObjectIDs()
        for (index, kind) in CloneObject.allCases.enumerated() {
            guard let place = kinds[index].places[child] else { continue }
            if place > kinds[index].held { parted[kind] = kinds[index].objects[kinds[index].held] }
            kinds[index].held = place
            kinds[index].left[place] -= 1
            guard kinds[index].skip(), kinds[index].open < kinds[index].members.count else { continue }
            for other in kinds[index].members[kinds[index].open] {
                missing[other] -= 1
                if missing[other] == 0 { enqueue(other) }
            }
        }
        if !parted.isEmpty { steps.append(.part(parted)) }
        steps.append(.create(children[child]))
    }

    private mutating func enqueue(_ child: Int) {
        ready[child < firstPart ? 0 : 1].append(child)
    }
}
