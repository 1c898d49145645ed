/// Turns the plans of sessions and groups into what each task does.
struct CreationBuilder {
    typealias Task = CreationPlan.Task
    typealias Action = CreationPlan.Action
    typealias Finding = CreationPlan.Finding

    var tasks: [Task] = []
    private(set) var position: [UInt32: Int] = [:]
    var findings: [Finding] = []
    private(set) var joiners: [UInt32: Int] = [:]
    /// Of the tree of creators.
    var ancestry = Ancestry(parents: [])
    /// Who is born with what; nil where nobody shares anything.
    var sharing: SharingPlan?

    let tree: MemberTree
    let sessions: SessionPlan
    private let groups: GroupPlan
    private var spare: any IteratorProtocol<UInt32>
    private let needed: Set<UInt32>

    /// By position in `tasks`; each list is done in the order of these fields.
    struct Parts {
        var beforeSession: [Action] = []
        var callsSetsid = false
        var creations: [Action] = []
        var makesGroup: [Action] = []
        var joins: [Action] = []
        var adoption: CreationPlan.Adoption?
        /// Placeholders to be reaped, with the node that adopts.
        var placeholders: [(pid: UInt32, adopter: Int)] = []
        /// Ghosts to be reaped; what a ghost waits for itself.
        var last: [Action] = []

        /// False: it does not create that one, or as a sibling.
        mutating func removeCreation(of pid: UInt32) -> Bool {
            if let index = beforeSession.firstIndex(of: .create(pid)) {
                beforeSession.remove(at: index)
            } else if let index = creations.firstIndex(of: .create(pid)) {
                creations.remove(at: index)
            } else {
                return false
            }
            return true
        }
    }

    var parts: [Parts] = []
    var creators: [Int?] = []
    /// The group it is born in.
    private var birthGroup: [UInt32] = []
    /// By placeholder position: who adopts.
    private var adopterOf: [(placeholder: Int, adopter: Int)] = []

    init(_ tree: MemberTree, _ sessions: SessionPlan, _ groups: GroupPlan, spare: some Sequence<UInt32>) {
        self.tree = tree
        self.sessions = sessions
        self.groups = groups
        var needed: Set<UInt32> = []
        for member in tree.members { needed.formUnion([member.pid, member.session, member.group]) }
        self.needed = needed
        self.spare = spare.makeIterator()
    }

    mutating func build() {
        for member in tree.members { _ = add(member.pid, .member, "") }
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
            tasks[index].actions = actions(parts)
        }
    }

    private mutating func add(_ pid: UInt32, _ role: CreationPlan.Role, _ purpose: String) -> Int {
        position[pid] = tasks.count
        tasks.append(Task(pid: pid, role: role, purpose: purpose))
        parts.append(Parts())
        creators.append(nil)
        return tasks.count - 1
    }

    private mutating func addPlaceholder(_ purpose: String) -> Int {
        while let number = spare.next() {
            if !needed.contains(number) { return add(number, .placeholder, purpose) }
        }
        findings.append(Finding(pid: tree.pid(1), reason: "needs a spare number, and there is none"))
        return add(0, .placeholder, purpose)
    }

    /// Nodes begin at 1, tasks at 0.
    private func task(_ node: Int) -> Int { node - 1 }

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
                parts[task(parent)].beforeSession.append(.create(tree.pid(node)))
            } else {
                parts[task(parent)].creations.append(.create(tree.pid(node)))
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
            founder = add(adoption.session, .ghost, "led session \(adoption.session)")
            parts[founder].callsSetsid = true
            creators[founder] = task(parent)
            parts[task(parent)].creations.append(.create(adoption.session))
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
                parts[founder].creations.append(.createSibling(tree.pid(child)))
            }
            guard !others.isEmpty else { continue }
            let placeholder = addPlaceholder(
                "creates children of \(tree.pid(adopter)) in session \(adoption.session)")
            creators[placeholder] = founder
            parts[founder].creations.append(.create(tasks[placeholder].pid))
            parts[founder].placeholders.append((tasks[placeholder].pid, adopter))
            adopterOf.append((placeholder, adopter))
            for child in others {
                let member = tree.members[child - 1]
                if member.exitSignal != CreationPlan.childSignal {
                    findings.append(Finding(pid: member.pid, reason: "was adopted, but would send its parent signal \(member.exitSignal) at its end"))
                }
                creators[task(child)] = placeholder
                parts[placeholder].creations.append(.create(member.pid))
            }
        }
    }

    /// The tree of creators, and whether it is one: who would have to exist before itself is refused.
    private mutating func makeAncestry() {
        ancestry = Ancestry(parents: creators.map { $0 ?? -1 })
        for index in tasks.indices where !ancestry.isReached(index) {
            findings.append(Finding(pid: tasks[index].pid, reason: "would have to exist before it is created"))
        }
        for (placeholder, adopter) in adopterOf where !ancestry.isAbove(task(adopter), placeholder) {
            for case .create(let pid) in parts[placeholder].creations {
                findings.append(Finding(pid: pid, reason: "cannot get to its parent \(tree.pid(adopter))"))
            }
        }
    }

    // MARK: Groups

    private mutating func arrangeGroups() {
        birthGroup = [UInt32](repeating: tree.outsideGroup, count: tasks.count)
        for index in ancestry.order {
            guard let creator = creators[index] else { continue }
            let isBefore = index < tree.members.count && parts[creator].callsSetsid && isBornBefore(index, creator)
            birthGroup[index] = parts[creator].callsSetsid && !isBefore ? tasks[creator].pid : birthGroup[creator]
        }
        for node in tree.all ?? 1...1 {
            let member = tree.members[node - 1]
            let index = task(node)
            if groups.leavers.contains(node) {
                let holder = addPlaceholder("keeps process group \(member.pid), which its leader left")
                creators[holder] = index
                parts[index].makesGroup += [.leadGroup, .create(tasks[holder].pid)]
                parts[index].last.append(.reap(tasks[holder].pid))
                parts[holder].last.append(.awaitMembers(of: member.pid))
                join(index, member.group)
            } else if member.group == member.pid {
                parts[index].makesGroup.append(.leadGroup)
            } else if member.group != birthGroup[index] {
                if member.group == tree.outsideGroup && tree.node(of: member.group) == nil {
                    findings.append(Finding(pid: member.pid, reason: "cannot be born in process group \(member.group), which lies outside of the tree"))
                }
                join(index, member.group)
            }
        }
        for ghost in groups.ghosts {
            let index = add(ghost.group, .ghost, "led process group \(ghost.group)")
            creators[index] = task(ghost.maker)
            parts[task(ghost.maker)].makesGroup.append(.create(ghost.group))
            parts[task(ghost.maker)].last.append(.reap(ghost.group))
            parts[index].makesGroup.append(.leadGroup)
            parts[index].last.append(.awaitMembers(of: ghost.group))
        }
        for adoption in sessions.adoptions where adoption.founder == nil && groups.held.contains(adoption.session) {
            guard let index = position[adoption.session] else { continue }
            parts[index].makesGroup.append(.leadGroup)
            parts[index].last.append(.awaitMembers(of: adoption.session))
        }
        // Those that came meanwhile hang below members.
        ancestry = Ancestry(parents: creators.map { $0 ?? -1 })
    }

    private func isBornBefore(_ index: Int, _ creator: Int) -> Bool {
        guard creator < tree.members.count, let birth = sessions.birth[index + 1] else { return false }
        return birth != tasks[creator].pid
    }

    private mutating func join(_ index: Int, _ group: UInt32) {
        parts[index].joins.append(.joinGroup(group))
        joiners[group, default: 0] += 1
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

    private func actions(_ parts: Parts) -> [Action] {
        var actions = parts.beforeSession
        if parts.callsSetsid { actions.append(.setsid) }
        actions += parts.creations + parts.makesGroup + parts.joins
        if let adoption = parts.adoption { actions.append(.adopt(adoption)) }
        for (pid, adopter) in parts.placeholders.sorted(by: { tree.ancestry.depth[$0.adopter] > tree.ancestry.depth[$1.adopter] }) {
            actions += [.reap(pid), .reportAdoption(to: tree.pid(adopter))]
        }
        return actions + parts.last
    }
}
