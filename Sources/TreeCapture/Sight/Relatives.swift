internal import Kernel

/// Processes outside of a tree that could have something to do with it. Found before the tree is stopped, because this looks
/// at every process of the host.
///
/// What two processes share by clone(2) they got from a common ancestor. Looked at are therefore: the ancestors of the
/// root; their other children, but not those of pid 1 and its like, to which every orphan of the host comes; and every
/// process in a session that a process of the tree is in, which finds orphans of the same terminal or service. Not
/// found is an orphan that has begun a session of its own and still shares memory, descriptors, directories, undo lists or
/// a disk context with the tree.
struct Relatives {
    /// To be compared with the tree while it stands still.
    var candidates: [HostPid] = []
    /// By process outside of the tree: its pid namespace. Some are told only later to be in one of the tree. Nil: not looked for,
    /// because all processes of the tree were in that of crcheckpoint.
    private(set) var pidNamespaces: [(pid: HostPid, link: [UInt8])]?

    private struct Entry {
        var parent: Int32
        var session: Int32
    }

    init(of root: HostPid) {
        var entries: [Int32: Entry] = [:]
        let kernelThreads = Self.kernelThreads()
        for pid in (try? allProcesses()) ?? [] where pid != Processes.ownPid && !kernelThreads.contains(pid) {
            guard let stat = try? ProcessStat(of: pid), !stat.isKernelThread, !stat.isZombie else { continue }
            entries[pid] = Entry(parent: stat.parent, session: stat.session)
        }
        let tree = Self.descendants(of: root.rawValue, entries)
        let sessions = Set(tree.compactMap { entries[$0]?.session })
        var ancestors: Set<Int32> = []
        var next = entries[root.rawValue]?.parent
        while let pid = next, pid > 0, ancestors.insert(pid).inserted { next = entries[pid]?.parent }
        let founders = ancestors.filter { (entries[$0]?.parent ?? 0) != 0 }
        let outside = entries.keys.filter { !tree.contains($0) }.sorted()
        candidates = outside.filter { pid in
            guard let entry = entries[pid] else { return false }
            return ancestors.contains(pid) || founders.contains(entry.parent) || sessions.contains(entry.session)
        }.map { HostPid($0) }
        let own = try? NamespaceLook.pid(of: Processes.ownPid)
        if !tree.allSatisfy({ (try? NamespaceLook.pid(of: $0)) == own }) { pidNamespaces = Self.pidNamespaces(of: outside) }
    }

    /// The pid namespaces of processes outside of the tree.
    ///
    /// - Parameter members: of the tree, as it turned out to be. Where one has begun a pid namespace since they were looked for,
    ///   they are looked for now.
    func pidNamespaces(besides members: Set<HostPid>) -> [(pid: HostPid, link: [UInt8])] {
        if let pidNamespaces { return pidNamespaces }
        let kernelThreads = Self.kernelThreads()
        return Self.pidNamespaces(of: ((try? allProcesses()) ?? []).filter { !kernelThreads.contains($0) && !members.contains(HostPid($0)) })
    }

    private static func pidNamespaces(of processes: [Int32]) -> [(pid: HostPid, link: [UInt8])] {
        processes.compactMap { pid in (try? NamespaceLook.pid(of: pid)).map { (HostPid(pid), $0) } }
    }

    /// The children of kthreadd, in one reading; empty where they cannot be told like that, as in a pid namespace.
    private static func kernelThreads() -> Set<Int32> {
        let creator: Int32 = 2
        guard let stat = try? ProcessStat(of: creator), stat.isKernelThread else { return [] }
        return Set((try? ProcessTree.childrenOfTask(creator, in: creator)) ?? [])
    }

    private static func descendants(of root: Int32, _ entries: [Int32: Entry]) -> Set<Int32> {
        var children: [Int32: [Int32]] = [:]
        for (pid, entry) in entries { children[entry.parent, default: []].append(pid) }
        var found: Set<Int32> = [root]
        var waiting = [root]
        while let pid = waiting.popLast() {
            for child in children[pid] ?? [] where found.insert(child).inserted { waiting.append(child) }
        }
        return found
    }
}
