extension CreationBuilder {
    /// Decides what each task is born with in common with its creator, and when it parts with it.
    ///
    /// - Preconditions: it is known who creates whom, and it is a tree.
    mutating func arrangeSharing() {
        guard let objects = SharingPlan.sharedObjects(tree.members) else { return }
        var plan = SharingPlan(sharingNodes(objects), ancestry)
        // A task that is created by another one now may itself stand in the way: a few rounds settle that.
        for _ in 0..<16 where !plan.wishes.isEmpty {
            var hasMoved = false
            for wish in plan.wishes where letSiblingsCreate(wish, objects) { hasMoved = true }
            guard hasMoved else { break }
            ancestry = Ancestry(parents: creators.map { $0 ?? -1 })
            plan = SharingPlan(sharingNodes(objects), ancestry)
        }
        for wish in plan.wishes {
            refuse(wish.kind, wish.children[0], wish.children[1], because: wish.node)
        }
        for obstacle in plan.obstacles { refuse(obstacle.kind, obstacle.first, obstacle.second, because: obstacle.node) }
        guard findings.isEmpty else { return }
        sharing = plan
        for index in parts.indices { order(index, plan) }
    }

    private mutating func refuse(_ kind: CloneObject, _ first: Int, _ second: Int, because node: Int) {
        let between = tasks[node].role == .member ? "\(tasks[node].pid)" : "who has to create them"
        let finding = Finding(
            pid: tasks[second].pid, reason: "shares \(kind.name) with \(tasks[first].pid), but \(between) in between does not")
        if !findings.contains(finding) { findings.append(finding) }
    }

    private func sharingNodes(_ objects: [CloneObjectIDs]) -> [SharingPlan.Node] {
        tasks.indices.map { index in
            var node = SharingPlan.Node(creator: creators[index])
            node.dies = index >= tree.members.count || tree.members[index].isZombie
            if index < objects.count { node.objects = objects[index] }
            node.children = (parts[index].beforeSession + parts[index].creations).compactMap(\.child)
            return node
        }
    }

    /// Has the first of some children create the others, as its siblings: they come to the same parent, if they are
    /// born in the same session and tell their parent of their end by the same signal.
    private mutating func letSiblingsCreate(_ wish: SharingPlan.Wish, _ objects: [CloneObjectIDs]) -> Bool {
        let members = wish.children.filter { $0 < tree.members.count && creators[$0] == wish.node }
        guard wish.node < tree.members.count,
            let first = members.first(where: { objects[$0][wish.kind] != 0 })
        else { return false }
        let namespace = tasks[first].namespace
        if namespace != tasks[wish.node].namespace || tree.isInit(first + 1) { return false }
        let isBefore = isMadeBeforeSession(first, by: wish.node)
        var hasMoved = false
        for other in members where other != first {
            guard tree.parents[other + 1] == wish.node + 1, tree.parents[first + 1] == wish.node + 1,
                tree.members[other].exitSignal == tree.members[first].exitSignal,
                isMadeBeforeSession(other, by: wish.node) == isBefore,
                tasks[other].namespace == namespace, parts[wish.node].removeCreation(of: other)
            else { continue }
            creators[other] = first
            let action = Creation.birth(other, isSibling: true)
            if parts[first].callsSetsid && sessions.birth[other + 1] != nil {
                parts[first].beforeSession.append(action)
            } else {
                parts[first].creations.append(action)
            }
            hasMoved = true
        }
        return hasMoved
    }

    private func isMadeBeforeSession(_ child: Int, by creator: Int) -> Bool {
        parts[creator].beforeSession.contains(.birth(child))
    }

    /// Puts the creations of a task into their order.
    private mutating func order(_ index: Int, _ plan: SharingPlan) {
        tasks[index].sharesAtBirth = plan.atBirth[index]
        if index >= tree.members.count || tree.members[index].isZombie { tasks[index].carriesToItsEnd = plan.borrowed(at: index) }
        let all = parts[index].beforeSession + parts[index].creations
        guard let steps = plan.order(of: index, firstPart: parts[index].beforeSession.count) else {
            findings.append(
                Finding(pid: tasks[index].pid, reason: "would have to create children that share with each other before and after it calls setsid"))
            return
        }
        var byChild: [Int: Creation] = [:]
        for creation in all { if let child = creation.child { byChild[child] = creation } }
        func creations(_ steps: [SharingPlan.Step]) -> [Creation] {
            steps.compactMap { step in
                switch step {
                case .create(let child): byChild[child]
                case .part(let objects): .action(.unshare(objects))
                }
            }
        }
        parts[index].beforeSession = creations(steps.before)
        parts[index].creations = creations(steps.after)
        // The kernel makes a disk context when it is first needed; what is not there cannot be shared.
        let handsOn = all.contains { creation in creation.child.map { plan.atBirth[$0].contains(CloneObjects(.disk)) } ?? false }
        if handsOn && plan.incoming(.disk, index) == 0 {
            parts[index].beforeSession.insert(.action(.makeDiskContext), at: 0)
        }
    }
}
