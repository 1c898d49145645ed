/// Process groups that the pid namespace of a member has no number for: one gets into such a group by birth only.
extension CreationBuilder {
    /// By task: a member in whose group it has to be born, because its pid namespace does not see that.
    mutating func unseenGroups() -> [Int?] {
        var sources = [Int?](repeating: nil, count: tasks.count)
        guard namespaces.areNested else { return sources }
        for index in ancestry.order.reversed() {
            if index < tree.members.count && !tree.members[index].seesGroup { sources[index] = index }
            // A placeholder that does not see the group of those whom it creates.
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

    /// What is noted until all are placed.
    struct UnseenBirths {
        /// By creator: whom it creates at another time now.
        var moved: [Int: Set<Int>] = [:]
        /// By task: whether it parts with nothing between its creations. What is shared at birth is a matter of when it is.
        let isFree: [Bool]
        /// Where a task's time in a group stands among its others.
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

    /// Has a task created while its creator is in a group.
    mutating func bear(
        _ index: Int, inGroupOf source: Int, by creator: Int, isBefore: Bool, _ unseen: inout UnseenBirths
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

    /// The creator joins the group for a while.
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
