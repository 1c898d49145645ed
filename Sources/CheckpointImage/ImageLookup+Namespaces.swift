/// The pid and mount namespaces of a tree. Pid namespace 0 is that of its root; the others are nested in it.
extension ImageLookup {
    /// Linux, MAX_PID_NS_LEVEL.
    private static let depth = 32
    /// MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC.
    private static let mountFlags: UInt32 = 15

    /// Pid namespaces, and the numbers of tasks in them. Before what names a task by the number that another sees.
    mutating func indexNamespaces(_ records: ImageRecords) throws(ImageError) {
        let namespaces = records.header.pidNamespaces
        try require(namespaces.count <= ImageLimits.tasks, .tooMany, "pid namespaces")
        lineages = [[]]
        for (index, one) in namespaces.enumerated() {
            let subject = { "pid namespace \(index + 1)" }
            try require(one.parent <= index, .namespaceParent, subject())
            let lineage = lineages[Int(one.parent)] + [UInt32(index + 1)]
            try require(lineage.count < Self.depth, .namespaceParent, subject())
            lineages.append(lineage)
        }
        let root = records.processes[0]
        try require(
            root.pidNamespace == 0 && records.header.rootIsNamespaceInit == (root.pid == 1), .namespaceInit,
            "process \(root.pid)")
        for one in records.processes { try validateNumbers(of: one, records) }
        for (position, one) in records.threads.enumerated() { try indexNumbers(of: one, at: position, records) }
        try validateInits(records)
        for one in records.processes {
            try require(
                one.mountNamespace <= records.header.mountNamespaces.count, .noNamespace, "process \(one.pid)")
        }
        for (index, one) in records.header.mountNamespaces.enumerated() {
            try require(
                one.procNamespace <= namespaces.count && one.procFlags & ~Self.mountFlags == 0, .noNamespace,
                "mount namespace \(index + 1)")
        }
    }

    /// Whether `lower` is `upper` itself or nested in it.
    func isNamespace(_ lower: UInt32, in upper: UInt32) -> Bool {
        upper == 0 || lineages[Int(lower)].contains(upper)
    }

    private func validateNumbers(of one: ImageProcess, _ records: ImageRecords) throws(ImageError) {
        let subject = { "process \(one.pid)" }
        try require(one.pidNamespace < lineages.count, .noNamespace, subject())
        let depth = lineages[Int(one.pidNamespace)].count
        try require(
            one.innerPids.count == depth && one.innerPids.allSatisfy(ImageLimits.pids.contains), .namespaceNumbers,
            subject())
        for (number, inner) in [(one.group, one.innerGroups), (one.session, one.innerSessions)] {
            // Whoever sees it is nested in all others who do: zeros come last.
            let visible = number == 0 ? 0 : inner.prefix { $0 != 0 }.count
            try require(
                inner.count == depth && inner.dropFirst(visible).allSatisfy { $0 == 0 }
                    && inner.prefix(visible).allSatisfy(ImageLimits.pids.contains), .namespaceNumbers, subject())
        }
        if let parent = process[one.parent] {
            try require(
                isNamespace(one.pidNamespace, in: records.processes[parent].pidNamespace), .namespaceMember, subject())
        }
    }

    private mutating func indexNumbers(
        of one: ImageThread, at position: Int, _ records: ImageRecords
    ) throws(ImageError) {
        let subject = { "thread \(one.tid) of process \(one.process)" }
        let owner = records.processes[process[one.process] ?? 0]
        let lineage = lineages[Int(owner.pidNamespace)]
        try require(
            one.innerTids.count == lineage.count && one.innerTids.allSatisfy(ImageLimits.pids.contains)
                && (one.tid != one.process || one.innerTids == owner.innerPids), .namespaceNumbers, subject())
        for (namespace, number) in zip(lineage, one.innerTids) {
            let key = InnerNumber(namespace: namespace, number: number)
            try require(innerThread.updateValue(position, forKey: key) == nil, .duplicateID, subject())
        }
        let children = one.childrenNamespace
        try require(children < lineages.count, .noNamespace, subject())
        try require(
            children == 0 || children != owner.pidNamespace && isNamespace(children, in: owner.pidNamespace), .noNamespace,
            subject())
    }

    /// The first process of each namespace is number 1 there, and nobody else is; where it has ended, or was never
    /// born, nobody is there.
    private func validateInits(_ records: ImageRecords) throws(ImageError) {
        let namespaces = records.header.pidNamespaces
        for (index, one) in namespaces.enumerated() where one.init_p != 0 {
            let known = process[one.init_p].map { records.processes[$0] }
            try require(
                known?.pidNamespace == UInt32(index + 1) && known?.innerPids.last == 1, .namespaceInit,
                "pid namespace \(index + 1)")
        }
        for one in records.processes where one.pidNamespace != 0 {
            for namespace in lineages[Int(one.pidNamespace)] {
                let first = namespaces[Int(namespace - 1)].init_p
                let isAlive = process[first].map { records.processes[$0].state != .zombie } ?? false
                try require(isAlive || first == one.pid, .namespaceInit, "process \(one.pid)")
            }
            if one.innerPids.last == 1 {
                try require(
                    namespaces[Int(one.pidNamespace - 1)].init_p == one.pid, .namespaceInit, "process \(one.pid)")
            }
        }
        // Zombies have numbers, but no threads.
        var seen: Set<InnerNumber> = []
        for one in records.processes where one.state == .zombie {
            for (namespace, number) in zip(lineages[Int(one.pidNamespace)], one.innerPids) {
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

extension CheckpointImage {
    /// The nested pid namespaces from the outermost to this one; none for that of the root.
    package func lineage(ofNamespace namespace: UInt32) -> [UInt32] { lookup.lineages[Int(namespace)] }

    /// A living thread by its number in a pid namespace.
    package func thread(_ number: UInt32, in namespace: UInt32) -> ImageThread? {
        lookup.thread(number, in: namespace).map { threads[$0] }
    }

    /// Whether there is a thread, or a process, of this number in a pid namespace.
    package func holds(_ number: UInt32, isThread: Bool, in namespace: UInt32) -> Bool {
        if namespace == 0 && !isThread { return process(number) != nil }
        return thread(number, in: namespace).map { isThread || $0.tid == $0.process } ?? false
    }

    /// Whether the process is the init of a pid namespace.
    package func isInit(_ process: ImageProcess) -> Bool { (process.innerPids.last ?? process.pid) == 1 }
}

extension ImageHeader {
    /// Processes that could not join their mount namespaces at a restart: setns(2) wants directories that nobody else
    /// has, and each its own descriptors.
    package func boundInMountNamespaces(_ processes: [ImageProcess]) -> [ImageProcess] {
        if mountNamespaces.isEmpty { return [] }
        let living = processes.filter { $0.state != .zombie }
        let users = Dictionary(grouping: living, by: \.fileTable)
        let inits = Set(pidNamespaces.map(\.init_p) + [root])
        return living.filter {
            (users[$0.fileTable]?.count ?? 0) > 1 || $0.sharedDirectories != 0 && ($0.mountNamespace != 0 || inits.contains($0.pid))
        }
    }
}

extension ImageProcess {
    /// Its number in its own pid namespace.
    package var ownPid: UInt32 { innerPids.last ?? pid }

    /// Its number as a process of the same pid namespace or one further out sees it, such as its parent. Nil: not at all.
    package func pid(seenBy other: ImageProcess) -> UInt32? {
        let all = [pid] + innerPids
        return all.indices.contains(other.innerPids.count) ? all[other.innerPids.count] : nil
    }
}

extension ImageThread {
    /// Its number in its own pid namespace.
    package var ownTid: UInt32 { innerTids.last ?? tid }
}
