internal import Kernel

extension TreeLook {
    /// Notes the pid namespace of the root, which is looked at before all others.
    ///
    /// - Parameter levels: how many pid namespaces show it, from that of our `/proc` inwards.
    mutating func beginNamespaces(_ levels: Int) throws(SystemError) {
        outerDepth = levels - 1
        let root = members.root
        rootNamespace = id(.pid, try NamespaceLook.pid(of: root.rawValue), of: root, "/proc/\(root)/ns/pid")
    }

    /// The pid namespace that a process lives in. All that are as many levels deep as the root are in that of the root.
    mutating func pidNamespace(of pid: HostPid, _ levels: Int) throws(SystemError) -> Int {
        if levels - 1 <= outerDepth { return rootNamespace }
        let place = id(.pid, try NamespaceLook.pid(of: pid.rawValue), of: pid, "/proc/\(pid)/ns/pid")
        // It may have been met before, as that of a thread's children.
        if sight.namespaces[place - 1].parent == nil {
            sight.namespaces[place - 1].parent = (try? NamespaceLook.parentPid(of: pid.rawValue)).map { RawText($0) }
        }
        return place
    }

    /// The namespaces of a thread. What the threads of a process cannot have apart is that of the door: the user and the
    /// time namespace, in which setns(2) and unshare(2) let nothing but a single thread in; and the mount namespace of
    /// threads that share their root directory.
    ///
    /// - Source: setns(2), unshare(2).
    mutating func namespaces(
        of tid: HostPid, in pid: HostPid, _ links: [String: [UInt8]], _ pidNamespace: Int, door: TaskNamespaces?, sharesMount: Bool
    ) throws(SystemError) -> TaskNamespaces {
        var all = TaskNamespaces()
        /// 0 where this kernel has no such kind.
        func place(_ kind: NamespaceSight.Kind, _ found: [UInt8]?, _ look: inout TreeLook, link: String? = nil) -> Int {
            found.map { look.id(kind, $0, of: tid, "/proc/\(pid)/task/\(tid)/ns/\(link ?? kind.link)") } ?? 0
        }
        func place(_ kind: NamespaceSight.Kind, _ look: inout TreeLook, link: String? = nil) -> Int {
            place(kind, links[link ?? kind.link], &look, link: link)
        }
        if let door { (all.user, all.time, all.mount) = (door.user, door.time, door.mount) } else {
            all.user = place(.user, &self)
            all.time = place(.time, &self)
        }
        if !sharesMount {
            var link = links[NamespaceSight.Kind.mount.link]
            if link == nil { link = try NamespaceLinks(of: pid.rawValue, thread: tid.rawValue).link(NamespaceSight.Kind.mount.link) }
            all.mount = place(.mount, link, &self)
        }
        all.network = place(.network, &self)
        all.ipc = place(.ipc, &self)
        all.hostName = place(.hostName, &self)
        all.cgroup = place(.cgroup, &self)
        all.timeForChildren = place(.time, &self, link: "time_for_children")
        all.pidForChildren = place(.pid, &self, link: "pid_for_children")
        if all.pidForChildren == 0 {
            // Made by unshare(2), and no child was born yet.
            var unborn = NamespaceSight(kind: .pid, link: RawText([]), isOwn: false)
            unborn.parentID = pidNamespace
            sight.namespaces.append(unborn)
            all.pidForChildren = sight.namespaces.count
        }
        return all
    }

    /// The place of a namespace in the list.
    ///
    /// - Parameters:
    ///   - link: the kernel's name.
    ///   - task: a task that is in it.
    ///   - path: where it can be opened.
    private mutating func id(_ kind: NamespaceSight.Kind, _ link: [UInt8], of task: HostPid, _ path: @autoclosure () -> String) -> Int {
        if let known = namespaceIDs[kind]?[link] { return known }
        let isOwn = ownNamespaces[kind] == link
        var namespace = NamespaceSight(kind: kind, link: RawText(link), isOwn: isOwn)
        if !isOwn { namespace.owner = (try? NamespaceLook.owner(of: path())).map { RawText($0) } }
        if kind == .user, !isOwn, UserNamespace.keepsNumbers(of: task.rawValue) { namespace.keepsNumbers = true }
        if kind == .time, let offsets = try? TimeNamespace.offsets(of: task.rawValue) {
            (namespace.monotonicOffset, namespace.boottimeOffset) = (offsets.monotonic, offsets.boottime)
        }
        sight.namespaces.append(namespace)
        namespaceIDs[kind, default: [:]][link] = sight.namespaces.count
        return sight.namespaces.count
    }

    /// What can be looked at only when all tasks are known: the mounts of each mount namespace, and what its `/proc` shows.
    ///
    /// They matter where it is not that of crcheckpoint, or where the tree has pid namespaces of its own.
    mutating func finishNamespaces() {
        let rootIsInit = sight.processes.first?.status.namespaceProcessIDs.last == 1
        let hasOwnPids = rootIsInit || sight.namespaces.contains { $0.kind == .pid && ($0.parent != nil || $0.parentID != nil) }
        var isCompared = false
        for index in sight.namespaces.indices where sight.namespaces[index].kind == .mount {
            let isOwn = sight.namespaces[index].isOwn
            guard !isOwn || hasOwnPids, let member = memberOf(mountNamespace: index + 1) else { continue }
            sight.namespaces[index].mounts = try? Seen(ProcText.mounts(of: member.rawValue))
            sight.namespaces[index].shownByProc = NamespaceLook.shownByProc(of: member.rawValue).map { RawText($0) }
            isCompared = isCompared || !isOwn
        }
        if isCompared { sight.host.mounts = try? Seen(ProcText.mounts(of: Processes.ownPid)) }
    }

    /// A task of a mount namespace, if there is one whose root directory is that of the namespace: another one has no
    /// `/proc` there, or another one.
    private func memberOf(mountNamespace id: Int) -> HostPid? {
        let all = sight.directories.filter { $0.mountNamespace == id }
        return (all.first { $0.root.path == "/" } ?? all.first)?.holder
    }

    /// Compares the tree with processes outside of it.
    mutating func lookAround(_ relatives: Relatives) {
        let own = Set(members.processes + members.zombies + [HostPid(Processes.ownPid)])
        // Signal actions are shared only by tasks that share memory.
        let kinds: [(kind: SharedKind, object: String)] = [
            (.memory, "memory"), (.descriptorTable, "files"), (.fileSystem, "directories"), (.semaphoreUndo, "undo"),
            (.diskContext, "disk"),
        ]
        for pid in relatives.candidates where !own.contains(pid) {
            for (kind, object) in kinds {
                guard let task = identities.holder(of: kind, sameAs: pid.rawValue), let stat = try? ProcessStat(of: pid.rawValue),
                    !stat.isZombie
                else { continue }
                sight.sharers.append(SharerSight(pid: pid, command: RawText(stat.comm), object: object, task: HostPid(task)))
            }
        }
        let isInit = sight.processes.first?.status.namespaceProcessIDs.last == 1
        var links = Set(sight.namespaces.lazy.filter { $0.kind == .pid && $0.parent != nil }.map(\.link.bytes))
        if isInit, rootNamespace != 0 { links.insert(sight[namespace: rootNamespace].link.bytes) }
        if links.isEmpty { return }
        for (pid, link) in relatives.pidNamespaces(besides: own) where links.contains(link) && !own.contains(pid) {
            guard let stat = try? ProcessStat(of: pid.rawValue), !stat.isZombie else { continue }
            sight.strangers.append(StrangerSight(pid: pid, command: RawText(stat.comm), pidNamespace: RawText(link)))
        }
    }
}
