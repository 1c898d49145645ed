import PidControl
import TreeModel

/// Carries out a plan in the model of the kernel, with the actions of different tasks in random order.
struct PlanExecution {
    private let plan: CreationPlan
    private let members: [UInt32: CreationPlan.Member]
    private(set) var kernel = KernelModel()
    /// The process that creates the root. It is pid 1 (as in a new pid namespace), or a child of that and leads a session.
    let tool: UInt32
    private var next: [UInt32: Int] = [:]
    private var running: [UInt32] = []
    private var groupMade: Set<UInt32> = []
    private var joined: [UInt32: Int] = [:]
    private var adopting: Set<UInt32> = []
    private(set) var hasDiskContext: Set<UInt32> = []
    private var innerDone: [UInt32: Int] = [:]
    private var reported: [UInt32: Int] = [:]
    private(set) var steps = 0

    struct Failure: Error, CustomStringConvertible { var description: String }

    init(_ plan: CreationPlan, of members: [CreationPlan.Member], toolIsInit: Bool) throws(KernelModel.Failure) {
        self.plan = plan
        self.members = Dictionary(uniqueKeysWithValues: members.map { ($0.pid, $0) })
        if toolIsInit {
            tool = 1
        } else {
            tool = 4_000_000
            try kernel.fork(1, as: tool)
            try kernel.setsid(tool)
        }
    }

    /// Runs every task to the end of its actions. Ghosts, placeholders and zombies end.
    mutating func run(_ random: inout SplitMix) throws {
        guard let root = plan.tasks.first?.pid else { return }
        try kernel.fork(tool, as: root)
        running = [root]
        while !running.isEmpty {
            var moved = false
            // Each round tries every task once, so a task that has to wait is tried again after all others.
            running.shuffle(using: &random)
            for pid in running {
                let few = Int.random(in: 1...4, using: &random)
                for _ in 0..<few where try step(pid) { moved = true }
            }
            running = running.filter { !isDone($0) }
            for pid in running where next[pid] == nil { next[pid] = 0 }
            for pid in born { running.append(pid) }
            if !born.isEmpty { moved = true }
            born = []
            for pid in ended.sorted() {
                let dies = members[pid]?.isZombie ?? true
                if dies { try kernel.exit(pid) }
            }
            if !ended.isEmpty { moved = true }
            ended = []
            if !moved {
                let waits = running.map { "\($0) at \(String(describing: action($0)))" }
                throw Failure(description: "all tasks wait: \(waits)")
            }
        }
    }

    private var born: [UInt32] = []
    private var ended: Set<UInt32> = []

    private func action(_ pid: UInt32) -> CreationPlan.Action? {
        guard let task = plan.task(pid) else { return nil }
        let index = next[pid] ?? 0
        return index < task.actions.count ? task.actions[index] : nil
    }

    private func isDone(_ pid: UInt32) -> Bool { action(pid) == nil }

    /// Carries out one action of a task.
    ///
    /// - Returns: false where the task has to wait.
    private mutating func step(_ pid: UInt32) throws -> Bool {
        guard let action = action(pid) else {
            ended.insert(pid)
            return false
        }
        switch action {
        case .create(let child), .createSibling(let child):
            guard let task = plan.task(child) else { return false }
            let isSibling = action == .createSibling(child)
            try kernel.fork(
                pid, as: child, inner: Array(task.numbers.dropFirst()), sibling: isSibling,
                exitSignal: members[child]?.exitSignal ?? 17, isInit: plan.isInit(task), sharing: task.sharesAtBirth)
            born.append(child)
        case .enterNamespace(let namespace):
            let first = plan.namespaces.inits[namespace]
            guard namespace == 0 || kernel[first] != nil else { return false }
            try kernel.enter(pid, first)
        case .setsid: try kernel.setsid(pid)
        case .unshare(let objects): try kernel.unshare(pid, objects.kinds)
        case .makeDiskContext: hasDiskContext.insert(pid)
        case .leadGroup:
            if kernel[pid]?.session != pid { try kernel.setpgid(pid, pid, to: pid) }
            groupMade.insert(pid)
        case .joinGroup(let group):
            guard groupMade.contains(group) else { return false }
            try kernel.setpgid(pid, pid, to: group)
            joined[group, default: 0] += 1
        case .awaitMembers(let group):
            guard joined[group, default: 0] == plan.joiners[group, default: 0] else { return false }
        case .adopt(let adoption):
            if !adopting.contains(pid) {
                guard innerDone[pid, default: 0] == adoption.inner else { return false }
                try kernel.setSubreaper(pid, true)
                adopting.insert(pid)
                return true
            }
            guard reported[pid, default: 0] == adoption.placeholders else { return false }
            try kernel.setSubreaper(pid, false)
            if let outer = adoption.outer { innerDone[outer, default: 0] += 1 }
        case .awaitAdopter(let adopter): guard adopting.contains(adopter) else { return false }
        case .reap(let child): guard try kernel.reap(pid, child) else { return false }
        case .reportAdoption(let adopter): reported[adopter, default: 0] += 1
        }
        next[pid, default: 0] += 1
        steps += 1
        if next[pid] == plan.task(pid)?.actions.count { ended.insert(pid) }
        return true
    }
}
