/// Finds an order in which one task can create its children, so that at each creation the task has the objects
/// that the child shares with it.
///
/// A task has one object of each kind (`CloneObject`) at a time, and none of them twice. The time in which it has one
/// of them is a *phase* of that kind. A child can be created when the task is, for every kind, in the phase that the
/// child needs. A phase ends when all children that need it are created. A child that can be created thus stays so
/// until it is created, so any of the children that are ready may be the next one.
///
/// Pure; takes time linear in the number of children.
struct BirthOrder {
    typealias Step = SharingPlan.Step

    /// Tasks to create. Everywhere else in this type a child is its position in this list.
    private let children: [Int]
    /// How many of them are created before `setsid`: the first ones of the list.
    private let firstPart: Int
    private var kinds: [Phases]
    /// By child: the number of kinds whose phase for this child has not begun.
    private var missing: [Int]
    /// Children that can be created: those before `setsid`, and those after it.
    private var ready: [[Int]] = [[], []]

    /// The phases of one kind of objects.
    private struct Phases {
        let objects: [UInt32]
        /// By child: the phase in which it has to be created, nil: any.
        let places: [Int?]
        /// By phase: the children that have to be created in it.
        let members: [[Int]]
        /// By phase: how many of these children are not created yet.
        var left: [Int]
        /// The phase whose children can be created now.
        var open = 0
        /// The phase whose object the task has. It is before `open` until the first child of `open` is created.
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

        /// Goes past phases that have no child left to create.
        ///
        /// - Returns: whether another phase is open now.
        mutating func skip() -> Bool {
            let before = open
            while open < left.count && left[open] == 0 { open += 1 }
            return open != before
        }
    }

    /// - Parameters:
    ///   - children: in the preferred order, which is kept where the phases allow it.
    ///   - phases: by kind: the objects that the task has, in this order.
    ///   - object: the object of a kind that a child has to share with the task at its creation, 0: none.
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

    /// The creations before and after `setsid`, with the steps that give up an object in between. Nil: no order does.
    mutating func steps() -> (before: [Step], after: [Step])? {
        guard let before = part(0, firstPart), let after = part(1, children.count - firstPart) else { return nil }
        return (before, after)
    }

    private mutating func part(_ part: Int, _ count: Int) -> [Step]? {
        var steps: [Step] = []
        for index in 0..<count {
            // The queue grows while children are created.
            guard index < ready[part].count else { return nil }
            create(ready[part][index], &steps)
        }
        return steps
    }

    private mutating func create(_ child: Int, _ steps: inout [Step]) {
        var unshared = CloneObjectIDs()
        for (index, kind) in CloneObject.allCases.enumerated() {
            guard let place = kinds[index].places[child] else { continue }
            if place > kinds[index].held { unshared[kind] = kinds[index].objects[kinds[index].held] }
            kinds[index].held = place
            kinds[index].left[place] -= 1
            guard kinds[index].skip(), kinds[index].open < kinds[index].members.count else { continue }
            for other in kinds[index].members[kinds[index].open] {
                missing[other] -= 1
                if missing[other] == 0 { enqueue(other) }
            }
        }
        if !unshared.isEmpty { steps.append(.unshare(unshared)) }
        steps.append(.create(children[child]))
    }

    private mutating func enqueue(_ child: Int) {
        ready[child < firstPart ? 0 : 1].append(child)
    }
}
