/// Turns the plans of sessions, groups and sharing into the list of actions of each task.
struct CreationBuilder {
    typealias Task = CreationPlan.Task
    typealias Action = CreationPlan.Action
    typealias Finding = CreationPlan.Finding

    var tasks: [Task] = []
    var position: [UInt32: Int] = [:]
    var findings: [Finding] = []
    var joiners: [UInt32: Int] = [:]
    /// Of the tree in which the parent of each task is its creator.
    var ancestry = Ancestry(parents: [])
    /// What tasks share at their creation; nil where no two processes share anything.
    var sharing: SharingPlan?

    let tree: MemberTree
    let sessions: SessionPlan
    let groups: GroupPlan
    private var spare: any IteratorProtocol<UInt32>
    private let needed: Set<UInt32>
    var namespaces: PidNamespaces

    /// By position in `tasks`.
    var parts: [Parts] = []
    /// By position in `tasks`, a position. Nil: the root.
    var creators: [Int?] = []
    /// By position in `tasks`: the process group in which the task is created.
    var birthGroup: [UInt32] = []
    /// Tasks that join the group in which they were created once more, after stays in other groups.
    var returning: Set<Int> = []
    /// Positions of placeholders, each with the node that adopts its orphans.
    private var adopterOf: [(placeholder: Int, adopter: Int)] = []

    init(_ tree: MemberTree, _ sessions: SessionPlan, _ groups: GroupPlan, spare: some Sequence<UInt32>) {
        self.tree = tree
        self.sessions = sessions
        self.groups = groups
        namespaces = tree.namespaces
        var needed: Set<UInt32> = []
        for member in tree.members { needed.formUnion([member.pid, member.session, member.group]) }
        self.needed = needed
        self.spare = spare.makeIterator()
    }

    mutating func build() {
        for member in tree.members { _ = add(member.pid, .member, "", in: member.namespace, member.innerPids) }
        createMembers()
        guard findings.isEmpty else { return }
        makeAncestry()
        guard findings.isEmpty else { return }
        arrangeSharing()
        guard findings.isEmpty else { return }
        arrangeGroups()
        arrangeAdoptions()
        for (index, parts) in parts.enumerated() {
            tasks[index].creator = creators[index].map { tasks[$0].pid }
            tasks[index].actions = actions(parts, of: index)
        }
    }

    mutating func add(
        _ pid: UInt32, _ role: CreationPlan.Role, _ purpose: String, in namespace: Int, _ inner: [UInt32]
    ) -> Int {
        position[pid] = tasks.count
        tasks.append(Task(pid: pid, role: role, purpose: purpose, namespace: namespace, inner: inner))
        parts.append(Parts())
        creators.append(nil)
        return tasks.count - 1
    }

    mutating func addPlaceholder(_ purpose: String, in namespace: Int) -> Int {
        let inner = namespaces.spareNumbers(in: namespace)
        while let number = spare.next() {
            if !needed.contains(number) { return add(number, .placeholder, purpose, in: namespace, inner) }
        }
        findings.append(Finding(pid: tree.pid(1), reason: "needs a spare number, and there is none"))
        return add(0, .placeholder, purpose, in: namespace, inner)
    }

    /// The position in `tasks` of a node of `tree`: nodes count from 1, positions from 0.
    func task(_ node: Int) -> Int { node - 1 }

    // MARK: Creators

    private mutating func createMembers() {
        var adopted: Set<Int> = []
        for adoption in sessions.adoptions { for adopter in adoption.adopters { adopted.formUnion(adopter.children) } }
        for node in tree.all ?? 1...1 {
            if tree.leads(node) { parts[task(node)].callsSetsid = true }
            if adopted.contains(node) { continue }
            let parent = tree.parents[node]
            if parent == 0 { continue }
            creators[task(node)] = task(parent)
            let birth = sessions.birth[node]
            if let birth, tree.leads(parent), birth != tree.session(parent) {
                parts[task(parent)].beforeSession.append(.birth(task(node)))
            } else {
                parts[task(parent)].creations.append(.birth(task(node)))
            }
        }
        for adoption in sessions.adoptions { create(adoption, adopted) }
    }

    /// Makes the founder of a session, or a ghost of it, the creator of all children of the session that were
    /// adopted: directly as its siblings where it has their parent, otherwise by a placeholder for each adopter.
    private mutating func create(_ adoption: SessionPlan.Adoption, _ adopted: Set<Int>) {
        let founder: Int
        /// The node whose children the founder can create as its siblings; -1: none.
        let parent: Int
        if let node = adoption.founder {
            founder = task(node)
            // A founder that is adopted itself has another parent at the time of its creations than in the end.
            parent = adopted.contains(node) ? -1 : tree.parents[node]
        } else {
            parent = adoption.adopters[0].parent
            let place = tree.place(ofSession: adoption.session)
            founder = add(adoption.session, .ghost, "led session \(adoption.session)", in: place.namespace, place.inner)
            parts[founder].callsSetsid = true
            creators[founder] = task(parent)
            parts[task(parent)].creations.append(.birth(founder))
            parts[task(parent)].last.append(.reap(adoption.session))
        }
        let signal = adoption.founder.map { tree.members[$0 - 1].exitSignal } ?? CreationPlan.childSignal
        for (adopter, children) in adoption.adopters {
            var others: [Int] = []
            for child in children {
                guard adopter == parent && tree.members[child - 1].exitSignal == signal else {
                    others.append(child)
                    continue
                }
                creators[task(child)] = founder
                parts[founder].creations.append(.birth(task(child), isSibling: true))
            }
            guard !others.isEmpty else { continue }
            let placeholder = addPlaceholder(
                "creates children of \(tree.pid(adopter)) in session \(adoption.session)", in: tree.namespace(adopter))
            creators[placeholder] = founder
            parts[founder].creations.append(.birth(placeholder))
            parts[founder].placeholders.append((tasks[placeholder].pid, adopter))
            adopterOf.append((placeholder, adopter))
            for child in others {
                let member = tree.members[child - 1]
                if member.exitSignal != CreationPlan.childSignal {
                    findings.append(Finding(pid: member.pid, reason: "was adopted, but would send its parent signal \(member.exitSignal) at its end"))
                }
                creators[task(child)] = placeholder
                parts[placeholder].creations.append(.birth(task(child)))
            }
        }
    }

    /// Makes the tree of creators, and refuses what cannot be created in it: a task that would be its own ancestor,
    /// a placeholder whose orphans go to another process than its adopter, a pid namespace out of reach.
    private mutating func makeAncestry() {
        ancestry = Ancestry(parents: creators.map { $0 ?? -1 })
        for index in tasks.indices where !ancestry.isReached(index) {
            findings.append(Finding(pid: tasks[index].pid, reason: "would have to exist before it is created"))
        }
        for (placeholder, adopter) in adopterOf where !gets(placeholder, to: adopter) {
            for child in parts[placeholder].creations.compactMap(\.child) {
                findings.append(Finding(pid: tasks[child].pid, reason: "cannot get to its parent \(tree.pid(adopter))"))
            }
        }
        for (index, creator) in creators.enumerated() {
            if let creator, let reason = obstacle(tasks[index], tasks[creator]) {
                findings.append(Finding(pid: tasks[index].pid, reason: reason))
            }
        }
        for (index, parts) in parts.enumerated() where namespaces.isInit(tasks[index].pid, of: tasks[index].namespace) {
            for creation in parts.creations where creation.isSibling {
                findings.append(
                    Finding(pid: tasks[creation.child ?? index].pid, reason: "would be a sibling made by \(tasks[index].pid), the init of a pid namespace"))
            }
        }
    }

    /// Whether the orphans of a placeholder go to its adopter. An orphan stays in the pid namespace of its dead parent:
    /// where the founder is in an outer one, the orphan goes to the init of its own.
    private func gets(_ placeholder: Int, to adopter: Int) -> Bool {
        guard let founder = creators[placeholder] else { return false }
        if tasks[founder].namespace == tasks[placeholder].namespace { return ancestry.isAbove(task(adopter), placeholder) }
        return tree.isInit(adopter) && namespaces.isAbove(tasks[founder].namespace, tree.namespace(adopter))
    }

    /// Why `creator` cannot create `child` in the child's pid namespace; nil: it can.
    private func obstacle(_ child: Task, _ creator: Task) -> String? {
        if namespaces.isInit(child.pid, of: child.namespace) {
            return namespaces.parents[child.namespace] == creator.namespace
                ? nil : "is the init of a pid namespace, which its creator \(creator.pid) cannot make"
        }
        return namespaces.isAt(creator.namespace, orAbove: child.namespace)
            ? nil : "is in a pid namespace that its creator \(creator.pid) cannot enter"
    }

    // MARK: Adoptions

    private mutating func arrangeAdoptions() {
        var adopters: [Int: CreationPlan.Adoption] = [:]
        for (placeholder, adopter) in adopterOf {
            adopters[task(adopter), default: CreationPlan.Adoption()].placeholders += 1
            parts[placeholder].last.append(.awaitAdopter(tree.pid(adopter)))
        }
        // Finds the next adopter above each adopter: `line` holds the adopters above the current one, outermost first.
        var line: [Int] = []
        for index in adopters.keys.sorted(by: { ancestry.enter[$0] < ancestry.enter[$1] }) {
            while let last = line.last, !ancestry.isAbove(last, index) { line.removeLast() }
            if let outer = line.last {
                adopters[index]?.outer = tasks[outer].pid
                adopters[outer]?.inner += 1
            }
            line.append(index)
        }
        for (index, adoption) in adopters { parts[index].adoption = adoption }
    }

    /// The actions of some creations, with the changes of the pid namespace for children that they need.
    private func creations(_ births: [Creation], by creator: Int) -> [Action] {
        let own = tasks[creator].namespace
        var current = own
        var actions: [Action] = []
        for birth in births {
            if case .action(let action) = birth { actions.append(action) }
            guard let child = birth.child.map({ tasks[$0] }) else { continue }
            let wanted = namespaces.isInit(child.pid, of: child.namespace) ? own : child.namespace
            if wanted != current { actions.append(.enterNamespace(wanted)) }
            current = wanted
            actions.append(birth.isSibling ? .createSibling(child.pid) : .create(child.pid))
        }
        if current != own { actions.append(.enterNamespace(own)) }
        return actions
    }

    private func actions(_ parts: Parts, of index: Int) -> [Action] {
        func passing(_ list: [Passing]) -> [Action] {
            list.flatMap { [.joinGroup($0.group)] + creations($0.births, by: index) }
        }
        var actions = creations(parts.beforeSession, by: index) + passing(parts.passingBeforeSession)
        if parts.callsSetsid { actions.append(.setsid) }
        actions += creations(parts.creations, by: index) + passing(parts.passing)
        actions += parts.makesGroup + creations(parts.leaderCreations, by: index)
        actions += parts.joins + creations(parts.lateCreations, by: index)
        if let adoption = parts.adoption { actions.append(.adopt(adoption)) }
        for (pid, adopter) in parts.placeholders.sorted(by: { tree.ancestry.depth[$0.adopter] > tree.ancestry.depth[$1.adopter] }) {
            actions += [.reap(pid), .reportAdoption(to: tree.pid(adopter))]
        }
        return actions + parts.last
    }
}
