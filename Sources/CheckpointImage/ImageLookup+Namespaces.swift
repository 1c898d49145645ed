/// The namespaces of a tree.
///
/// Pid namespaces have a number besides their id: 0 is that of the root, the others, which are nested in it, count
/// from 1 in the order of the file.
extension ImageLookup {
    /// Linux, MAX_PID_NS_LEVEL.
    private static let depth = 32

    /// Validates pid namespaces and the numbers of tasks in them. Must come before rules about records that refer to a
    /// task by its number in a nested pid namespace.
    mutating func indexNamespaces(_ records: ImageRecords) throws(ImageError) {
        for one in records.namespaces {
            try validate(one, records)
            if one.kind == .mount { mountNamespaces.insert(one.id) }
        }
        let root = records.processes[0]
        made = MadeNamespaces(records)
        try require(kind(of: root.pidNamespace, records) == .pid, .noNamespace, "process \(root.pid)")
        try require(made.pid.count <= ImageLimits.tasks, .tooMany, "pid namespaces")
        lineages = [[]]
        for (index, one) in made.pid.enumerated() {
            let subject = { "namespace \(one.id)" }
            guard let parent = one.parent, parent <= index else { throw .rule(.namespaceParent, subject()) }
            let lineage = lineages[Int(parent)] + [UInt32(index + 1)]
            try require(lineage.count < Self.depth, .namespaceParent, subject())
            lineages.append(lineage)
        }
        for one in records.processes { try validateNumbers(of: one, records) }
        for (position, one) in records.threads.enumerated() { try indexNumbers(of: one, at: position, records) }
        try validateInits(records)
    }

    private func kind(of id: UInt32, _ records: ImageRecords) -> ImageNamespace.Kind? {
        namespace[id].map { records.namespaces[$0].kind }
    }

    /// The payload is of the namespace's kind, and the namespaces that it refers to exist and are of the right kind.
    private func validate(_ one: ImageNamespace, _ records: ImageRecords) throws(ImageError) {
        let subject = { "namespace \(one.id)" }
        try require(one.owner == 0 || kind(of: one.owner, records) == .user, .noNamespace, subject())
        let hasParent = one.kind == .pid || one.kind == .user
        try require(one.parent == 0 || hasParent && kind(of: one.parent, records) == one.kind, .namespaceParent, subject())
        switch (one.kind, one.payload) {
        case (.UNRECOGNIZED, _): throw .rule(.namespaceKind, subject())
        case (_, nil), (.pid, .pid): break
        case (.mount, .mount(let mount)):
            try require(
                mount.procFlags & ~MadeNamespaces.procFlags == 0
                    && (mount.procNamespace == 0 || kind(of: mount.procNamespace, records) == .pid), .noNamespace, subject())
        // Whether a kernel can make its clocks again, validation asks: see `TimePlan.isBeyondClocks`.
        case (.time, .time): break
        default: throw .rule(.namespaceKind, subject())
        }
    }

    /// The number of a process's pid namespace.
    func pidNumber(of process: ImageProcess) -> UInt32 { made.pidNumber[process.pidNamespace] ?? 0 }

    /// Whether `lower` is `upper` itself or nested in it, by their numbers.
    func isNamespace(_ lower: UInt32, in upper: UInt32) -> Bool {
        upper == 0 || lineages[Int(lower)].contains(upper)
    }

    private func validateNumbers(of one: ImageProcess, _ records: ImageRecords) throws(ImageError) {
        let subject = { "process \(one.pid)" }
        try require(kind(of: one.pidNamespace, records) == .pid, .noNamespace, subject())
        let depth = lineages[Int(pidNumber(of: one))].count
        try require(
            one.innerPids.count == depth && one.innerPids.allSatisfy(ImageLimits.pids.contains), .namespaceNumbers,
            subject())
        for (number, inner) in [(one.group, one.innerGroups), (one.session, one.innerSessions)] {
            // A group or session has a number in its leader's namespace and in all outer ones, so zeros come last.
            let visible = number == 0 ? 0 : inner.prefix { $0 != 0 }.count
            try require(
                inner.count == depth && inner.dropFirst(visible).allSatisfy { $0 == 0 }
                    && inner.prefix(visible).allSatisfy(ImageLimits.pids.contains), .namespaceNumbers, subject())
        }
        if let parent = process[one.parent] {
            try require(
                isNamespace(pidNumber(of: one), in: pidNumber(of: records.processes[parent])), .namespaceMember, subject())
        }
    }

    private mutating func indexNumbers(
        of one: ImageThread, at position: Int, _ records: ImageRecords
    ) throws(ImageError) {
        let subject = { "thread \(one.tid) of process \(one.process)" }
        let owner = records.processes[process[one.process] ?? 0]
        let own = pidNumber(of: owner)
        let lineage = lineages[Int(own)]
        try require(
            one.innerTids.count == lineage.count && one.innerTids.allSatisfy(ImageLimits.pids.contains)
                && (one.tid != one.process || one.innerTids == owner.innerPids), .namespaceNumbers, subject())
        for (namespace, number) in zip(lineage, one.innerTids) {
            let key = InnerNumber(namespace: namespace, number: number)
            try require(innerThread.updateValue(position, forKey: key) == nil, .duplicateID, subject())
        }
        let all = one.namespaces
        let kinds: [(UInt32, ImageNamespace.Kind)] = [
            (all.mount, .mount), (all.network, .network), (all.ipc, .ipc), (all.hostName, .hostName), (all.user, .user),
            (all.cgroup, .cgroup), (all.time, .time), (all.timeForChildren, .time), (all.pidForChildren, .pid),
        ]
        for (id, kind) in kinds where id != 0 { try require(self.kind(of: id, records) == kind, .noNamespace, subject()) }
        guard all.pidForChildren != 0 else { return }
        let children = made.pidNumber[all.pidForChildren] ?? 0
        try require(children == own || children != 0 && isNamespace(children, in: own), .noNamespace, subject())
    }

    /// The init of each pid namespace is number 1 there, and no other process is. Where the init has ended or does not
    /// exist yet, no other process is in the namespace.
    private func validateInits(_ records: ImageRecords) throws(ImageError) {
        for (index, one) in made.pid.enumerated() where one.initPid != 0 {
            let known = process[one.initPid].map { records.processes[$0] }
            try require(
                known.map(pidNumber) == UInt32(index + 1) && known?.innerPids.last == 1, .namespaceInit, "namespace \(one.id)")
        }
        for one in records.processes where pidNumber(of: one) != 0 {
            for namespace in lineages[Int(pidNumber(of: one))] {
                let first = made.pid[Int(namespace - 1)].initPid
                let isAlive = process[first].map { records.processes[$0].state != .zombie } ?? false
                try require(isAlive || first == one.pid, .namespaceInit, "process \(one.pid)")
            }
            if one.innerPids.last == 1 {
                try require(
                    made.pid[Int(pidNumber(of: one) - 1)].initPid == one.pid, .namespaceInit, "process \(one.pid)")
            }
        }
        // Zombies have numbers, but no threads.
        var seen: Set<InnerNumber> = []
        for one in records.processes where one.state == .zombie {
            for (namespace, number) in zip(lineages[Int(pidNumber(of: one))], one.innerPids) {
                let key = InnerNumber(namespace: namespace, number: number)
                try require(seen.insert(key).inserted && innerThread[key] == nil, .duplicateID, "process \(one.pid)")
            }
        }
    }

    /// The position of a living thread by its number in a pid namespace.
    func thread(_ number: UInt32, in namespace: UInt32) -> Int? {
        namespace == 0 ? thread[number] : innerThread[InnerNumber(namespace: namespace, number: number)]
    }
}

/// A task's number in a nested pid namespace.
struct InnerNumber: Hashable, Sendable {
    var namespace: UInt32
    var number: UInt32
}
