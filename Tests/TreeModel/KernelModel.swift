package import PidControl

/// A model of what Linux does with sessions, groups, parents, numbers, pid namespaces and objects that processes share.
///
/// A process is known by its number in the outermost pid namespace. A pid namespace is known by the number of its init,
/// the outermost one by 0. Processes have one thread. A call that the kernel would refuse throws the name of its errno.
///
/// - Source: kernel/fork.c (`copy_process`), kernel/pid_namespace.c (`pidns_install`), kernel/sys.c (`ksys_setsid`,
///   `setpgid`), kernel/exit.c (`find_new_reaper`, `forget_original_parent`, `wait_task_zombie`), kernel/pid.c
///   (`alloc_pid`), fs/exec.c (`begin_new_exec`).
package struct KernelModel: Sendable {
    package struct Process: Equatable, Sendable {
        package var pid: UInt32
        package var parent: UInt32
        package var session: UInt32
        package var group: UInt32
        package var isZombie = false
        package var isSubreaper = false
        /// In the order in which they became its children, by birth or adoption.
        package var children: [UInt32] = []
        package var exitSignal: UInt32 = 17
        /// Every object has a number of its own; never 0.
        package var objects = CloneObjectIDs()
        package var namespace: UInt32 = 0
        /// The pid namespace in which its children are born.
        package var childrenNamespace: UInt32 = 0
    }

    package enum Failure: Error, Equatable { case EPERM, ESRCH, EEXIST, ECHILD, EINVAL, EACCES }

    package private(set) var processes: [UInt32: Process] = [:]
    private var groupUsers: [UInt32: Int] = [:]
    private var sessionUsers: [UInt32: Int] = [:]
    /// By number: the pid namespace of the last process with this number, and its numbers in nested namespaces.
    private var places: [UInt32: (namespace: UInt32, inner: [UInt32])] = [:]
    private var parentNamespace: [UInt32: UInt32] = [:]
    private var lastNumber: [UInt32: UInt32] = [:]
    private var innerUsed: [UInt32: Set<UInt32>] = [:]
    /// By group: its session, which stays the same as long as the group exists.
    private var sessionOfGroup: [UInt32: UInt32] = [0: 0]
    private var lastObject: UInt32 = 0

    /// Makes pid 1, with parent, group and session 0.
    package init() {
        processes[1] = Process(pid: 1, parent: 0, session: 0, group: 0)
        groupUsers[0] = 1
        sessionUsers[0] = 1
        renew(.all, of: 1)
    }

    private mutating func renew(_ kinds: CloneObjects, of pid: UInt32) {
        for kind in kinds.kinds {
            lastObject += 1
            processes[pid]?.objects[kind] = lastObject
        }
    }

    package subscript(_ pid: UInt32) -> Process? { processes[pid] }

    /// Whether a process has the number as its pid, group or session.
    package func isInUse(_ number: UInt32) -> Bool {
        processes[number] != nil || groupUsers[number, default: 0] > 0 || sessionUsers[number, default: 0] > 0
    }

    private func living(_ pid: UInt32) throws(Failure) -> Process {
        guard let process = processes[pid], !process.isZombie else { throw .ESRCH }
        return process
    }

    /// - Parameters:
    ///   - inner: numbers in nested namespaces, from outside inwards; nil: the next ones.
    ///   - isInit: of a new pid namespace.
    package mutating func fork(
        _ creator: UInt32, as pid: UInt32, inner: [UInt32]? = nil, sibling: Bool = false, exitSignal: UInt32 = 17,
        isInit: Bool = false, sharing: CloneObjects = []
    ) throws(Failure) {
        let process = try living(creator)
        if sharing.contains(CloneObjects(.actions)) && !sharing.contains(CloneObjects(.memory)) { throw .EINVAL }
        if isInUse(pid) { throw .EEXIST }
        if sibling && (creator == 1 || creator == process.namespace) { throw .EINVAL }
        if isInit && process.childrenNamespace != process.namespace { throw .EINVAL }
        let namespace = isInit ? pid : process.childrenNamespace
        if namespace != 0 && !isInit { _ = try living(namespace) }
        if isInit { parentNamespace[pid] = process.namespace }
        let lineage = lineage(of: namespace)
        let inner = inner ?? lineage.map { lastNumber[$0, default: 0] + 1 }
        guard inner.count == lineage.count else { throw .EINVAL }
        for (level, number) in zip(lineage, inner) {
            guard innerUsed[level, default: []].insert(number).inserted else { throw .EEXIST }
            if isInit && level == pid && number != 1 { throw .EINVAL }
            lastNumber[level] = number
        }
        places[pid] = (namespace, inner)
        let parent = sibling ? process.parent : creator
        processes[pid] = Process(
            pid: pid, parent: parent, session: process.session, group: process.group,
            exitSignal: sibling ? process.exitSignal : exitSignal, objects: process.objects, namespace: namespace,
            childrenNamespace: namespace)
        renew(CloneObjects.all.subtracting(sharing), of: pid)
        processes[parent]?.children.append(pid)
        groupUsers[process.group, default: 0] += 1
        sessionUsers[process.session, default: 0] += 1
    }

    package mutating func unshare(_ pid: UInt32, _ kinds: CloneObjects) throws(Failure) {
        _ = try living(pid)
        if !kinds.isSubset(of: .unshareable) { throw .EINVAL }
        renew(kinds, of: pid)
    }

    /// `execve`: the process gets memory, signal actions and descriptors of its own.
    package mutating func exec(_ pid: UInt32) throws(Failure) {
        _ = try living(pid)
        renew([CloneObjects(.memory), CloneObjects(.actions), CloneObjects(.files)], of: pid)
    }

    /// The nested pid namespaces from the outermost one to this one.
    package func lineage(of namespace: UInt32) -> [UInt32] {
        var lineage: [UInt32] = []
        var next = namespace
        while next != 0 {
            lineage.append(next)
            next = parentNamespace[next] ?? 0
        }
        return lineage.reversed()
    }

    private func isNamespace(_ lower: UInt32, in upper: UInt32) -> Bool { upper == 0 || lineage(of: lower).contains(upper) }

    /// What `number` is in each nested pid namespace of `observer`, from outside inwards: 0 where it has no number.
    package func inner(_ number: UInt32, seenBy observer: UInt32) -> [UInt32] {
        guard let namespace = processes[observer]?.namespace else { return [] }
        let place = places[number] ?? (0, [])
        let own = lineage(of: place.namespace)
        return lineage(of: namespace).map { level in own.firstIndex(of: level).map { place.inner[$0] } ?? 0 }
    }

    /// setns(2): children are born in this namespace.
    package mutating func enter(_ pid: UInt32, _ namespace: UInt32) throws(Failure) {
        let process = try living(pid)
        guard isNamespace(namespace, in: process.namespace) else { throw .EINVAL }
        if namespace != 0 && namespace != process.namespace { _ = try living(namespace) }
        processes[pid]?.childrenNamespace = namespace
    }

    package mutating func setsid(_ pid: UInt32) throws(Failure) {
        let process = try living(pid)
        if process.session == pid || groupUsers[pid, default: 0] > 0 { throw .EPERM }
        sessionUsers[process.session, default: 0] -= 1
        sessionUsers[pid, default: 0] += 1
        processes[pid]?.session = pid
        move(pid, to: pid)
    }

    private mutating func move(_ pid: UInt32, to group: UInt32) {
        guard let old = processes[pid]?.group else { return }
        groupUsers[old, default: 0] -= 1
        groupUsers[group, default: 0] += 1
        sessionOfGroup[group] = processes[pid]?.session
        processes[pid]?.group = group
    }

    /// `caller` moves itself or a child (that has not called `execve`).
    package mutating func setpgid(_ caller: UInt32, _ pid: UInt32, to group: UInt32) throws(Failure) {
        let own = try living(caller)
        guard let process = processes[pid], pid == caller || process.parent == caller else { throw .ESRCH }
        guard isNamespace(places[group]?.namespace ?? 0, in: own.namespace) else { throw .ESRCH }
        if pid != caller && process.session != own.session { throw .EPERM }
        if process.session == pid { throw .EPERM }
        if group != pid {
            guard groupUsers[group, default: 0] > 0, sessionOfGroup[group] == own.session else { throw .EPERM }
        }
        move(pid, to: group)
    }

    package mutating func setSubreaper(_ pid: UInt32, _ value: Bool) throws(Failure) {
        _ = try living(pid)
        processes[pid]?.isSubreaper = value
    }

    package mutating func exit(_ pid: UInt32) throws(Failure) {
        let process = try living(pid)
        // The kernel would end all processes of the namespace with it. No script needs that, so it is not modelled.
        if pid == process.namespace && processes.values.contains(where: { $0.pid != pid && isNamespace($0.namespace, in: pid) }) {
            throw .EINVAL
        }
        processes[pid]?.isZombie = true
        guard !process.children.isEmpty else { return }
        let last = process.namespace == 0 ? 1 : process.namespace
        var reaper = process.parent
        while reaper != last {
            guard let above = processes[reaper], above.namespace == process.namespace else {
                reaper = last
                break
            }
            if !above.isZombie && above.isSubreaper { break }
            reaper = above.parent
        }
        for child in process.children {
            processes[child]?.parent = reaper
            processes[child]?.exitSignal = 17
        }
        processes[reaper]?.children += process.children
        processes[pid]?.children = []
    }

    /// `wait4(child)`.
    ///
    /// - Returns: false where the child is not dead yet.
    package mutating func reap(_ parent: UInt32, _ child: UInt32) throws(Failure) -> Bool {
        let process = try living(parent)
        guard let dead = processes[child], dead.parent == parent else { throw .ECHILD }
        if !dead.isZombie { return false }
        processes[parent]?.children = process.children.filter { $0 != child }
        groupUsers[dead.group, default: 0] -= 1
        sessionUsers[dead.session, default: 0] -= 1
        for (level, number) in zip(lineage(of: dead.namespace), places[child]?.inner ?? []) { innerUsed[level]?.remove(number) }
        processes[child] = nil
        return true
    }

    /// The process and its descendants, parents first, siblings in the order in which they became children.
    package func tree(of root: UInt32) -> [Process] {
        var found = [root].compactMap { processes[$0] }
        var next = 0
        while next < found.count {
            found += found[next].children.compactMap { processes[$0] }
            next += 1
        }
        return found
    }
}
