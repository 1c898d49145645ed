/// What the tasks of a plan do, in a form that can still be rearranged.
extension CreationBuilder {
    /// What one task does, in the order of these fields.
    struct Parts {
        var beforeSession: [Creation] = []
        /// Stays in other groups before `setsid`: see `Passing`.
        var passingBeforeSession: [Passing] = []
        var callsSetsid = false
        var creations: [Creation] = []
        /// Stays in other groups after `setsid`.
        var passing: [Passing] = []
        var makesGroup: [Action] = []
        /// Tasks that have to be created in the group of this task's own number, which it leaves afterwards.
        var leaderCreations: [Creation] = []
        var joins: [Action] = []
        /// Tasks that have to be created in the group in which this task stays.
        var lateCreations: [Creation] = []
        var adoption: CreationPlan.Adoption?
        /// Placeholders to be reaped, with the node that adopts their orphans.
        var placeholders: [(pid: UInt32, adopter: Int)] = []
        /// Ghosts to be reaped. Of a ghost or placeholder: what it waits for before it ends.
        var last: [Action] = []

        /// Removes creations that another task does instead, or that this task does at another time.
        mutating func removeCreations(of children: Set<Int>) {
            func isRemoved(_ creation: Creation) -> Bool {
                if case .birth(let child, isSibling: false) = creation { children.contains(child) } else { false }
            }
            beforeSession.removeAll(where: isRemoved)
            creations.removeAll(where: isRemoved)
        }
    }

    /// The creation of a task, by its position in `tasks`, or an action between two creations.
    enum Creation: Equatable {
        case birth(_ child: Int, isSibling: Bool = false)
        case action(Action)

        var child: Int? { if case .birth(let child, _) = self { child } else { nil } }
        var isSibling: Bool { if case .birth(_, isSibling: true) = self { true } else { false } }
    }

    /// A process group that a task joins for a while, and the tasks that it creates there: they are born in that group
    /// because it has no number in their pid namespace.
    struct Passing {
        var group: UInt32
        var births: [Creation]
    }
}
