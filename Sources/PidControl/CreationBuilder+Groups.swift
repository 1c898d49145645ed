/// Decides which tasks make the process groups, and when each task joins its own group.
extension CreationBuilder {
    mutating func arrangeGroups() {
        makeGhostsByCreators()
        let sources = unseenGroups()
        var unseen = UnseenBirths(parts)
        birthGroup = [UInt32](repeating: tree.outsideGroup, count: tasks.count)
        for index in ancestry.order {
            guard let creator = creators[index] else { continue }
            let isBefore = index < tree.members.count && parts[creator].callsSetsid && isBornBefore(index, creator)
            birthGroup[index] = parts[creator].callsSetsid && !isBefore ? tasks[creator].pid : birthGroup[creator]
            if let source = sources[index], tree.members[source].group != birthGroup[index] {
                moveBirth(of: index, toGroupOf: source, by: creator, isBefore: isBefore, &unseen)
            }
        }
        for (creator, children) in unseen.moved { parts[creator].removeCreations(of: children) }
        for node in tree.all ?? 1...1 {
            let member = tree.members[node - 1]
            let index = task(node)
            if groups.leavers.contains(node) {
                let holder = addPlaceholder("keeps process group \(member.pid), which its leader left", in: member.namespace)
                creators[holder] = index
                parts[index].makesGroup += [.leadGroup, .create(tasks[holder].pid)]
                parts[index].last.append(.reap(tasks[holder].pid))
                parts[holder].last.append(.awaitMembers(of: member.pid))
                join(index, member.group)
            } else if member.group == member.pid {
                parts[index].makesGroup.append(.leadGroup)
            } else if member.group != birthGroup[index] || returning.contains(index) {
                if member.group == tree.outsideGroup && tree.node(of: member.group) == nil {
                    findings.append(
                        Finding(
                            pid: member.pid,
                            reason: "cannot be created in process group \(member.group), which lies outside of the tree"))
                }
                join(index, member.group)
            }
        }
        for ghost in groups.ghosts {
            guard let maker = ghost.maker else { continue }
            addGhost(ghost, by: task(maker))
            parts[task(maker)].makesGroup.append(.create(ghost.group))
        }
        for adoption in sessions.adoptions where adoption.founder == nil && groups.held.contains(adoption.session) {
            guard let index = position[adoption.session] else { continue }
            parts[index].makesGroup.append(.leadGroup)
            parts[index].last.append(.awaitMembers(of: adoption.session))
        }
        // Ghosts and placeholders that were added above have creators too.
        ancestry = Ancestry(parents: creators.map { $0 ?? -1 })
    }

    @discardableResult
    private mutating func addGhost(_ ghost: GroupPlan.Ghost, by maker: Int) -> Int {
        let index = add(ghost.group, .ghost, "led process group \(ghost.group)", in: ghost.namespace, ghost.inner)
        creators[index] = maker
        parts[maker].last.append(.reap(ghost.group))
        parts[index].makesGroup.append(.leadGroup)
        parts[index].last.append(.awaitMembers(of: ghost.group))
        return index
    }

    /// Adds the ghosts of groups that have no member in the ghost's pid namespace.
    ///
    /// Such a ghost is made by the nearest creator of a group member that is in this namespace or in an outer one. If
    /// that creator is a member of the tree, it has to be in the group's session.
    private mutating func makeGhostsByCreators() {
        var births: [Int: [Creation]] = [:]
        for ghost in groups.ghosts where ghost.maker == nil {
            var maker = creators[task(ghost.member)]
            while let one = maker, !namespaces.isAt(tasks[one].namespace, orAbove: ghost.namespace) { maker = creators[one] }
            guard let maker, maker >= tree.members.count || tree.session(maker + 1) == tree.session(ghost.member) else {
                findings.append(
                    Finding(
                        pid: tree.pid(ghost.member),
                        reason: "is in process group \(ghost.group), whose leader is dead and cannot be replaced"))
                continue
            }
            births[maker, default: []].append(.birth(addGhost(ghost, by: maker)))
        }
        guard !births.isEmpty else { return }
        for (maker, births) in births { parts[maker].creations.insert(contentsOf: births, at: 0) }
        ancestry = Ancestry(parents: creators.map { $0 ?? -1 })
    }

    /// Whether a task is created before its creator calls `setsid`, which puts it into the creator's old session.
    func isBornBefore(_ index: Int, _ creator: Int) -> Bool {
        guard creator < tree.members.count, let birth = sessions.birth[index + 1] else { return false }
        return birth != tasks[creator].pid
    }

    private mutating func join(_ index: Int, _ group: UInt32) {
        parts[index].joins.append(.joinGroup(group))
        joiners[group, default: 0] += 1
    }
}
