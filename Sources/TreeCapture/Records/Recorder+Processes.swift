internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import PidControl

extension Recorder {
    /// What the sight tells of one process.
    mutating func recordProcess(_ sight: ProcessSight) {
        var process = ImageProcess()
        recordNumbers(&process, sight.pid, sight.stat.value, sight.status.value, namespace: sight.pidNamespace)
        if let stop = sight.stopSignal {
            process.state = .stopped
            process.stopSignal = UInt32(stop)
        }
        if process.state == .stopped && process.ownPid == 1 { findStoppedInit(sight.pid) }
        process.limits = sight.limits.value.all.map { limit in
            var image = ImageLimit()
            image.resource = UInt32(limit.resource)
            image.soft = limit.soft
            image.hard = limit.hard
            return image
        }
        process.loginUser = (sight.loginUser ?? .max) &+ 1
        process.oomScoreAdjustment = sight.oomScoreAdjustment
        process.personality = sight.personality
        // PER_LINUX32 is what setarch gives to 32-bit programs: uname tells another machine.
        let domain = sight.personality & PersonalityFlag.PER_MASK
        if domain != PersonalityFlag.PER_LINUX && domain != PersonalityFlag.PER_LINUX32 {
            find(sight.pid, "task", "runs under another personality (execution domain)", help: "setarch without options runs it as a Linux task")
        }
        process.executable = executable(of: sight)
        if self.sight.host.mayReadFilters == false {
            for thread in sight.threads where UInt64(sight.status(of: thread).seccompMode) == Seccomp.SECCOMP_MODE_FILTER {
                find(sight.pid, thread.tid == sight.pid ? "task" : "thread \(thread.tid)", CallConfinement.unreadable)
            }
        }
        process.cgroupSet = UInt32(sight.door.cgroups)
        for set in Set(sight.threads.map(\.cgroups)).sorted() {
            guard let place = self.sight.cgroups[set - 1].freezer else { continue }
            find(sight.pid, "task", "is frozen by the cgroup freezer of \(place.shown)", help: "thaw it for the checkpoint")
        }
        for thread in sight.threads where thread.scheduling.policy.isClamped {
            find(sight.pid, "thread \(thread.tid)", "has utilisation clamps (uclamp), which cannot be saved yet")
        }
        for thread in sight.threads where thread.hasCoreCookie == true {
            find(
                sight.pid, "thread \(thread.tid)", "shares its core with chosen tasks only (PR_SCHED_CORE), which cannot be saved yet",
                help: "start it without core scheduling")
        }
        process.posixTimers = PosixTimer.record(of: sight, &self)
        records.processes.append(process)
    }

    /// A process that is dead and not yet waited for: its numbers and its status.
    mutating func recordZombie(_ sight: ZombieSight) {
        var process = ImageProcess()
        recordNumbers(&process, sight.pid, sight.stat.value, sight.status.value, namespace: sight.pidNamespace)
        process.state = .zombie
        process.exitStatus = sight.endsWith ?? UInt32(bitPattern: sight.stat.value.exitStatus)
        if process.ownPid == 1 && process.exitStatus & 0x7f != 0 {
            find(sight.pid, "task", "was the init of a pid namespace and died of a signal, which cannot be repeated")
        }
        records.processes.append(process)
    }

    private mutating func recordNumbers(
        _ process: inout ImageProcess, _ pid: HostPid, _ stat: ProcessStat, _ status: TaskStatus, namespace: Int
    ) {
        process.pid = imagePids[pid]?.rawValue ?? UInt32(bitPattern: pid.rawValue)
        process.parent = pid == sight.root ? 0 : imagePids[HostPid(stat.parent)]?.rawValue ?? 0
        let groups = numbers(of: status.namespaceGroups)
        let sessions = numbers(of: status.namespaceSessions)
        process.group = groups.first ?? UInt32(bitPattern: stat.group)
        process.session = sessions.first ?? UInt32(bitPattern: stat.session)
        process.pidNamespace = identities.id(namespace)
        process.innerPids = Array(numbers(of: status.namespaceProcessIDs).dropFirst())
        process.innerGroups = Array(groups.dropFirst())
        process.innerSessions = Array(sessions.dropFirst())
        process.startTime = stat.startTime
        process.exitSignal = UInt32(bitPattern: stat.exitSignal)
        process.command = stat.comm.asData
    }

    mutating func findStoppedInit(_ pid: HostPid) {
        find(
            pid, "task", "is the init of a pid namespace and was stopped, which cannot be repeated: it takes a stop from outside only",
            help: "let it go on (SIGCONT), and let its parent wait for that")
    }

    private mutating func executable(of process: ProcessSight) -> ImageFileIdentity {
        let place = process.executable
        if let object = process.programObject {
            var identity = identities.identity(of: place, in: process.door.namespaces.mount)
            identity.object = UInt32(object)
            return identity
        }
        if !place.isDeleted, let known = names[place.path.bytes]?.status, known.isSameFile(as: place.status),
            let identity = identities.identity(of: place.path.bytes, in: process.door.namespaces.mount)
        {
            return identity
        }
        find(
            process.pid, "program \(place.path.shown)", "the file has been removed or replaced since it was started",
            help: "put the old file back, or restart the program")
        return ImageFileIdentity()
    }

    /// What threads share with other processes, where their own process does not, and what the tree shares with processes
    /// outside of it, cannot be given back.
    mutating func checkSharing() {
        var owners: [HostPid: HostPid] = [:]
        for (process, thread) in sight.threads { owners[thread.tid] = process.pid }
        checkThreads(.files, \.table)
        checkThreads(.directories, \.directories)
        for sharer in sight.sharers {
            let name = Self.cloneObjects[sharer.object]?.name ?? sharer.object
            find(
                owners[sharer.task] ?? sharer.task, "task",
                "shares \(name) with \(sharer.pid) \(sharer.command.shown), which is not in the tree",
                help: "checkpoint a tree that holds both")
        }
    }

    static let cloneObjects: [String: CloneObject] = [
        "memory": .memory, "files": .files, "directories": .directories, "undo": .undo, "disk": .disk,
    ]

    private mutating func checkThreads(_ object: CloneObject, _ id: KeyPath<ThreadSight, Int>) {
        var users: [Int: Set<HostPid>] = [:]
        for (process, thread) in sight.threads { users[thread[keyPath: id], default: []].insert(process.pid) }
        for (process, thread) in sight.threads where thread[keyPath: id] != process.door[keyPath: id] {
            guard let other = users[thread[keyPath: id]]?.filter({ $0 != process.pid }).min() else { continue }
            find(
                process.pid, "thread \(thread.tid)",
                "shares \(object.name) with \(other), but its process does not, which cannot be saved yet")
        }
    }

    /// Can the tree's sessions and groups be rebuilt?
    mutating func checkCreation() {
        let hostPids = Dictionary(imagePids.map { ($1, $0) }) { first, _ in first }
        let living = Dictionary(sight.processes.map { ($0.pid, $0) }) { first, _ in first }
        let plan = CreationPlan(
            records.processes.map { process in
                let seen = hostPids[ImagePid(process.pid)].flatMap { living[$0] }
                return CreationPlan.Member(
                    pid: process.pid, parent: process.parent, session: process.session, group: process.group,
                    isZombie: process.state == .zombie, exitSignal: process.exitSignal,
                    objects: CloneObjectIDs(seen.map(Self.sharedNumbers) ?? []),
                    namespace: namespaces.number(of: process.pidNamespace),
                    inner: (process.innerPids, process.innerSessions, process.innerGroups))
            }, in: namespaces.planned, outsideSession: outsideSession, outsideGroup: outsideGroup)
        for finding in plan.findings {
            let pid = hostPids[ImagePid(finding.pid)] ?? HostPid(Int32(bitPattern: finding.pid))
            find(pid, "task", finding.reason + ", which cannot be rebuilt")
        }
    }

    /// In the order of `CloneObject`.
    private static func sharedNumbers(of process: ProcessSight) -> [UInt32] {
        let door = process.door
        return [process.space, door.table, door.directories, process.actions, door.undo, door.diskContext].map { UInt32($0) }
    }
}
