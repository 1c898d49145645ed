internal import Kernel

/// A process that lives.
struct ProcessSight: Codable, Sendable {
    var pid: HostPid
    /// `/proc/PID/stat`
    var stat: Seen<ProcessStat>
    /// `/proc/PID/status`, which is that of its first thread.
    var status: Seen<TaskStatus>
    /// Set where the first thread has exited and others live: that shows neither memory nor descriptors any more.
    var exitedLeader: ExitedLeaderSight?
    /// The job-control stop that was in force before the freeze, or that came during it.
    var stopSignal: Int32?
    /// Those that live, the first thread of the process before all others, these by their tids.
    var threads: [ThreadSight]
    /// Memory and signal actions, which all threads of a process share.
    var space: Int
    var actions: Int
    /// `/proc/PID/exe`
    var executable: PlaceSight
    /// The memory object with the contents of the program file, where that cannot be started by its name any more.
    var programObject: Int?
    var limits: Seen<ResourceLimits>
    var oomScoreAdjustment: Int32
    var personality: UInt32
    var posixTimers: Seen<PosixTimerStates>
    var pidNamespace: Int
    /// `/proc/PID/loginuid`, all ones: none; nil where the kernel keeps none.
    var loginUser: UInt32?

    /// The thread through which the process is looked into.
    var door: ThreadSight { threads[0] }

    /// `status` of one of its threads.
    func status(of thread: ThreadSight) -> TaskStatus { thread.status?.value ?? status.value }
    /// The text of `stat` that tells of the thread's own name and of the memory that it has.
    func stat(of thread: ThreadSight) -> ProcessStat { thread.stat?.value ?? stat.value }
}

/// The first thread of a process, which has exited while others live.
struct ExitedLeaderSight: Codable, Sendable {
    /// `/proc/PID/task/PID/stat`: its exit status, where that of the process is still open.
    var stat: Seen<ProcessStat>
    var scheduling: SchedulingSight
}

/// A thread that lives.
struct ThreadSight: Codable, Sendable {
    var tid: HostPid
    /// `/proc/PID/task/TID/stat` and `status`; nil for the first thread, of which those of the process tell.
    var stat: Seen<ProcessStat>?
    var status: Seen<TaskStatus>?
    /// What it may share with other tasks, or not.
    var table: Int
    var directories: Int
    /// Undo lists and disk contexts come into being when they are first needed; 0: it has none.
    var undo: Int
    var diskContext: Int
    var namespaces: TaskNamespaces
    var cgroups: Int
    var scheduling: SchedulingSight
    /// get_robust_list(2): address of the head, bytes of it. That of 32-bit tasks only they themselves can tell.
    var robustList: UInt64
    var robustListSize: UInt64
    /// It runs in its vdso, or returns into that from a signal handler.
    var insideVdso: Bool
    /// It shares its core with chosen tasks only (PR_SCHED_CORE).
    var hasCoreCookie: Bool?
    /// It is in a Landlock domain, as the kernel's own memory told; nil: that could not be read.
    var isInDomain: Bool?
}

/// The namespaces of a thread, by their places in the list.
struct TaskNamespaces: Codable, Sendable, Equatable {
    var user = 0
    var mount = 0
    var network = 0
    var ipc = 0
    var hostName = 0
    var cgroup = 0
    var time = 0
    var timeForChildren = 0
    var pidForChildren = 0
}

struct SchedulingSight: Codable, Sendable {
    var policy: SchedulingPolicy
    /// Bit N of the bytes: processor N.
    var affinity: RawText
    /// ioprio_get(2)
    var ioPriority: UInt32
}

/// A process that is dead and not yet waited for.
struct ZombieSight: Codable, Sendable {
    var pid: HostPid
    var stat: Seen<ProcessStat>
    var status: Seen<TaskStatus>
    var pidNamespace: Int
    /// It lives, and has ended in the image, with this status: crcheckpoint, where it belongs to the tree. Nil: it has ended.
    var endsWith: UInt32?
}

/// Working directory, root directory and umask: what threads share by CLONE_FS.
struct DirectoriesSight: Codable, Sendable {
    /// A task that has them.
    var holder: HostPid
    var working: PlaceSight
    var root: PlaceSight
    var umask: UInt32
    var mountNamespace: Int
}
