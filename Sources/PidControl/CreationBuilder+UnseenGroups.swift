/// Creates members in process groups that have no number in the member's pid namespace.
///
/// Such a member cannot call `setpgid` for its group, so its creator has to be in the group when it creates it.
extension CreationBuilder {
    /// By task: a member in whose group the task has to be created, because the group has no number in the task's
    /// pid namespace. It is the task itself, or a member that the task creates. Nil: the task can join its group.
    mutating func unseenGroups() -> [Int?] {
        var sources = [Int?](repeating: nil, count: tasks.count)
        guard namespaces.areNested else { return sources }
        for index in ancestry.order.reversed() {
            if index < tree.members.count && !tree.members[index].seesGroup { sources[index] = index }
            // A placeholder in whose pid namespace the group of a task that it creates has no number either.
            guard let source = sources[index], let creator = creators[index], creator >= tree.members.count,
                !sees(creator, groupOf: source)
            else { continue }
            if let other = sources[creator], tree.members[other].group != tree.members[source].group {
                refuseGroup(of: source)
            }
            sources[creator] = source
        }
        return sources
    }

    /// Whether the pid namespace of a task has a number for the group of a member below it.
    private func sees(_ index: Int, groupOf source: Int) -> Bool {
        let depth = namespaces.depths[tasks[index].namespace]
        return depth == 0 || tree.members[source].innerGroups.dropFirst(depth - 1).first != 0
    }

    private mutating func refuseGroup(of source: Int) {
        let member = tree.members[source]
        findings.append(
            Finding(pid: member.pid, reason: "is in process group \(member.group), which its pid namespace does not see, and cannot be born in it"))
    }

    /// Notes of `arrangeGroups` for the time in which it goes through all tasks.
    struct UnseenBirths {
        /// By creator: children that it creates at another time than was planned before.
        var moved: [Int: Set<Int>] = [:]
        /// By task: whether its creations can be moved. They cannot where it gives up shared objects in between, because
        /// then the time of a creation decides what the child shares.
        let isFree: [Bool]
        /// The position of each stay in a group in the creator's list of stays.
        var places: [Place: Int] = [:]

        struct Place: Hashable {
            var creator: Int
            var group: UInt32
            var isBefore: Bool
        }

        init(_ parts: [Parts]) {
            isFree = parts.map { ($0.beforeSession + $0.creations).allSatisfy { $0.child != nil } }
        }
    }

    /// Moves the creation of a task to a time at which its creator is in the group of the member `source`.
    mutating func moveBirth(
        of index: Int, toGroupOf source: Int, by creator: Int, isBefore: Bool, _ unseen: inout UnseenBirths
    ) {
        let group = tree.members[source].group
        let exists = tree.node(of: group) != nil || groups.held.contains(group)
        guard exists, unseen.isFree[creator], sees(creator, groupOf: source), isBefore || !parts[creator].callsSetsid else {
            return refuseGroup(of: source)
        }
        birthGroup[index] = group
        unseen.moved[creator, default: []].insert(index)
        let member = creator < tree.members.count ? tree.members[creator] : nil
        if isBefore {
            pass(creator, through: group, for: index, isBefore: true, &unseen)
        } else if member?.group == group {
            parts[creator].lateCreations.append(.birth(index))
        } else if member?.pid == group {
            parts[creator].leaderCreations.append(.birth(index))
        } else {
            if let member, !member.seesGroup { return refuseGroup(of: source) }
            pass(creator, through: group, for: index, isBefore: false, &unseen)
            if let member, member.group != member.pid, member.group == birthGroup[creator] { returning.insert(creator) }
        }
    }

    /// Lets the creator join the group for a while, create the child there, and leave it again.
    private mutating func pass(
        _ creator: Int, through group: UInt32, for child: Int, isBefore: Bool, _ unseen: inout UnseenBirths
    ) {
        let list = isBefore ? \Parts.passingBeforeSession : \Parts.passing
        let place = UnseenBirths.Place(creator: creator, group: group, isBefore: isBefore)
        if let known = unseen.places[place] {
            parts[creator][keyPath: list][known].births.append(.birth(child))
            return
        }
        unseen.places[place] = parts[creator][keyPath: list].count
        parts[creator][keyPath: list].append(Passing(group: group, births: [.birth(child)]))
        joiners[group, default: 0] += 1
    }
}
