internal import CheckpointImage
internal import Kernel
internal import PidControl

extension Collector {
    /// Everything of one process that can be learned from outside. Appends the process and, unless somebody before
    /// it has the same, its address space and file table.
    func collectProcess(_ pid: Int32) throws(SystemError) {
        let stat = try ProcessStat(of: pid)
        let status = try TaskStatus(of: pid)
        let door = door(to: pid)
        var process = ImageProcess()
        fillIdentity(&process, pid, stat, status)
        if let stop = threads[pid]?.compactMap(\.stopSignal).first {
            process.state = .stopped
            process.stopSignal = UInt32(stop)
        }
        if process.state == .stopped && process.ownPid == 1 { findStoppedInit(pid) }
        process.umask = (door == pid ? status : try TaskStatus(of: door)).fileModeMask ?? 0o022
        process.workingDirectory = try directory(of: door, "cwd", "working directory").asData
        process.rootDirectory = try directory(of: door, "root", "root directory").asData
        process.limits = try ResourceLimit.all(of: door).map { limit in
            var image = ImageLimit()
            image.resource = UInt32(limit.resource)
            image.soft = limit.soft
            image.hard = limit.hard
            return image
        }
        process.oomScoreAdjustment = number(in: "/proc/\(door)/oom_score_adj", radix: 10)
        process.personality = UInt32(bitPattern: number(in: "/proc/\(door)/personality", radix: 16))
        // PER_LINUX32 (8) is what setarch gives to 32-bit programs: uname tells another machine.
        if process.personality & 0xff != 0 && process.personality & 0xff != 8 {
            find(pid, "task", "runs under another personality (execution domain)", help: "setarch without options runs it as a Linux task")
        }
        process.mountNamespace = try mountNamespace(of: door)
        process.executable = try executable(of: door)
        if status.seccompMode != 0 {
            find(pid, "task", Self.hasFilter, help: "run it without one")
        }
        try collectCgroups(of: pid, into: &process)
        try collectPosixTimers(of: door, into: &process)
        try collectShared(of: door, door == pid ? stat : try ProcessStat(of: door), into: &process)
        checkSharing(of: pid)
        try collectDirectories(ofThreadsOf: pid, process)
        imageProcesses.append(process)
    }

    /// A process that is dead and not yet waited for: its numbers and its status.
    func collectZombie(_ pid: Int32) throws(SystemError) {
        let stat = try ProcessStat(of: pid)
        let status = try TaskStatus(of: pid)
        var process = ImageProcess()
        fillIdentity(&process, pid, stat, status)
        process.state = .zombie
        process.exitStatus = UInt32(bitPattern: stat.exitStatus)
        if process.ownPid == 1 && process.exitStatus & 0x7f != 0 {
            find(pid, "task", "was the init of a pid namespace and died of a signal, which cannot be repeated")
        }
        imageProcesses.append(process)
    }

    private func fillIdentity(
        _ process: inout ImageProcess, _ pid: Int32, _ stat: ProcessStat, _ status: TaskStatus
    ) {
        process.pid = pidInNamespace[pid] ?? UInt32(pid)
        process.parent = pid == root ? 0 : pidInNamespace[stat.parent] ?? 0
        let groups = namespaces.inside(status.namespaceGroups)
        let sessions = namespaces.inside(status.namespaceSessions)
        process.group = groups.first ?? UInt32(stat.group)
        process.session = sessions.first ?? UInt32(stat.session)
        process.pidNamespace = namespaces.ofProcess[pid] ?? 0
        process.innerPids = Array(namespaces.inside(status.namespaceProcessIDs).dropFirst())
        process.innerGroups = Array(groups.dropFirst())
        process.innerSessions = Array(sessions.dropFirst())
        process.startTime = stat.startTime
        process.exitSignal = UInt32(stat.exitSignal)
        process.command = stat.comm.asData
        if pid == root && process.session != process.pid { header.outsideSession = process.session }
    }

    func findStoppedInit(_ pid: Int32) {
        find(
            pid, "task", "is the init of a pid namespace and was stopped, which cannot be repeated: it takes a stop from outside only",
            help: "let it go on (SIGCONT), and let its parent wait for that")
    }

    private func number(in path: String, radix: Int) -> Int32 {
        guard let bytes = try? readFile(path) else { return 0 }
        let digits = text(bytes).prefix { $0 != "\n" }
        if radix == 16 { return Int32(bitPattern: UInt32(digits, radix: 16) ?? 0) }
        return Int32(digits) ?? 0
    }

    func directory(of pid: Int32, _ name: String, _ label: String) throws(SystemError) -> [UInt8] {
        let path = try readLink("/proc/\(pid)/\(name)")
        if text(path).hasSuffix(" (deleted)") {
            find(pid, label, "\(text(path)) has been removed", help: "make it again and let the program enter it")
        }
        return path
    }

    private func executable(of pid: Int32) throws(SystemError) -> ImageFileIdentity {
        let path = text(try readLink("/proc/\(pid)/exe"))
        let status = try FileStatus(of: "/proc/\(pid)/exe")
        guard let known = identity(of: path), known.status.isSameFile(as: status) else {
            find(
                pid, "program \(path)", "the file has been removed or replaced since it was started",
                help: "put the old file back, or restart the program")
            return ImageFileIdentity()
        }
        return known.identity
    }

    /// A file by name, with what is needed to recognise it; nil where there is none. Cached.
    func identity(of path: String) -> (identity: ImageFileIdentity, status: FileStatus)? {
        if let known = identities[path] { return known }
        guard path.hasPrefix("/"), let status = try? FileStatus(of: path) else { return nil }
        var identity = ImageFileIdentity()
        identity.path = Array(path.utf8).asData
        identity.device = status.device
        identity.inode = status.inode
        identity.size = UInt64(max(0, status.size))
        identity.modified = status.modificationTime
        identity.mode = status.mode
        identities[path] = (identity, status)
        return (identity, status)
    }

    /// Namespaces that are not ours cannot be made again yet, but for pid, mount and time namespaces.
    func checkNamespaces(of pid: Int32) {
        checkTimeNamespace(of: pid)
        for name in ["net", "ipc", "uts", "user", "cgroup"] {
            let own: [UInt8]
            if let known = ownNamespaces[name] { own = known } else {
                own = (try? readLink("/proc/self/ns/\(name)")) ?? []
                ownNamespaces[name] = own
            }
            guard let theirs = try? readLink("/proc/\(pid)/ns/\(name)"), theirs != own else { continue }
            find(pid, "task", "lives in another \(name) namespace, which cannot be saved yet")
        }
    }

    /// A tree's clocks are made again by their offsets: it needs to be one pair of clocks for all.
    private func checkTimeNamespace(of pid: Int32) {
        guard let link = try? readLink("/proc/\(pid)/ns/time") else { return }
        let children = (try? readLink("/proc/\(pid)/ns/time_for_children")) ?? []
        if children != link {
            find(pid, "task", "has made a time namespace for its children, which cannot be saved yet")
        }
        guard let known = timeNamespace else {
            timeNamespace = (link, (try? TimeNamespace.offsets(of: pid)) ?? TimeNamespace.Offsets())
            return
        }
        if known.link != link {
            find(pid, "task", "lives in another time namespace than the root, which cannot be saved yet")
        }
    }

    /// What threads do not share with their process, and we do not rebuild yet.
    private func checkSharing(of pid: Int32) {
        let door = door(to: pid)
        for task in threads[pid] ?? [] where task.tid != door {
            if (try? compare(.descriptorTable, of: door, with: task.tid)) != .same {
                find(pid, "thread \(task.tid)", "has a descriptor table of its own (unshare(CLONE_FILES)), which cannot be saved yet")
            }
        }
    }

    /// Can the tree's sessions and groups be rebuilt?
    func checkCreation() {
        guard let first = imageProcesses.first else { return }
        let pids = Set(imageProcesses.map(\.pid))
        if !pids.contains(first.group) { header.outsideGroup = first.group }
        let plan = CreationPlan(
            imageProcesses.map {
                CreationPlan.Member(
                    pid: $0.pid, parent: $0.parent, session: $0.session, group: $0.group, isZombie: $0.state == .zombie,
                    exitSignal: $0.exitSignal, objects: CloneObjectIDs($0.sharedNumbers), namespace: Int($0.pidNamespace),
                    inner: ($0.innerPids, $0.innerSessions, $0.innerGroups))
            }, in: plannedNamespaces, outsideSession: header.outsideSession, outsideGroup: header.outsideGroup)
        let hostPid = Dictionary(pidInNamespace.map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        for finding in plan.findings {
            find(hostPid[finding.pid] ?? Int32(finding.pid), "task", finding.reason + ", which cannot be rebuilt")
        }
    }
}
