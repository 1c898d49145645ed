extension CreationBuilder {
    /// Decides which objects each task shares with its creator at its creation, and when it gives them up again.
    ///
    /// - Precondition: `creators` is complete and makes a tree.
    mutating func arrangeSharing() {
        guard let objects = SharingPlan.sharedObjects(tree.members) else { return }
        var plan = SharingPlan(sharingNodes(objects), ancestry)
        // A task with a new creator can make another wish necessary, so this is repeated a few times.
        for _ in 0..<16 where !plan.wishes.isEmpty {
            guard letSiblingsCreate(plan.wishes, objects) else { break }
            ancestry = Ancestry(parents: creators.map { $0 ?? -1 })
            plan = SharingPlan(sharingNodes(objects), ancestry)
        }
        var refused: Set<[Int]> = []
        let all = plan.wishes.map { SharingPlan.Obstacle(node: $0.node, kind: $0.kind, first: $0.children[0], second: $0.children[1]) }
        for one in all + plan.obstacles where refused.insert([one.node, one.kind.rawValue, one.first, one.second]).inserted {
            refuse(one)
        }
        guard findings.isEmpty else { return }
        sharing = plan
        for index in parts.indices { order(index, plan) }
    }

    private mutating func refuse(_ obstacle: SharingPlan.Obstacle) {
        let task = tasks[obstacle.node]
        let between = task.role == .member ? "\(task.pid)" : "the process that has to create them"
        let reason = "shares \(obstacle.kind.name) with \(tasks[obstacle.first].pid), but \(between) in between does not"
        findings.append(Finding(pid: tasks[obstacle.second].pid, reason: reason))
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

    /// The children that a task creates itself, and those among them that it creates before its `setsid`.
    private struct OwnBirths {
        var all: Set<Int> = []
        var before: Set<Int> = []

        init(_ parts: Parts) {
            for (creations, isBefore) in [(parts.beforeSession, true), (parts.creations, false)] {
                for case .birth(let child, isSibling: false) in creations {
                    all.insert(child)
                    if isBefore { before.insert(child) }
                }
            }
        }
    }

    /// Lets one child of each wish create the others as its siblings (`CLONE_PARENT`), so that it can share an object
    /// with them that their parent does not have. They keep their parent. This needs children of the same session,
    /// pid namespace and exit signal.
    ///
    /// - Returns: whether a task got another creator.
    private mutating func letSiblingsCreate(_ wishes: [SharingPlan.Wish], _ objects: [CloneObjectIDs]) -> Bool {
        var births: [Int: OwnBirths] = [:]
        var moved: [Int: Set<Int>] = [:]
        for wish in wishes where wish.node < tree.members.count {
            let node = wish.node
            let members = wish.children.filter { $0 < tree.members.count && creators[$0] == node }
            guard let first = members.first(where: { objects[$0][wish.kind] != 0 }) else { continue }
            let namespace = tasks[first].namespace
            if namespace != tasks[node].namespace || tree.isInit(first + 1) { continue }
            let own = births[node] ?? OwnBirths(parts[node])
            births[node] = own
            for other in members where other != first {
                guard tree.parents[other + 1] == node + 1, tree.parents[first + 1] == node + 1,
                    tree.members[other].exitSignal == tree.members[first].exitSignal,
                    own.before.contains(other) == own.before.contains(first), tasks[other].namespace == namespace,
                    own.all.contains(other)
                else { continue }
                creators[other] = first
                moved[node, default: []].insert(other)
                let action = Creation.birth(other, isSibling: true)
                if parts[first].callsSetsid && sessions.birth[other + 1] != nil {
                    parts[first].beforeSession.append(action)
                } else {
                    parts[first].creations.append(action)
                }
            }
        }
        for (node, children) in moved { parts[node].removeCreations(of: children) }
        return !moved.isEmpty
    }

    /// Puts the creations of a task into an order in which it has, at each of them, what the child shares with it.
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
                case .unshare(let objects): .action(.unshare(objects))
                }
            }
        }
        parts[index].beforeSession = creations(steps.before)
        parts[index].creations = creations(steps.after)
        // The kernel makes a task's io context when it is first needed, and clone(2) can share only one that exists.
        let handsOn = all.contains { creation in creation.child.map { plan.atBirth[$0].contains(CloneObjects(.disk)) } ?? false }
        if handsOn && plan.incoming(.disk, index) == 0 {
            parts[index].beforeSession.insert(.action(.makeDiskContext), at: 0)
        }
    }
}
