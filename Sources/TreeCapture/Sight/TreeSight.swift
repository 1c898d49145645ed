internal import Kernel

/// All that was seen of a stopped tree from outside, without touching it: a value that can be recorded and looked at again.
///
/// Things that several tasks can have in common are listed once. Their ids count from 1 in the order of the list, 0 means
/// that there is none; tasks that name the same id have the same thing, as kcmp(2) or the kernel's own names told.
struct TreeSight: Codable, Sendable {
    var host: HostSight
    /// When the tree had stopped.
    var instant: TimeStamp
    var root: HostPid
    /// Those that live, as a walk from the root met them: parents before their children.
    var processes: [ProcessSight] = []
    var zombies: [ZombieSight] = []
    var spaces: [SpaceSight] = []
    var objects: [ObjectSight] = []
    var tables: [TableSight] = []
    var files: [OpenFileSight] = []
    var directories: [DirectoriesSight] = []
    var namespaces: [NamespaceSight] = []
    var cgroups: [CgroupSight] = []
    /// What names lead to.
    var names: [NameSight] = []
    var semaphoreSets: [SemaphoreSetSight] = []
    /// What tasks of the tree would undo at their end (SEM_UNDO); nil: it was not to be seen.
    var semaphoreUndo: [SemaphoreUndoSight]?
    /// Nil: none concerns the tree.
    var messageQueues: [MessageQueueSight]?
    /// Nil: there is none.
    var segments: [SharedSegmentSight]?
    /// Processes outside of the tree that share something with it.
    var sharers: [SharerSight] = []
    /// Processes outside of the tree that are in one of its pid namespaces.
    var strangers: [StrangerSight] = []

    /// What the user lets through, by the names that `/proc/PID/fd` shows. Nil: nothing.
    var external: [String]?
    /// What becomes of TCP connections; nil: they are kept.
    var connections: TCPMode?
    /// The lock of its connections that is in force; nil: none.
    var lock: LockSight?

    subscript(space id: Int) -> SpaceSight { spaces[id - 1] }
    subscript(directories id: Int) -> DirectoriesSight { directories[id - 1] }
    subscript(namespace id: Int) -> NamespaceSight { namespaces[id - 1] }

    /// Every thread with the process that it belongs to.
    var threads: some Sequence<(process: ProcessSight, thread: ThreadSight)> {
        processes.lazy.flatMap { process in process.threads.lazy.map { (process, $0) } }
    }
}

/// The lock of the tree's connections.
struct LockSight: Codable, Sendable {
    var id: String
    var connections: Int
}

/// What is known of the host, and of crcheckpoint itself as far as tasks are compared with it.
struct HostSight: Codable, Sendable {
    var kernelRelease: String
    var kernelVersion: String
    var name: String
    /// utsname.machine
    var architecture: String
    var bootID: String
    var pageSize: UInt64
    /// Answers of the cpuid instruction; empty on other architectures.
    var processor: [CPUIDAnswer]
    /// Nil: the kernel was booted without.
    var vdso: VdsoSight?
    /// What 32-bit programs get; looked at where the tree holds one.
    var compatVdso: VdsoSight?
    /// Nanoseconds of a task whose time slice no program has chosen (sched_getattr(2), since Linux 6.12); else 0.
    var usualTimeSlice: UInt64
    /// `/proc/self/mountinfo`; looked at where the tree has another mount namespace.
    var mounts: Seen<MountTable>?
    /// Whether crcheckpoint may read filters of seccomp(2); nil: it was not looked at.
    var mayReadFilters: Bool?
}

/// One answer of the cpuid instruction.
struct CPUIDAnswer: Codable, Sendable {
    var leaf: UInt32
    var subleaf: UInt32
    /// eax, ebx, ecx, edx.
    var registers: [UInt32]
}

struct VdsoSight: Codable, Sendable {
    /// Bytes of the data pages before the code.
    var dataSize: UInt64
    var codeSize: UInt64
    /// crc32c of the code.
    var checksum: UInt32
    /// The code; empty where an image does not need it.
    var code: RawText
    /// How many zero bytes the code ends in.
    var slack: Int
}

/// The cgroups of a task.
struct CgroupSight: Codable, Sendable {
    /// `/proc/PID/cgroup`
    var text: Seen<CgroupMemberships>
    /// The cgroup whose freezer holds the tasks.
    var freezer: RawText?
}

/// A namespace that a task is in, or has its children in.
struct NamespaceSight: Codable, Sendable {
    enum Kind: String, Codable, Sendable, CaseIterable {
        case user, mount, pid, network, ipc, hostName, cgroup, time

        /// The name of its link in `/proc/PID/ns`.
        var link: String {
            switch self {
            case .user: "user"
            case .mount: "mnt"
            case .pid: "pid"
            case .network: "net"
            case .ipc: "ipc"
            case .hostName: "uts"
            case .cgroup: "cgroup"
            case .time: "time"
            }
        }
    }

    var kind: Kind
    /// The kernel's name, e.g. `pid:[4026531836]`. Empty: a pid namespace in which no process was born yet.
    var link: RawText
    /// crcheckpoint is in it, too.
    var isOwn: Bool
    /// A user namespace in which each number is what it is here, as crrestart without privilege makes it for a tree.
    var keepsNumbers: Bool?
    /// The kernel's name of the user namespace that owns it; nil where that cannot be seen.
    var owner: RawText?
    /// Pid namespaces that are nested in that of the root: the kernel's name of the one around it.
    var parent: RawText?
    /// A pid namespace without a process: its place in the list of the one around it.
    var parentID: Int?
    /// Mount namespaces, where they matter: `/proc/PID/mountinfo` of a task in it.
    var mounts: Seen<MountTable>?
    /// Mount namespaces: the pid namespace whose processes are seen in its `/proc`.
    var shownByProc: RawText?
    /// Time namespaces: nanoseconds that its clocks show beyond the host's.
    var monotonicOffset: Int64?
    var boottimeOffset: Int64?
}

/// A System V semaphore set of crcheckpoint's ipc namespace.
struct SemaphoreSetSight: Codable, Sendable {
    var number: Int32
    var key: UInt32
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    var values: [UInt32]
    /// The process that changed each of them last; 0: none that can be told.
    var changers: [HostPid]
    /// Why it could not be read.
    var failure: Failure?
}

/// What a task does to a semaphore set at its end.
struct SemaphoreUndoSight: Codable, Sendable {
    var pid: HostPid
    /// The first task that has the list.
    var tid: HostPid
    /// Nil: a set of another ipc namespace.
    var set: Int32?
    /// What is added to each semaphore.
    var adjustments: [Int32]
}

/// A System V message queue of crcheckpoint's ipc namespace that concerns the tree.
struct MessageQueueSight: Codable, Sendable {
    struct Message: Codable, Sendable {
        var type: Int64
        var text: RawText
    }

    var number: Int32
    var key: UInt32
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    /// Bytes of the texts that fit in.
    var limit: UInt64
    /// The oldest first.
    var messages: [Message]
    /// A process of the tree that waits for it, or was the last to use it.
    var user: HostPid
    /// Why it could not be read.
    var failure: Failure?
}

/// A System V shared memory segment of crcheckpoint's ipc namespace.
struct SharedSegmentSight: Codable, Sendable {
    var number: Int32
    var key: UInt32
    var mode: UInt32
    var owner: UInt32
    var group: UInt32
    var size: UInt64
    var isRemoved: Bool
    var isLocked: Bool
    /// The process that made it.
    var creator: HostPid
    /// Mappings of it in all processes.
    var attached: UInt64
}

/// A process outside of the tree that shares something with a task of it.
struct SharerSight: Codable, Sendable {
    var pid: HostPid
    var command: RawText
    /// What it shares: the name of a `CloneObject`.
    var object: String
    /// A task of the tree that has it.
    var task: HostPid
}

/// A process outside of the tree that came into one of its pid namespaces by setns(2).
struct StrangerSight: Codable, Sendable {
    var pid: HostPid
    var command: RawText
    var pidNamespace: RawText
}

/// A call that the kernel refused.
struct Failure: Codable, Sendable, Hashable {
    /// e.g. `EPERM`
    var errno: String
    var call: String

    init(_ error: SystemError) {
        errno = error.name
        call = error.call
    }
}
