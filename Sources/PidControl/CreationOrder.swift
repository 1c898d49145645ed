/// Checks that a plan ends: that no tasks wait for each other in a circle.
///
/// Without nested pid namespaces the order of actions (see `CreationPlan`) rules that out. With them, a task can
/// have to wait before it has created all its children: until a pid namespace exists, or until the group exists in
/// which a child has to be created. So the whole plan is played through.
///
/// Pure: every action is carried out as if it took no time.
struct CreationOrder {
    private let plan: CreationPlan
    private var next: [UInt32: Int] = [:]
    private var waiting: [UInt32] = []
    private var made: Set<UInt32> = []
    private var joined: [UInt32: Int] = [:]
    private var adopting: Set<UInt32> = []
    private var innerDone: [UInt32: Int] = [:]
    private var adopted: [UInt32: Int] = [:]
    private var changes = 0
    private var ended: Set<UInt32> = []
    private(set) var findings: [CreationPlan.Finding] = []

    init(_ plan: CreationPlan) {
        self.plan = plan
        guard plan.namespaces.areNested, let root = plan.tasks.first?.pid else { return }
        waiting = [root]
        next[root] = 0
        while true {
            let round = waiting
            waiting = []
            let before = changes
            for pid in round { run(pid) }
            if changes == before { break }
        }
        findings = waiting.map {
            CreationPlan.Finding(pid: $0, reason: "would wait for ever for other processes while the tree is created")
        }
    }

    /// Plays the actions of a task until one has to wait or all are done.
    private mutating func run(_ pid: UInt32) {
        guard let actions = plan.task(pid)?.actions else { return }
        var index = next[pid] ?? 0
        while index < actions.count, perform(actions[index], pid) {
            index += 1
            changes += 1
        }
        next[pid] = index
        if index < actions.count { waiting.append(pid) } else if ended.insert(pid).inserted { changes += 1 }
    }

    /// Plays one action.
    ///
    /// - Returns: false where the task has to wait; the action is then tried again in the next round.
    private mutating func perform(_ action: CreationPlan.Action, _ pid: UInt32) -> Bool {
        switch action {
        case .create(let child), .createSibling(let child):
            next[child] = 0
            waiting.append(child)
        case .enterNamespace(let namespace):
            return namespace == plan.task(pid)?.namespace || next[plan.namespaces.inits[namespace]] != nil
        case .setsid, .unshare, .makeDiskContext: break
        case .leadGroup: made.insert(pid)
        case .joinGroup(let group):
            guard made.contains(group) else { return false }
            joined[group, default: 0] += 1
        case .awaitMembers(let group): return joined[group, default: 0] >= plan.joiners[group, default: 0]
        case .adopt(let adoption):
            guard innerDone[pid, default: 0] >= adoption.inner else { return false }
            if adopting.insert(pid).inserted { changes += 1 }
            guard adopted[pid, default: 0] >= adoption.placeholders else { return false }
            if let outer = adoption.outer { innerDone[outer, default: 0] += 1 }
        case .awaitAdopter(let adopter): return adopting.contains(adopter)
        case .reap(let child): return ended.contains(child)
        case .reportAdoption(let adopter): adopted[adopter, default: 0] += 1
        }
        return true
    }
}
