internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import PidControl

/// Looks at a stopped tree from outside: `/proc`, kcmp(2), descriptors. Nothing of the tree is touched.
///
/// Each source is read once for each task. For a tree that runs (a dry run) the result is of several moments.
struct TreeLook {
    let members: TreeMembers
    var sight: TreeSight
    var names = NameIndex()
    var identities = Identities()
    var openFiles = OpenFileIndex()
    let fileSystems = FileSystemTypes()
    /// By the kernel's name: places in the list of namespaces.
    var namespaceIDs: [NamespaceSight.Kind: [[UInt8]: Int]] = [:]
    var ownNamespaces: [NamespaceSight.Kind: [UInt8]] = [:]
    /// How many pid namespaces there are around that of the root, as far as our `/proc` shows them.
    var outerDepth = 0
    var rootNamespace = 0
    private var cgroupIDs: [[UInt8]: Int] = [:]
    private var cgroupMounts: [CgroupMount]?
    private var openedReader: Result<KernelReader, SystemError>?
    /// See ``place(ofFileAt:)``.
    var filePlaces: [UInt64: Int]?
    /// Objects by device and inode.
    var objectIDs: [FileKey: Int] = [:]
    private var commands: [HostPid: [UInt8]] = [:]
    /// By first thread of a process: where its descriptors lead, noted while they were searched for servers.
    var descriptorLinks: [HostPid: [(number: Int32, link: [UInt8]?)]] = [:]
    /// What locks the connections before they are looked into; nil: the tree goes on, and needs no lock.
    private let fence: ConnectionFence?
    /// Called after each part of a look that takes as long as the tree is large.
    let cameForward: () -> Void
    /// What options new sockets have, by kind.
    var socketOptions = SocketOptionLook()
    /// The kernel's tables of sockets, read where the tree has such sockets; by inode.
    var inetSockets: [SocketHandle.Kind: [UInt64: InetSocketState]] = [:]
    var packetSockets: [UInt64: PacketSocketState]?
    var netlinkSockets: [UInt64: NetlinkSocketState]?
    var multicast: MulticastTable?
    /// Looked for where memory is tracked.
    var keptTracking = KeptTracking()

    struct FileKey: Hashable {
        var device: UInt64
        var inode: UInt64

        /// The inode number of System V shared memory is its own number, which another file of memory can have, too.
        var isSegment: Bool

        init(_ status: FileStatus, isSegment: Bool = false) {
            self.isSegment = isSegment
            device = status.device
            inode = status.inode
        }
    }

    /// - Parameters:
    ///   - instant: when the tree had stopped.
    ///   - relatives: processes outside of the tree that may share something with it.
    ///   - connections: what becomes of TCP connections.
    ///   - fence: locks them before they are looked into; nil: the tree goes on, and needs no lock.
    ///   - refusesServers: whether the tree stands still, and may not serve a file system that is asked about.
    ///   - cameForward: called after each process and each few hundred connections.
    static func sight(
        of members: TreeMembers, on host: HostSight, at instant: TimeStamp, relatives: Relatives, connections: TCPMode, fence: ConnectionFence?,
        refusesServers: Bool, cameForward: @escaping () -> Void
    ) throws(CaptureError) -> TreeSight {
        var look = TreeLook(members, host, instant, fence, cameForward)
        if refusesServers { try look.refuseServers() }
        if connections != .keep { look.sight.connections = connections }
        try look.lookAtProcesses()
        for pid in members.zombies {
            try look.describing(pid, "read the state of") { (look: inout TreeLook) throws(SystemError) in
                try look.lookAtZombie(pid)
            }
        }
        look.finishNamespaces()
        look.findMovedFiles()
        try look.describing(members.root, "look at the descriptors of") { (look: inout TreeLook) throws(SystemError) in
            for kind in DescriptorCaptures.all {
                try look.lookAtFiles(of: kind)
                cameForward()
            }
        }
        look.lookForOutsideHolders()
        SemaphoreSet.look(&look.sight)
        if SemaphoreSet.needsUndo(look.sight), let reader = try? look.kernelReader() { SemaphoreSet.lookForUndo(&look.sight, reader) }
        MessageQueue.look(&look.sight)
        SharedSegment.look(&look.sight)
        look.lookAround(relatives)
        look.sight.names = look.names.all
        return look.sight
    }

    /// Whether the tree is to be ended or stopped, and its connections are to go on later.
    var locksConnections: Bool { fence != nil }

    /// Locks TCP connections of the tree, if it is to be ended or stopped.
    ///
    /// - Returns: why they are not locked.
    func lock(_ connections: [ConnectionLock.Connection]) -> PacketFilter.Failure? {
        guard let fence, !connections.isEmpty else { return nil }
        do throws(PacketFilter.Failure) { try fence.close(connections) } catch { return error }
        return nil
    }

    private init(_ members: TreeMembers, _ host: HostSight, _ instant: TimeStamp, _ fence: ConnectionFence?, _ cameForward: @escaping () -> Void) {
        self.members = members
        self.cameForward = cameForward
        self.fence = fence
        sight = TreeSight(host: host, instant: instant, root: members.root)
        for kind in NamespaceSight.Kind.allCases {
            ownNamespaces[kind] = try? readLink("/proc/self/ns/\(kind.link)")
        }
    }

    /// The kernel's memory, opened when it is first needed.
    mutating func kernelReader() throws(SystemError) -> KernelReader {
        if let openedReader { return try openedReader.get() }
        let opened = Result { () throws(SystemError) in try KernelReader() }
        openedReader = opened
        return try opened.get()
    }

    /// Wraps a kernel error into a sentence that names the task.
    private mutating func describing(
        _ pid: HostPid, _ verb: String, _ body: (inout TreeLook) throws(SystemError) -> Void
    ) throws(CaptureError) {
        do throws(SystemError) { try body(&self) } catch {
            throw CaptureError(cannot: verb, task: pid, commands[pid], error)
        }
    }

    /// Nothing is forked meanwhile: there are other threads.
    private mutating func lookAtProcesses() throws(CaptureError) {
        let readings = ReadingsAhead(members)
        defer { readings.end() }
        for pid in members.processes {
            try describing(pid, "read the state of") { (look: inout TreeLook) throws(SystemError) in
                try look.lookAtProcess(pid, readings)
            }
            cameForward()
        }
    }

    private mutating func lookAtZombie(_ pid: HostPid) throws(SystemError) {
        let stat = try Seen<ProcessStat>(ProcText.stat(of: pid.rawValue))
        commands[pid] = stat.comm
        let status = try Seen<TaskStatus>(ProcText.status(of: pid.rawValue))
        var zombie = ZombieSight(pid: pid, stat: stat, status: status, pidNamespace: try pidNamespace(of: pid, status.namespaceProcessIDs.count))
        if pid == members.checkpointer {
            zombie.endsWith = Checkpointer.status
            if Checkpointer.isReapedAtOnce(zombie, among: sight.processes) { return }
        }
        sight.zombies.append(zombie)
    }

    private mutating func lookAtProcess(_ pid: HostPid, _ readings: ReadingsAhead) throws(SystemError) {
        let tasks = members.threads[pid] ?? []
        guard let first = tasks.first else { throw SystemError(Errno.ESRCH, in: "open /proc/\(pid)/task") }
        let ahead = readings.take(first.tid, of: pid, isDoor: true)
        let task = first.tid.rawValue
        let whole = ahead.process ?? ProcessReadings(pid.rawValue, by: task)
        let stat = try whole.stat.get()
        commands[pid] = stat.comm
        let status = try whole.status.get()
        if pid == members.root { try beginNamespaces(status.namespaceProcessIDs.count) }
        let ownNamespace = try pidNamespace(of: pid, status.namespaceProcessIDs.count)

        let door = try lookAtThread(first, of: pid, ahead, status, ownNamespace, door: nil)
        var process = ProcessSight(
            pid: pid, stat: stat, status: status, exitedLeader: nil, stopSignal: tasks.compactMap(\.stopSignal).first,
            threads: [door], space: 0, actions: 0, executable: try place("/proc/\(task)/exe"),
            limits: try whole.limits.get(), oomScoreAdjustment: whole.oomScoreAdjustment,
            personality: whole.personality, posixTimers: try whole.posixTimers.get(),
            pidNamespace: ownNamespace, loginUser: whole.loginUser)
        lookAtProgram(&process, "/proc/\(task)/exe")
        if first.tid != pid {
            process.exitedLeader = ExitedLeaderSight(
                stat: try Seen(ProcText.stat(of: pid.rawValue, task: pid.rawValue)), scheduling: try SchedulingSight(of: pid))
        }
        (process.space, process.actions) = try memory(of: first.tid, whole, door.namespaces.mount)
        for other in tasks.dropFirst() {
            do throws(SystemError) {
                let ahead = readings.take(other.tid, of: pid, isDoor: false)
                process.threads.append(try lookAtThread(other, of: pid, ahead, status, ownNamespace, door: door))
            } catch {
                // In a tree that runs threads end while others are looked at.
                guard error.isGone else { throw error }
            }
        }
        sight.processes.append(process)
    }

    /// - Parameter door: the thread through which the process is looked into; nil: it is this one.
    private mutating func lookAtThread(
        _ thread: TreeMembers.Thread, of pid: HostPid, _ readings: TaskReadings, _ processStatus: Seen<TaskStatus>, _ pidNamespace: Int,
        door: ThreadSight?
    ) throws(SystemError) -> ThreadSight {
        let tid = thread.tid
        let number = tid.rawValue
        let (stat, status) = (try readings.stat?.get(), try readings.status?.get())
        let knownDirectories = try identities.find(number, .fileSystem, like: door.map { ($0.tid.rawValue, $0.directories) })
        let namespaces = try namespaces(
            of: tid, in: pid, try readings.namespaces.get(), pidNamespace, door: door?.namespaces,
            sharesMount: knownDirectories.id != nil && knownDirectories.id == door?.directories)
        let directories: Int
        if let id = knownDirectories.id {
            directories = id
        } else {
            directories = try lookAtDirectories(of: tid, namespaces.mount, (status ?? processStatus).fileModeMask, knownDirectories)
        }
        let knownTable = try identities.find(number, .descriptorTable, like: door.map { ($0.tid.rawValue, $0.table) })
        let table: Int
        if let id = knownTable.id { table = id } else { table = try lookAtTable(of: tid, namespaces.mount, knownTable) }
        let robust = try readings.robustList.get()
        return ThreadSight(
            tid: tid, stat: stat, status: status, table: table, directories: directories,
            undo: try identities.number(ofLate: .semaphoreUndo, number, like: door.map { ($0.tid.rawValue, $0.undo) }),
            diskContext: try identities.number(ofLate: .diskContext, number, like: door.map { ($0.tid.rawValue, $0.diskContext) }),
            namespaces: namespaces, cgroups: try cgroups(try readings.cgroups.get()), scheduling: try readings.scheduling.get(),
            robustList: robust.head, robustListSize: robust.length, insideVdso: thread.insideVdso,
            hasCoreCookie: readings.hasCoreCookie ? true : nil)
    }

    private mutating func lookAtDirectories(
        of tid: HostPid, _ mountNamespace: Int, _ umask: UInt32?, _ known: Identities.Found
    ) throws(SystemError) -> Int {
        sight.directories.append(
            DirectoriesSight(
                holder: tid, working: try place("/proc/\(tid)/cwd"), root: try place("/proc/\(tid)/root"),
                umask: umask ?? 0o022, mountNamespace: mountNamespace))
        if let seen = sight.directories.last {
            for place in [seen.working, seen.root] where !place.isDeleted { names.look(place.path.bytes) }
        }
        identities.add(known, id: sight.directories.count)
        return sight.directories.count
    }

    /// Whether the program file can be started by its name. Otherwise it is saved with its contents.
    private mutating func lookAtProgram(_ process: inout ProcessSight, _ link: String) {
        let (path, status) = (process.executable.path.bytes, process.executable.status)
        var isFound = !process.executable.isDeleted && names.look(path)?.isSameFile(as: status) == true
        if !isFound, status.linkCount > 0, let other = names.otherName(of: status.inode, on: status.device, besides: path) {
            (process.executable.path, process.executable.isDeleted, isFound) = (RawText(other), false, true)
        }
        let anyExecute = FileMode.S_IXUSR | FileMode.S_IXGRP | FileMode.S_IXOTH
        if !isFound || status.mode & anyExecute == 0 { process.programObject = object(at: link, name: path, status) }
    }

    /// Where a link of `/proc` leads.
    mutating func place(_ link: String) throws(SystemError) -> PlaceSight {
        let status = try FileStatus(of: link)
        let text: [UInt8]
        do throws(SystemError) { text = try readLink(link) } catch {
            guard error.number == Errno.ENAMETOOLONG else { throw error }
            return PlaceSight(path: RawText([]), isDeleted: false, status: status, isTooLong: true)
        }
        let path = KernelPath(link: text, of: KernelPath.Identity(status)) { names.look($0) }
        return PlaceSight(path: RawText(path.bytes), isDeleted: path.isDeleted, status: status)
    }

    /// - Parameter text: `/proc/PID/cgroup` of a task.
    private mutating func cgroups(_ text: [UInt8]) throws(SystemError) -> Int {
        if let known = cgroupIDs[text] { return known }
        let seen = try Seen<CgroupMemberships>(text)
        if cgroupMounts == nil { cgroupMounts = try CgroupMount.all() }
        let freezer = cgroupMounts?.freezer(holdingAny: seen.value.all)
        sight.cgroups.append(CgroupSight(text: seen, freezer: freezer.map { RawText($0) }))
        cgroupIDs[text] = sight.cgroups.count
        return sight.cgroups.count
    }
}
