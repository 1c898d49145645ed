internal import Kernel

/// What can be read about one task by its number alone, in any order.
///
/// So it is read on several processors, ahead of the look that puts it together. What could not be read throws there, where the look
/// comes to it.
struct TaskReadings: Sendable {
    typealias Reading<Value: Sendable> = Result<Value, SystemError>

    /// Of a thread that is not the first one.
    var stat: Reading<Seen<ProcessStat>>?
    var status: Reading<Seen<TaskStatus>>?
    /// The kernel's names for its namespaces, by that of the link. What is not there is a kind that this kernel does not have.
    var namespaces: Reading<[String: [UInt8]]>
    /// `/proc/PID/cgroup`
    var cgroups: Reading<[UInt8]>
    var scheduling: Reading<SchedulingSight>
    var robustList: Reading<RobustList>
    var hasCoreCookie: Bool
    /// Of the thread through which a process is looked into.
    var process: ProcessReadings?

    /// - Parameter isDoor: the process is looked into through this thread.
    init(_ tid: HostPid, of pid: HostPid, isDoor: Bool) {
        let (task, process) = (tid.rawValue, pid.rawValue)
        if tid != pid {
            stat = Reading { () throws(SystemError) in try Seen(ProcText.stat(of: process, task: task)) }
            status = Reading { () throws(SystemError) in try Seen(ProcText.status(of: process, task: task)) }
        }
        namespaces = Reading { () throws(SystemError) in try Self.namespaces(of: process, thread: task, isDoor: isDoor) }
        cgroups = Reading { () throws(SystemError) in try cgroupText(of: process, task: tid == pid ? nil : task) }
        scheduling = Reading { () throws(SystemError) in try SchedulingSight(of: tid) }
        robustList = Reading { () throws(SystemError) in try RobustList(of: task) }
        hasCoreCookie = TaskAttributes.hasCoreCookie(task)
        if isDoor { self.process = ProcessReadings(process, by: task) }
    }

    /// Not the mount namespace of other threads, which they nearly always share with the door.
    private static func namespaces(of pid: Int32, thread: Int32, isDoor: Bool) throws(SystemError) -> [String: [UInt8]] {
        let links = try NamespaceLinks(of: pid, thread: thread)
        var all: [String: [UInt8]] = [:]
        for name in isDoor ? ofProcesses + ofThreads : ofThreads { all[name] = try links.link(name) }
        return all
    }

    private static let ofProcesses = [NamespaceSight.Kind.user, .time, .mount].map(\.link)
    private static let ofThreads = [NamespaceSight.Kind.network, .ipc, .hostName, .cgroup].map(\.link) + ["time_for_children", "pid_for_children"]
}

/// What is read about a process as a whole. See ``TaskReadings``.
struct ProcessReadings: Sendable {
    typealias Reading<Value: Sendable> = Result<Value, SystemError>

    var stat: Reading<Seen<ProcessStat>>
    var status: Reading<Seen<TaskStatus>>
    var limits: Reading<Seen<ResourceLimits>>
    var posixTimers: Reading<Seen<PosixTimerStates>>
    /// Zero where they cannot be read.
    var oomScoreAdjustment: Int32
    var personality: UInt32
    var loginUser: UInt32?
    var maps: Reading<Seen<Smaps>>
    var auxiliaryVector: Reading<[UInt8]>
    /// Nil: this kernel has none.
    var coreFilter: UInt32?

    /// - Parameter task: a living thread of it.
    init(_ pid: Int32, by task: Int32) {
        stat = Reading { () throws(SystemError) in try Seen(ProcText.stat(of: pid)) }
        status = Reading { () throws(SystemError) in try Seen(ProcText.status(of: pid)) }
        limits = Reading { () throws(SystemError) in try Seen(ProcText.limits(of: task)) }
        posixTimers = Reading { () throws(SystemError) in try Seen(ProcText.timers(of: task)) }
        oomScoreAdjustment = (try? memoryKillAdjustment(of: task)) ?? 0
        personality = (try? Kernel.personality(of: task)) ?? 0
        loginUser = TaskAttributes.loginUser(of: pid)
        maps = Reading { () throws(SystemError) in try Seen(ProcText.smaps(of: task)) }
        auxiliaryVector = Reading { () throws(SystemError) in try ProcText.auxiliaryVector(of: task) }
        coreFilter = try? coreDumpFilter(of: task)
    }
}

/// The readings of all tasks of a tree, made on other threads while the look puts together what was read before.
struct ReadingsAhead {
    private typealias Task = (tid: HostPid, pid: HostPid, isDoor: Bool)

    /// In the order in which they are looked at.
    private let places: [HostPid: Int]
    private let readings: MadeAhead<TaskReadings>

    /// Tasks whose readings are held before they are needed: some milliseconds' work.
    private static let most = 256

    init(_ members: TreeMembers) {
        let tasks: [Task] = members.processes.flatMap { pid in
            (members.threads[pid] ?? []).enumerated().map { (tid: $0.element.tid, pid: pid, isDoor: $0.offset == 0) }
        }
        places = Dictionary(zip(tasks.map(\.tid), 0...)) { first, _ in first }
        readings = MadeAhead(tasks.count, most: Self.most) { TaskReadings(tasks[$0].tid, of: tasks[$0].pid, isDoor: tasks[$0].isDoor) }
    }

    /// - Precondition: it is a thread of the tree. Each is taken once.
    func take(_ tid: HostPid, of pid: HostPid, isDoor: Bool) -> TaskReadings {
        guard let place = places[tid] else { return TaskReadings(tid, of: pid, isDoor: isDoor) }
        return readings.take(place)
    }

    /// Ends the threads. To be called before a process is forked, and in any case.
    func end() { readings.end() }
}

extension SchedulingSight {
    init(of task: HostPid) throws(SystemError) {
        self.init(
            policy: try SchedulingPolicy(of: task.rawValue), affinity: RawText(try Kernel.affinity(of: task.rawValue)),
            ioPriority: UInt32(bitPattern: try diskPriority(of: task.rawValue)))
    }
}
