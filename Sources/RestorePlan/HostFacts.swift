package import ArchState
package import CheckpointImage

/// What a restart needs to know about this host. It is asked once, before anything is decided.
///
/// It holds values only, so tests can invent a host.
package struct HostFacts: Sendable {
    /// A file named in the image, as it is here.
    package struct File: Sendable {
        package var size: UInt64
        package var modified: Int64
        package var mode: UInt32
        package var buildID: [UInt8]
        package var device: UInt64 = 0
        package var inode: UInt64 = 0
        /// CRC-32C of the contents, where the image has one to compare it with.
        package var contents: UInt32?
        /// Of the first bytes, as many as there were at the checkpoint; asked where files may be cut.
        package var ends: ImageFileEnds?

        package init(size: UInt64, modified: Int64, mode: UInt32, buildID: [UInt8]) {
            self.size = size
            self.modified = modified
            self.mode = mode
            self.buildID = buildID
        }
    }

    package struct Range: Sendable, Equatable {
        package var start: UInt64
        package var end: UInt64

        package init(start: UInt64, end: UInt64) {
            self.start = start
            self.end = end
        }
    }

    package var architecture = ""
    package var pageSize: UInt64 = 4096
    /// By path: what is there, or the name of the errno.
    package var files: [[UInt8]: Result<File, MissingFile>] = [:]
    /// Why those who hold a file may not open it without following a link: the name of the errno. Where there is
    /// nothing, they may, or the host was not asked.
    package var refusals: [FileRequest: String] = [:]
    /// Numbers of the image that are taken here, each with the pid and name of a process that has it.
    package var takenPids: [UInt32: String] = [:]
    /// Those of them whose holders have all ended: they are free as soon as these are reaped.
    package var dyingPids: [UInt32: String] = [:]
    /// Numbers that neither the image nor a task here has, for placeholders.
    package var spareNumbers: [UInt32] = []
    /// Likewise for all tasks of the tree, for a restart that gives them new numbers.
    package var freshNumbers: [UInt32] = []
    package var cpu = CPUOffer(features: [])
    package var xsaveLayout: XSaveLayout?
    /// The vdso of this kernel: sizes, checksum, and the addresses of its parts in the tool itself.
    package var vdso = ImageVdso()
    package var vdsoParts: [Range] = []
    /// The vdso of this kernel for 32-bit programs, and the address of an `int $0x80` in it. Nil where the kernel runs no
    /// 32-bit programs, or the image has none.
    package var compatVdso: ImageVdso?
    package var compatCallOffset: UInt64 = 0
    /// Mappings of the tool itself. New tasks inherit them, so no step can map anything there before they are unmapped.
    package var ownMappings: [Range] = []
    package var ownRseq: (address: UInt64, size: UInt32, signature: UInt32) = (0, 0, 0)
    /// Attributes of crrestart that a task inherits unless a step changes them.
    package var ownCredentials = ImageCredentials()
    package var ownScheduling = ImageScheduling()
    package var ownOomScoreAdjustment: Int32 = 0
    package var ownTimerSlack: UInt64 = 50_000
    /// PR_GET_SPECULATION_CTRL of store bypass, indirect branches and L1D flush.
    package var ownSpeculation: [UInt32] = [0, 0, 0]
    /// `/proc/self/loginuid` and 1 more; 0: none. Whether there is such a thing, and whether a task may get another one.
    package var ownLoginUser: UInt32 = 0
    package var hasLoginUsers = false
    package var mayChangeLoginUser = false
    package var mayFaultProcessorID = true
    /// Commands of membarrier(2) that this kernel has.
    package var memoryBarriers: UInt32 = .max
    package var ownMemory = MemoryFacts()
    /// Why page faults of the tree cannot be answered here: the name of the errno. Asked where pages are to come late.
    package var faultRefusal: String?
    /// By RLIMIT_* number.
    package var hardLimits: [UInt64] = []
    package var mayRaiseLimits = false
    /// The highest limit of descriptors that this kernel knows (fs.nr_open).
    package var mostDescriptors: UInt64 = 1 << 20
    /// The descriptors above 2 that crrestart has open itself.
    package var ownDescriptors: Set<UInt32> = []
    package var mayMakeNamespaces = true
    /// Whether crrestart, which may not make namespaces, can enter a user namespace of its own, in which it may; else why not: the name of
    /// the errno.
    package var ownUserNamespace: Result<Void, MissingFile> = .failure(MissingFile(errno: "EPERM"))
    /// These are the facts in that namespace.
    package private(set) var isInOwnUserNamespace = false
    package var knowsTimeNamespaces = true
    /// Capabilities that this kernel knows.
    package var knownCapabilities: UInt64 = 1 << 41 - 1
    package var numbers = NumberFacts()
    package var bootID = ""
    /// The host's clocks.
    package var now = TimePlan.Instant()
    package var mayMakeTimeNamespace = true
    /// The terminal of the tool: the first of 0, 1, 2 that is one, else 3 for `/dev/tty`; nil: it has none.
    package var terminal: UInt32?
    /// The terminal can be opened anew through its descriptor.
    package var terminalOpensAnew = false
    /// The terminal is a pty that crrestart makes for the tree: it can be the controlling terminal of a session of the tree.
    package var terminalIsFresh = false
    /// The descriptors 0, 1 and 2 of the tool, and its terminal, that an epoll can watch.
    package var watchable: [Bool] = [true, true, true, true]
    /// Sequence numbers of the messages that `/dev/kmsg` has; asked where the image has a reader of it.
    package var kernelMessages: [UInt64] = []
    /// Names of unix sockets that are in use here, each with the type of the socket before it, as `/proc/net/unix` shows them.
    package var socketNames: Set<[UInt8]> = []
    /// Inodes, without the upper 32 bits, of files that unix sockets are bound to. Nil: not known.
    package var boundSockets: Set<UInt32>?
    /// `struct sockaddr` of TCP sockets of the image whose host is none of this one's addresses.
    package var foreignAddresses: Set<[UInt8]> = []
    /// By the addresses of a TCP socket (``ImageTcpSocket/key``): the process that has such a one here.
    package var takenPorts: [[UInt8]: String] = [:]
    /// Network devices that sockets of the image name: their numbers here.
    package var devices: [[UInt8]: UInt32] = [:]
    /// By open file: why a socket of the image cannot be made, bound or connected here. It was tried.
    package var socketProblems: [UInt32: SocketProblem] = [:]
    /// `net.core.wmem_max`, `net.core.rmem_max`
    package var sendBufferLimit = UInt32.max
    package var receiveBufferLimit = UInt32.max
    /// PR_TIMER_CREATE_RESTORE_IDS, TFD_IOC_SET_TICKS, CAP_WAKE_ALARM.
    package var mayChooseTimerIDs = true
    package var maySetExpirations = true
    /// INOTIFY_IOC_SETNEXTWD
    package var mayNumberWatches = true
    /// fs.inotify.max_queued_events
    package var mostQueuedEvents = 16384
    package var mayWakeSystem = true
    /// Semaphore sets of this host by number, and whether a set can be made with a given number.
    package var semaphoreSets: [UInt32: SemaphoreSet] = [:]
    package var mayChooseSemaphoreNumbers = true
    package var messageQueues = MessageQueues()
    /// System V shared memory of this host by number; asked where the image has some.
    package var sharedSegments: [UInt32: SharedSegment] = [:]
    package var mayChooseSegmentNumbers = true
    /// POSIX message queues of the image, each asked for in the name of its holder.
    package var queues: [QueueRequest: QueueAnswer] = [:]
    package var cgroups = CgroupFacts()
    /// By path: locks that others have on files that the image has locks on.
    package var locks: [[UInt8]: [HeldLock]] = [:]

    package init() {}

    /// The same host, as crrestart has it in a user namespace of its own: every capability, for what that namespace owns.
    ///
    /// - Source: kernel/user_namespace.c, `set_cred_user_ns`.
    func inOwnUserNamespace() -> HostFacts {
        var facts = self
        facts.isInOwnUserNamespace = true
        facts.mayMakeNamespaces = true
        facts.mayMakeTimeNamespace = knowsTimeNamespaces
        facts.ownCredentials.permitted = knownCapabilities
        facts.ownCredentials.effective = knownCapabilities
        facts.ownCredentials.bounding = knownCapabilities
        facts.ownCredentials.inheritable = 0
        facts.ownCredentials.ambient = 0
        facts.ownCredentials.secureBits = 0
        return facts
    }

    /// Effective capabilities over what the host owns, such as its network and its limits.
    var hostCapabilities: UInt64 { isInOwnUserNamespace ? 0 : ownCredentials.effective }

    /// The first number that no descriptor can have here.
    var descriptorLimit: UInt64 {
        mayRaiseLimits || hardLimits.count <= 7 ? mostDescriptors : min(hardLimits[7], mostDescriptors)
    }
}

/// Attributes of memory as a whole that a task inherits from crrestart, and what this kernel knows of memory.
package struct MemoryFacts: Sendable, Equatable {
    /// `/proc/self/coredump_filter`; nil: there is none.
    package var coreFilter: UInt32?
    /// PR_GET_THP_DISABLE
    package var hugePagesDisabled: UInt32 = 0
    /// PR_GET_MEMORY_MERGE
    package var mergesPages = false
    /// MADV_GUARD_INSTALL, since 6.13.
    package var knowsGuards = true
    /// mseal(2), since 6.10.
    package var knowsSeals = true
    /// `vm.max_map_count`: of one process.
    package var mostMappings = Int.max
    /// Bytes of a huge page; 0: there are none, or not for programs that do not ask for them all the time.
    package var hugePageSize: UInt64 = 0
    /// This is a virtual machine that gives free memory back to its host in pieces of that size (free page reporting): a huge page is
    /// then memory that the host has to find first, which takes longer than many small pages do.
    package var givesMemoryBack = false
    /// Pages that can be had from the pools of huge pages, by their size in bytes; nil: it does not matter, because the tree that has
    /// them will have ended before.
    package var hugePages: [UInt64: UInt64]? = [:]

    package init() {}
}

/// What the kernel says to a socket that the image needs.
package struct SocketProblem: Sendable, Equatable {
    /// `socket`, `bind`, `connect`, `setsockopt`
    package var call: String
    package var errno: String

    package init(call: String, errno: String) { (self.call, self.errno) = (call, errno) }
}

package struct MissingFile: Error, Sendable, Equatable {
    package var errno: String

    package init(errno: String) { self.errno = errno }

    /// The object exists, but crrestart cannot use it.
    var isRefusal: Bool { errno == "EACCES" || errno == "EROFS" }

    var help: String {
        switch errno {
        case "EACCES": "the user of crrestart may not open it as the program had it: be root, or change its mode"
        case "EROFS": "the program had it open for writing: its file system is read-only here"
        default: "the file existed at the checkpoint: put it back"
        }
    }
}

/// The user's options for a restart.
package struct RestartOptions: Sendable {
    /// A new pid namespace, or the pids of this one; nil: the plan decides.
    package var newPidNamespace: Bool?
    /// How pages get from the image into tasks.
    package var delivery = PageDelivery.inPlace
    /// Tasks run at once: pages come when they are touched, the others in the background.
    package var isLazy = false
    package var hugePages = HugePageUse.auto
    /// The image comes on standard input, so the tree gets another standard input.
    package var imageIsStandardInput = false
    /// The tree has the numbers of the image; otherwise fresh ones of this pid namespace.
    package var keepsPids = true
    /// Does not use `set_tid` of clone3(2) even where it is possible: pids are chosen by `ns_last_pid`.
    package var usesLastPid = false
    /// Keeps the source kernel's vdso beside this kernel's even where the two are the same.
    package var keepsOldVdso = false
    package var time = TimeModel.relative
    /// Refuses a host that lacks instructions which the source host offered.
    package var isStrictAboutCPU = false
    package var cgroups = CgroupOptions()
    package var files = FileOptions()
    package var addresses = AddressMoves()
    /// Numbers of processes that have ended are waited for, until they are reaped.
    package var waitsForNumbers = true
    /// Descriptors of crrestart that the root of the tree inherits.
    package var handed: [UInt32] = []
    /// What takes the place of open files of the tree. Belongs to the image that has been changed for it.
    package var given = ChosenDescriptors()

    package init() {}
}
