/// A pid namespace that is nested in that of the root.
package struct NestedPidNamespace: Sendable, Equatable {
    /// Of record 111.
    package var id: UInt32
    /// Number of the one that it is nested in; nil where that does not come before it.
    package var parent: UInt32?
    /// Pid of its first process; 0: none was born yet.
    package var initPid: UInt32

    package init(id: UInt32, parent: UInt32?, initPid: UInt32) {
        self.id = id
        self.parent = parent
        self.initPid = initPid
    }
}

/// A mount namespace with a `/proc` of a pid namespace of the tree.
package struct OwnMountNamespace: Sendable, Equatable {
    package var id: UInt32
    /// Number of the pid namespace whose processes its `/proc` shows.
    package var procNamespace: UInt32
    package var procFlags: UInt32

    package init(id: UInt32, procNamespace: UInt32, procFlags: UInt32) {
        self.id = id
        self.procNamespace = procNamespace
        self.procFlags = procFlags
    }
}

/// The namespaces that a restart makes: numbers that count them, by their ids.
struct MadeNamespaces: Sendable {
    /// MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC.
    static let procFlags: UInt32 = 15

    /// Number N stands at N - 1.
    private(set) var pid: [NestedPidNamespace] = []
    /// By id; that of the root has number 0.
    private(set) var pidNumber: [UInt32: UInt32] = [:]
    private(set) var mount: [OwnMountNamespace] = []
    /// By id; 0: tasks are restarted in that of crrestart.
    private(set) var mountNumber: [UInt32: UInt32] = [:]

    init() {}

    /// - Preconditions: there is a process.
    init(_ records: ImageRecords) {
        let root = records.processes[0]
        pidNumber[root.pidNamespace] = 0
        for one in records.namespaces where one.kind == .pid && one.id != root.pidNamespace {
            pid.append(NestedPidNamespace(id: one.id, parent: pidNumber[one.parent], initPid: one.pid.init_p))
            pidNumber[one.id] = UInt32(pid.count)
        }
        for one in records.namespaces where one.kind == .mount && one.mount.procNamespace != 0 {
            guard let shown = pidNumber[one.mount.procNamespace] else { continue }
            mount.append(OwnMountNamespace(id: one.id, procNamespace: shown, procFlags: one.mount.procFlags))
            mountNumber[one.id] = UInt32(mount.count)
        }
    }
}

extension CheckpointImage {
    /// The pid namespaces of the tree below that of its root; outer ones first.
    package var nestedPidNamespaces: [NestedPidNamespace] { lookup.made.pid }

    /// The mount namespaces that show another `/proc` than crrestart has.
    package var ownMountNamespaces: [OwnMountNamespace] { lookup.made.mount }

    /// The number of the nested pid namespace that a process lives in, from 1; 0: that of the root.
    package func pidNamespace(of process: ImageProcess) -> UInt32 { lookup.pidNumber(of: process) }

    /// The number of the nested pid namespace that a thread has its children in, from 1; 0: that of its process.
    package func childrenNamespace(of thread: ImageThread) -> UInt32 {
        let id = thread.namespaces.pidForChildren
        guard id != 0, let process = process(thread.process), id != process.pidNamespace else { return 0 }
        return lookup.made.pidNumber[id] ?? 0
    }

    /// The number in `ownMountNamespaces`, from 1, of the one that a process lives in; 0: that of crrestart.
    package func mountNamespace(of process: ImageProcess) -> UInt32 {
        leader(of: process).flatMap { lookup.made.mountNumber[$0.namespaces.mount] } ?? 0
    }

    /// The root is pid 1 of its own pid namespace.
    package var rootIsNamespaceInit: Bool { root.pid == 1 }

    /// The tree's clocks minus those of the host that it was on, nanoseconds.
    package var clockOffsets: (monotonic: Int64, boottime: Int64) {
        guard let id = leader(of: root)?.namespaces.time, let time = namespace(id)?.time else { return (0, 0) }
        return (time.monotonicOffset, time.boottimeOffset)
    }

    /// The nested pid namespaces from the outermost to this one, by number; none for that of the root.
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

    /// Processes that could not join their mount namespaces at a restart, because they share directories or descriptors
    /// with other processes: setns(2) refuses a task whose directories are shared, and each needs descriptors of its own.
    package var boundInMountNamespaces: [ImageProcess] {
        if ownMountNamespaces.isEmpty { return [] }
        let living = processes.filter { $0.state != .zombie }
        let users = Dictionary(grouping: living, by: tableID)
        let inits = Set(nestedPidNamespaces.map(\.initPid) + [root.pid])
        return living.filter { one in
            (users[tableID(of: one)]?.count ?? 0) > 1
                || sharedNumbers(of: one)[2] != 0 && (mountNamespace(of: one) != 0 || inits.contains(one.pid))
        }
    }
}

extension ImageProcess {
    /// Its number in its own pid namespace.
    package var ownPid: UInt32 { innerPids.last ?? pid }

    /// Its number in the pid namespace of another process, for instance its parent. Nil: it has none there, because that
    /// namespace is neither its own nor an outer one.
    package func pid(seenBy other: ImageProcess) -> UInt32? {
        let all = [pid] + innerPids
        return all.indices.contains(other.innerPids.count) ? all[other.innerPids.count] : nil
    }
}

extension ImageThread {
    /// Its number in its own pid namespace.
    package var ownTid: UInt32 { innerTids.last ?? tid }
}
