/// Turns the plans of sessions and groups into what each task does.
struct CreationBuilder {
    typealias Task = CreationPlan.Task
    typealias Action = CreationPlan.Action
    typealias Finding = CreationPlan.Finding

    var tasks: [Task] = []
    var position: [UInt32: Int] = [:]
    var findings: [Finding] = []
    var joiners: [UInt32: Int] = [:]
    /// Of the tree of creators.
    var ancestry = Ancestry(parents: [])
    /// Who is born with what; nil where nobody shares anything.
    var sharing: SharingPlan?

    let tree: MemberTree
    let sessions: SessionPlan
    let groups: GroupPlan
    private var spare: any IteratorProtocol<UInt32>
    private let needed: Set<UInt32>
    var namespaces: PidNamespaces

    /// By position in `tasks`; each list is done in the order of these fields.
    struct Parts {
        var beforeSession: [Creation] = []
        /// Who does not see its group is born in it: while its creator is there for that, before its session and after.
        var passingBeforeSession: [Passing] = []
        var callsSetsid = false
        var creations: [Creation] = []
        var passing: [Passing] = []
        var makesGroup: [Action] = []
        /// Those who are born in the group that this task leads for a while, and in the one that it stays in.
        var leaderCreations: [Creation] = []
        var joins: [Action] = []
        var lateCreations: [Creation] = []
        var adoption: CreationPlan.Adoption?
        /// Placeholders to be reaped, with the node that adopts.
        var placeholders: [(pid: UInt32, adopter: Int)] = []
        /// Ghosts to be reaped; what a ghost waits for itself.
        var last: [Action] = []

        /// Others create these.
        mutating func removeCreations(of children: Set<Int>) {
            func isRemoved(_ creation: Creation) -> Bool {
                if case .birth(let child, isSibling: false) = creation { children.contains(child) } else { false }
            }
            beforeSession.removeAll(where: isRemoved)
            creations.removeAll(where: isRemoved)
        }
    }

    /// A task that another one creates, by its position, or what it does between two creations.
    enum Creation: Equatable {
        case birth(_ child: Int, isSibling: Bool = false)
        case action(Action)

        var child: Int? { if case .birth(let child, _) = self { child } else { nil } }
        var isSibling: Bool { if case .birth(_, isSibling: true) = self { true } else { false } }
    }

    /// A group that a task is in for a while, and whom it creates there.
    struct Passing {
        var group: UInt32
        var births: [Creation]
    }

    var parts: [Parts] = []
    var creators: [Int?] = []
    /// The group it is born in.
    var birthGroup: [UInt32] = []
    /// Those who go back to the group they were born in.
    var returning: Set<Int> = []
    /// By placeholder position: who adopts.
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

    /// Nodes begin at 1, tasks at 0.
    func task(_ node: Int) -> Int { node - 1 }

    // MARK: Who creates whom

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

    /// Everybody whom the founder of a session, or its ghost, has to create for others.
    private mutating func create(_ adoption: SessionPlan.Adoption, _ adopted: Set<Int>) {
        let founder: Int
        /// Whose children the founder can create as its siblings.
        let parent: Int
        if let node = adoption.founder {
            founder = task(node)
            // One that gets to its parent later has another one when it creates.
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

    /// The tree of creators, and whether it is one: who would have to exist before itself is refused.
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

    /// Whether the orphans of a placeholder go to its adopter: nobody's orphans leave their pid namespace.
    private func gets(_ placeholder: Int, to adopter: Int) -> Bool {
        guard let founder = creators[placeholder] else { return false }
        if tasks[founder].namespace == tasks[placeholder].namespace { return ancestry.isAbove(task(adopter), placeholder) }
        return tree.isInit(adopter) && namespaces.isAbove(tasks[founder].namespace, tree.namespace(adopter))
    }

    /// Why somebody cannot have a child in its pid namespace.
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
        // The next adopter above each, by walking over all in preorder.
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

    /// Creations, each in the pid namespace that it needs.
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
