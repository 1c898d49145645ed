internal import CheckpointImage
internal import Kernel
internal import PidControl

/// The pid and mount namespaces of a tree.
struct NamespaceIndex {
    /// How many pid namespaces there are between that of our `/proc` and that of the root.
    var outerDepth = 0
    var rootLink: [UInt8] = []
    /// Nested ones: by the kernel's name, the number in the header's list.
    var numbers: [[UInt8]: UInt32] = [:]
    /// By process: the number of its own, where that is nested.
    var ofProcess: [Int32: UInt32] = [:]
    /// By thread: the number of that of its children, where that is another one.
    var ofChildren: [Int32: UInt32] = [:]
    /// Mount namespaces by the kernel's name: the number in the header's list, or 0.
    var mounts: [[UInt8]: UInt32] = [:]
    var ownMounts: MountTable?

    /// A list of numbers of one task, group or session without those of namespaces around the root's.
    func inside(_ numbers: [UInt32]) -> [UInt32] { Array(numbers.dropFirst(outerDepth)) }
}

extension Collector {
    /// Finds the nested pid namespaces, their inits and parents.
    ///
    /// - Parameter numbers: of every process, from the pid namespace of our `/proc` inwards.
    func collectPidNamespaces(_ numbers: [Int32: [UInt32]]) throws(SystemError) {
        namespaces.outerDepth = (numbers[root]?.count ?? 1) - 1
        for (pid, list) in numbers { pidInNamespace[pid] = namespaces.inside(list).first ?? UInt32(pid) }
        namespaces.rootLink = try NamespaceLook.pid(of: root)
        header.rootIsNamespaceInit = pidInNamespace[root] == 1
        var inits: [[UInt8]: (pid: Int32, depth: Int)] = [:]
        var members: [[UInt8]: Int32] = [:]
        var links: [Int32: [UInt8]] = [:]
        for (pid, list) in numbers where list.count - 1 > namespaces.outerDepth {
            let link = try NamespaceLook.pid(of: pid)
            links[pid] = link
            members[link] = min(members[link] ?? pid, pid)
            if list.last == 1 { inits[link] = (pid, list.count) }
        }
        for (link, member) in members where inits[link] == nil {
            find(
                member, "task", "lives in a pid namespace (\(text(link))) whose init is not in the tree",
                help: "checkpoint a tree that holds its init, too")
        }
        // Outer ones first.
        let ordered = inits.sorted { ($0.value.depth, $0.value.pid) < ($1.value.depth, $1.value.pid) }
        for (link, (pid, _)) in ordered {
            let parent = try NamespaceLook.parentPid(of: pid)
            guard parent == namespaces.rootLink || namespaces.numbers[parent] != nil else {
                find(pid, "task", "is the init of a pid namespace inside of one (\(text(parent))) whose init is not in the tree")
                continue
            }
            namespaces.numbers[link] = addPidNamespace(parent: namespaces.numbers[parent] ?? 0, initPid: pidInNamespace[pid] ?? 0)
        }
        for (pid, link) in links { namespaces.ofProcess[pid] = namespaces.numbers[link] }
        try collectChildrenNamespaces(links)
        if header.rootIsNamespaceInit || !inits.isEmpty { noteStrangers() }
    }

    private func addPidNamespace(parent: UInt32, initPid: UInt32) -> UInt32 {
        var namespace = ImagePidNamespace()
        namespace.parent = parent
        namespace.init_p = initPid
        header.pidNamespaces.append(namespace)
        return UInt32(header.pidNamespaces.count)
    }

    /// Where the children of each thread are born, if not in its own namespace: see unshare(2) and setns(2).
    private func collectChildrenNamespaces(_ links: [Int32: [UInt8]]) throws(SystemError) {
        for pid in processes {
            let own = links[pid] ?? namespaces.rootLink
            for thread in threads[pid] ?? [] {
                guard let link = try NamespaceLook.pidForChildren(of: pid, thread: thread.tid) else {
                    namespaces.ofChildren[thread.tid] = addPidNamespace(parent: namespaces.ofProcess[pid] ?? 0, initPid: 0)
                    continue
                }
                if link == own { continue }
                guard let number = namespaces.numbers[link] else {
                    find(
                        pid, "thread \(thread.tid)", "has a pid namespace for its children (\(text(link))) in which nobody of the tree is",
                        help: "where its init has ended nobody can be born any more")
                    continue
                }
                namespaces.ofChildren[thread.tid] = number
                if zombies.contains(where: { pidInNamespace[$0] == header.pidNamespaces[Int(number - 1)].init_p }) {
                    find(pid, "thread \(thread.tid)", "has a pid namespace for its children whose init has ended, which cannot be made again")
                }
            }
        }
    }

    /// Says who lives in the tree's namespaces without being of the tree: those who came by setns(2).
    private func noteStrangers() {
        let known = Set(processes + zombies)
        var own = Set(namespaces.numbers.keys)
        if header.rootIsNamespaceInit { own.insert(namespaces.rootLink) }
        let strangers = ((try? allProcesses()) ?? []).filter { pid in
            guard !known.contains(pid), let link = try? NamespaceLook.pid(of: pid) else { return false }
            return own.contains(link)
        }
        if strangers.isEmpty { return }
        let names = strangers.prefix(3).map { "\($0) \(text((try? ProcessStat(of: $0))?.comm ?? []))" }.joined(separator: ", ")
        let more = strangers.count > 3 ? " and \(strangers.count - 3) more" : ""
        notices.append("\(names)\(more) came into a pid namespace of the tree from outside: not of the tree, and not saved")
    }

    /// The mount namespace of a process: one with a `/proc` of a pid namespace of the tree, or as good as ours.
    func mountNamespace(of pid: Int32) throws(SystemError) -> UInt32 {
        let link = try readLink("/proc/\(pid)/ns/mnt")
        if let known = namespaces.mounts[link] { return known }
        let theirs = try MountTable(of: pid)
        let ours: MountTable
        if let known = namespaces.ownMounts { ours = known } else {
            ours = try MountTable(of: Processes.ownPid)
            namespaces.ownMounts = ours
        }
        if link != (try readLink("/proc/self/ns/mnt")), !theirs.matches(ours) {
            let differences = theirs.differences(from: ours)
            let more = differences.count > 3 ? " and \(differences.count - 3) more" : ""
            find(
                pid, "task", "lives in another mnt namespace, which cannot be saved yet",
                help: "its mounts differ from ours: \(differences.prefix(3).joined(separator: ", "))\(more)")
        }
        // Whose root is another directory has no /proc there, or any.
        let looker =
            processes.first { other in
                (try? readLink("/proc/\(other)/root")) == [UInt8(ascii: "/")]
                    && (other == pid || (try? readLink("/proc/\(other)/ns/mnt")) == link)
            } ?? pid
        let number = addMountNamespace(pid, shown: NamespaceLook.shownByProc(of: looker), theirs)
        namespaces.mounts[link] = number
        return number
    }

    private func addMountNamespace(_ pid: Int32, shown: [UInt8]?, _ mounts: MountTable) -> UInt32 {
        guard let shown, let proc = mounts.proc else { return 0 }
        var namespace = ImageMountNamespace()
        if let number = namespaces.numbers[shown] {
            namespace.procNamespace = number
            let first = header.pidNamespaces[Int(number - 1)].init_p
            if zombies.contains(where: { pidInNamespace[$0] == first }) {
                find(pid, "task", "has a /proc of a pid namespace whose init has ended, which cannot be made again")
            }
        } else if shown != namespaces.rootLink || !header.rootIsNamespaceInit {
            return 0
        }
        if !proc.options.isEmpty {
            find(pid, "task", "has a /proc with options that cannot be saved yet: \(proc.options.joined(separator: ","))")
        }
        namespace.procFlags = proc.flags
        header.mountNamespaces.append(namespace)
        return UInt32(header.mountNamespaces.count)
    }

    /// What can be said only when all processes are known.
    func finishNamespaces() {
        for process in header.boundInMountNamespaces(imageProcesses) {
            find(
                hostPid(of: process.pid), "task",
                "shares descriptors or directories by clone flags in a tree with a /proc of its own, which cannot be saved yet")
        }
    }

    /// The tree's pid namespaces as the plan of its creation wants them.
    var plannedNamespaces: PidNamespaces {
        PidNamespaces(
            rootIsInit: header.rootIsNamespaceInit,
            nested: header.pidNamespaces.lazy.map { (parent: $0.parent, initPid: $0.init_p) })
    }
}
