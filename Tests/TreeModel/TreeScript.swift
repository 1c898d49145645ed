package import PidControl

/// A random history of processes: the calls of fork, setsid, setpgid, exit and so on that each made, in one order.
/// Processes are numbered from 0 in the order of their creation. Process 0 lies outside of the tree and leads a session;
/// one of its children is the root of the tree.
package struct TreeScript: Sendable {
    package enum Operation: Equatable, Sendable {
        /// The actor's child gets the next number.
        case fork(exitSignal: UInt32, sharing: CloneObjects = [])
        /// A child of the actor's parent (`CLONE_PARENT`).
        case forkSibling(sharing: CloneObjects = [])
        case unshare(CloneObjects)
        case exec
        /// `CLONE_NEWPID`: the child is the init of a new pid namespace.
        case forkInit
        /// A child in the pid namespace of this init: `setns`, fork, `setns` back.
        case forkInto(Int)
        case setsid
        /// Moves `target` (itself or a child) to the group of `group`'s number.
        case setpgid(target: Int, group: Int)
        case subreaper(Bool)
        case exit
        case reap(Int)
    }

    package struct Step: Equatable, Sendable {
        package var actor: Int
        package var operation: Operation
    }

    /// The weights with which each kind of event is chosen, and limits.
    struct Habits {
        var steps = 200
        var atMost = 30
        var fork = 10
        var daemon = 2
        var setsid = 2
        var setpgid = 4
        var exit = 4
        var reap = 4
        var subreaper = 1
        /// Events that are rare in real programs: a subreaper that stops being one, `CLONE_PARENT`, other exit signals.
        var unusual = 0
        var unshare = 0
        var exec = 0
        /// The kinds of objects that children can share with their creators.
        var sharing: CloneObjects
        var namespace = 0
        var injection = 0

        init(_ random: inout SplitMix, atMost: Int, isUnusual: Bool, sharing: CloneObjects, hasNamespaces: Bool) {
            self.sharing = sharing
            self.atMost = Int.random(in: 2...atMost, using: &random)
            steps = self.atMost * Int.random(in: 2...8, using: &random)
            daemon = Int.random(in: 0...6, using: &random)
            setsid = Int.random(in: 0...6, using: &random)
            setpgid = Int.random(in: 0...8, using: &random)
            exit = Int.random(in: 0...8, using: &random)
            reap = Int.random(in: 0...8, using: &random)
            subreaper = Int.random(in: 0...4, using: &random)
            unusual = isUnusual ? Int.random(in: 1...4, using: &random) : 0
            if hasNamespaces {
                namespace = Int.random(in: 1...4, using: &random)
                injection = Int.random(in: 0...4, using: &random)
            }
            guard !sharing.isEmpty else { return }
            unshare = Int.random(in: 0...6, using: &random)
            exec = sharing.contains(CloneObjects(.memory)) ? Int.random(in: 0...3, using: &random) : 0
        }

        /// A random set of kinds that clone(2) accepts.
        func share(_ random: inout SplitMix) -> CloneObjects {
            guard !sharing.isEmpty, Bool.random(using: &random) else { return [] }
            var kinds = CloneObjects(rawValue: UInt8.random(in: 0...63, using: &random)).intersection(sharing)
            if !kinds.contains(CloneObjects(.memory)) { kinds.remove(CloneObjects(.actions)) }
            return kinds
        }
    }

    package private(set) var steps: [Step] = []
    package private(set) var kernel = KernelModel()
    package private(set) var root = 0
    /// By number in the history.
    package private(set) var pids: [UInt32] = []
    private var numbers: [UInt32: Int] = [:]
    private var freeNumbers: [UInt32] = []

    /// Makes a history with at most `atMost` processes in the tree at any time.
    ///
    /// - Parameters:
    ///   - isUnusual: whether there are events that are rare in real programs.
    ///   - sharing: what processes can share.
    ///   - hasNamespaces: whether pid namespaces are made and entered.
    package init(
        _ random: inout SplitMix, atMost: Int, isUnusual: Bool = false, sharing: CloneObjects = [], hasNamespaces: Bool = false
    ) {
        let habits = Habits(&random, atMost: atMost, isUnusual: isUnusual, sharing: sharing, hasNamespaces: hasNamespaces)
        var numbers = Array(UInt32(100)..<UInt32(200 + 3 * habits.steps))
        // In half of all histories the pids do not rise with time, as it is after they have begun anew from the lowest.
        if Bool.random(using: &random) { numbers.shuffle(using: &random) } else { numbers.reverse() }
        freeNumbers = numbers
        let outside = born()
        try? kernel.fork(1, as: outside)
        try? kernel.setsid(outside)
        begin(&random)
        for _ in 0..<habits.steps { event(habits, &random) }
        for child in zombies(of: pids[0]) { perform(0, .reap(self.numbers[child]!)) }
    }

    private mutating func born() -> UInt32 {
        let pid = freeNumbers.removeLast()
        numbers[pid] = pids.count
        pids.append(pid)
        return pid
    }

    /// Creates the root: a member of a pipeline, a job of its own, or the leader of a session.
    private mutating func begin(_ random: inout SplitMix) {
        if Bool.random(using: &random) {
            perform(0, .fork(exitSignal: 17))
            if Bool.random(using: &random) { perform(1, .setpgid(target: 1, group: 1)) }
        }
        perform(0, .fork(exitSignal: 17))
        root = pids.count - 1
        switch Int.random(in: 0..<5, using: &random) {
        case 0: perform(root, .setpgid(target: root, group: root))
        case 1: perform(root, .setpgid(target: root, group: 1))
        case 2: break
        default: perform(root, .setsid)
        }
        // Sometimes a subreaper: like a container's init it gets all orphans.
        if Int.random(in: 0..<5, using: &random) == 0 { perform(root, .subreaper(true)) }
    }

    private mutating func event(_ habits: Habits, _ random: inout SplitMix) {
        let members = kernel.tree(of: pids[root])
        let living = members.filter { !$0.isZombie }
        guard let process = living.randomElement(using: &random), let actor = numbers[process.pid] else { return }
        let kinds = [
            habits.fork, habits.daemon, habits.setsid, habits.setpgid, habits.exit, habits.reap, habits.subreaper,
            habits.unusual, habits.unshare, habits.exec, habits.namespace, habits.injection,
        ]
        var pick = Int.random(in: 0..<kinds.reduce(0, +), using: &random)
        let kind = kinds.firstIndex { weight in
            pick -= weight
            return pick < 0
        }
        switch kind {
        case 0: if members.count < habits.atMost { perform(actor, .fork(exitSignal: 17, sharing: habits.share(&random))) }
        case 1: if members.count + 1 < habits.atMost { daemonise(actor, habits, &random) }
        case 2: perform(actor, .setsid)
        case 3: moveGroup(process, actor, &random)
        case 4: if actor != root { perform(actor, .exit) }
        case 5: if let child = zombies(of: process.pid).randomElement(using: &random) { perform(actor, .reap(numbers[child]!)) }
        case 6: perform(actor, .subreaper(true))
        case 8: perform(actor, .unshare(CloneObjects(rawValue: UInt8.random(in: 1...63, using: &random)).intersection(.unshareable)))
        case 9: perform(actor, .exec)
        case 10: if members.count < habits.atMost { perform(actor, .forkInit) }
        case 11:
            let inits = living.filter { $0.pid == $0.namespace && $0.pid != process.namespace }
            if members.count < habits.atMost, let one = inits.randomElement(using: &random) {
                perform(actor, .forkInto(numbers[one.pid]!))
            }
        default:
            if members.count >= habits.atMost { return }
            switch Int.random(in: 0..<3, using: &random) {
            case 0: perform(actor, .subreaper(false))
            case 1: if actor != root { perform(actor, .forkSibling(sharing: habits.share(&random))) }
            default: perform(actor, .fork(exitSignal: [0, 10].randomElement(using: &random)!, sharing: habits.share(&random)))
            }
        }
    }

    /// The calls with which a daemon begins: fork, setsid or setpgid, fork, exit.
    private mutating func daemonise(_ actor: Int, _ habits: Habits, _ random: inout SplitMix) {
        perform(actor, .fork(exitSignal: 17, sharing: habits.share(&random)))
        let between = pids.count - 1
        switch Int.random(in: 0..<3, using: &random) {
        case 0: perform(between, .setsid)
        case 1: perform(between, .setpgid(target: between, group: between))
        default: break
        }
        perform(between, .fork(exitSignal: 17, sharing: habits.share(&random)))
        let daemon = pids.count - 1
        if Int.random(in: 0..<4, using: &random) == 0 { perform(daemon, .setsid) }
        perform(between, .exit)
        if Bool.random(using: &random) { perform(actor, .reap(between)) }
    }

    private mutating func moveGroup(_ process: KernelModel.Process, _ actor: Int, _ random: inout SplitMix) {
        if let child = process.children.randomElement(using: &random), Bool.random(using: &random) {
            perform(actor, .setpgid(target: numbers[child]!, group: numbers[child]!))
            return
        }
        let groups = Set(kernel.processes.values.filter { $0.session == process.session }.map(\.group)).sorted()
        let known = groups.compactMap { numbers[$0] } + [actor]
        perform(actor, .setpgid(target: actor, group: known.randomElement(using: &random)!))
    }

    private func zombies(of pid: UInt32) -> [UInt32] {
        (kernel[pid]?.children ?? []).filter { kernel[$0]?.isZombie == true }
    }

    /// Carries out an operation in the model, and adds it to the history if the model did not refuse it.
    private mutating func perform(_ actor: Int, _ operation: Operation) {
        let pid = pids[actor]
        do {
            switch operation {
            case .fork(let signal, let sharing):
                try fork { kernel, child in try kernel.fork(pid, as: child, exitSignal: signal, sharing: sharing) }
            case .forkSibling(let sharing):
                try fork { kernel, child in try kernel.fork(pid, as: child, sibling: true, sharing: sharing) }
            case .unshare(let kinds): try kernel.unshare(pid, kinds)
            case .exec: try kernel.exec(pid)
            case .forkInit: try fork { kernel, child in try kernel.fork(pid, as: child, isInit: true) }
            case .forkInto(let number):
                let own = kernel[pid]?.namespace ?? 0
                try kernel.enter(pid, pids[number])
                defer { try? kernel.enter(pid, own) }
                try fork { kernel, child in try kernel.fork(pid, as: child) }
            case .setsid: try kernel.setsid(pid)
            case .setpgid(let target, let group):
                // Refused if the group has become empty and its number belongs to another process now.
                try kernel.setpgid(pid, pids[target], to: pids[group])
            case .subreaper(let value): try kernel.setSubreaper(pid, value)
            case .exit:
                try kernel.exit(pid)
                for child in zombies(of: 1) { _ = try kernel.reap(1, child) }
            case .reap(let child): guard try kernel.reap(pid, pids[child]) else { return }
            }
            steps.append(Step(actor: actor, operation: operation))
        } catch {}
    }

    private mutating func fork(_ body: (inout KernelModel, UInt32) throws -> Void) throws {
        guard let child = freeNumbers.last else { throw KernelModel.Failure.EINVAL }
        try body(&kernel, child)
        _ = born()
    }

    // MARK: The tree at the end

    /// The tree as a checkpoint finds it: parents before children, siblings in the order of their start.
    package var members: [CreationPlan.Member] {
        let numbers = namespaceNumbers
        return all.map { process in
            CreationPlan.Member(
                pid: process.pid, parent: process.pid == pids[root] ? 0 : process.parent, session: process.session,
                group: process.group, isZombie: process.isZombie, exitSignal: process.exitSignal,
                objects: process.isZombie ? CloneObjectIDs() : process.objects, namespace: numbers[process.namespace] ?? 0,
                inner: (
                    kernel.inner(process.pid, seenBy: process.pid), kernel.inner(process.session, seenBy: process.pid),
                    kernel.inner(process.group, seenBy: process.pid)
                ))
        }
    }

    /// The pid namespaces of the tree, outer ones first.
    package var namespaces: PidNamespaces {
        var found = PidNamespaces()
        let numbers = namespaceNumbers
        for (pid, _) in numbers.sorted(by: { $0.value < $1.value }) {
            found.add(parent: kernel.lineage(of: pid).dropLast().last.flatMap { numbers[$0] } ?? 0, initPid: pid)
        }
        return found
    }

    /// Numbers from 1 of the nested pid namespaces, by their inits.
    private var namespaceNumbers: [UInt32: Int] {
        let inits = all.filter { $0.pid == $0.namespace }.map(\.pid)
        let ordered = inits.sorted { (kernel.lineage(of: $0).count, $0) < (kernel.lineage(of: $1).count, $1) }
        return Dictionary(uniqueKeysWithValues: ordered.enumerated().map { ($1, $0 + 1) })
    }

    /// Whether the tree contains the init of every nested pid namespace in which one of its processes lives.
    package var holdsInits: Bool {
        let numbers = namespaceNumbers
        return all.allSatisfy { kernel.lineage(of: $0.namespace).allSatisfy { numbers[$0] != nil } }
    }

    private var all: [KernelModel.Process] {
        var found: [KernelModel.Process] = []
        var waiting = [pids[root]]
        while let pid = waiting.popLast() {
            guard let process = kernel[pid] else { continue }
            found.append(process)
            waiting += process.children.sorted { numbers[$0]! > numbers[$1]! }
        }
        return found
    }

    /// Whether a process outside of the tree shares an object with one of its processes.
    package var sharesWithOutside: Bool {
        let members = members
        let inside = Set(members.map(\.pid))
        return CloneObject.allCases.contains { kind in
            let own = Set(members.filter { !$0.isZombie }.map { $0.objects[kind] })
            return kernel.processes.values.contains { !inside.contains($0.pid) && !$0.isZombie && own.contains($0.objects[kind]) }
        }
    }

    /// For each object that several members share: the number of its kind, then their pids.
    package var sharing: [[UInt32]] { Self.sharing(members.filter { !$0.isZombie }.map { ($0.pid, $0.objects) }) }

    package static func sharing(_ objects: [(pid: UInt32, objects: CloneObjectIDs)]) -> [[UInt32]] {
        CloneObject.allCases.flatMap { kind in
            Dictionary(grouping: objects.filter { $0.objects[kind] != 0 }, by: { $0.objects[kind] }).values
                .filter { $0.count > 1 }.map { [UInt32(kind.rawValue)] + $0.map(\.pid).sorted() }
        }.sorted { $0.lexicographicallyPrecedes($1) }
    }

    package var outsideSession: UInt32 {
        let first = members[0]
        return first.session == first.pid ? 0 : first.session
    }

    package var outsideGroup: UInt32 {
        let all = members
        return all.contains { $0.pid == all[0].group } ? 0 : all[0].group
    }

    /// The history as the workload `forest` reads it: one step a line, `ACTOR OPERATION [NUMBER [NUMBER]]`.
    package var lines: [String] {
        steps.map { step in
            switch step.operation {
            case .fork(let signal, let sharing): "\(step.actor) fork \(UInt64(signal) | sharing.cloneFlags)"
            case .forkSibling(let sharing): "\(step.actor) sibling \(sharing.cloneFlags)"
            case .unshare(let kinds): "\(step.actor) unshare \(kinds.cloneFlags)"
            case .exec: "\(step.actor) exec"
            case .forkInit: "\(step.actor) init"
            case .forkInto(let number): "\(step.actor) into \(number)"
            case .setsid: "\(step.actor) setsid"
            case .setpgid(let target, let group): "\(step.actor) setpgid \(target) \(group)"
            case .subreaper(let value): "\(step.actor) subreaper \(value ? 1 : 0)"
            case .exit: "\(step.actor) exit"
            case .reap(let child): "\(step.actor) reap \(child)"
            }
        }
    }
}
