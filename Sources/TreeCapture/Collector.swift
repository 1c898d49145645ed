internal import ArchState
internal import CheckpointImage
internal import ImageHost
internal import Kernel

/// Gathers everything about a frozen tree that is not the bytes of pages.
///
/// Shared things are collected once and referred to by id. What cannot be saved becomes a finding; all
/// of them are reported together, before anything is written.
final class Collector {
    /// Where an owner's pages are read from.
    enum PageSource {
        case task(Int32)
        case file(String)
    }

    let root: Int32
    let processes: [Int32]
    let zombies: [Int32]
    let threads: [Int32: [FrozenTree.Task]]
    let log: (String) -> Void

    var header = ImageHeader()
    var imageProcesses: [ImageProcess] = []
    var imageThreads: [ImageThread] = []
    var spaces: [ImageAddressSpace] = []
    var spaceSources: [PageSource] = []
    var tables: [ImageFileTable] = []
    var files: [ImageOpenFile] = []
    var pipes: [ImagePipe] = []
    var semaphoreSets: [ImageSemaphoreSet] = []
    var objects: [ImageMemoryObject] = []
    var objectSources: [PageSource] = []
    var findings: [Finding] = []
    /// What people should know, e.g. descriptors that belong to somebody outside.
    var notices: [String] = []

    // Caches and identities.
    var pidInNamespace: [Int32: UInt32] = [:]
    var hostPids: [UInt32: Int32] = [:]
    var commands: [Int32: String] = [:]
    var identities: [String: (identity: ImageFileIdentity, status: FileStatus)] = [:]
    var objectIds: [FileKey: UInt32] = [:]
    var openFiles = OpenFileIndex()
    var sharing = SharingIndex()
    /// Address space and file table of the first process that has each.
    var spaceOf: [Int32: UInt32] = [:]
    var tableOf: [Int32: UInt32] = [:]
    /// By tid: directories that are not those of the process.
    var threadDirectories: [Int32: ImageDirectories] = [:]
    var pipeUses: [UInt64: PipeUse] = [:]
    var epollUses: [EpollUse] = []
    /// Semaphore sets that a task was caught waiting for.
    var awaitedSemaphoreSets: [Int32: Int32] = [:]
    var ownNamespaces: [String: [UInt8]] = [:]
    var namespaces = NamespaceIndex()
    /// Processes to which a signal was delivered while they were asked.
    var disturbed: Set<Int32> = []
    var injections: [Int32: Injection] = [:]
    /// By pid of the image: children that live, and those that have stopped or gone on without a report.
    var childrenOf: [UInt32: [ReportQuestions.Child]] = [:]
    var unreported: Set<UInt32> = []
    var cgroups = CgroupIndex()
    /// Of threads that are not the first of their process: what the kernel tells without asking them.
    var threadFacts: [Int32: ThreadFacts] = [:]
    /// The instant that all times of the image count from.
    let stamp = TimeStamp()
    var timeNamespace: (link: [UInt8], offsets: TimeNamespace.Offsets)?
    /// What interrupted calls have left. Nil where nothing is stopped.
    var calls: TimedCalls?
    let xsave: XSaveLayout
    let ownVdso: Vdso?
    /// Threads that the freeze did not find outside of it.
    var insideVdso: Set<Int32> = []
    let vdsoCode: [UInt8]
    /// Asked of the kernel when the first 32-bit task is met.
    var compatVdso: CompatVdso? { CompatVdso.current }

    struct FileKey: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    init(
        root: Int32, processes: [Int32], zombies: [Int32], threads: [Int32: [FrozenTree.Task]],
        log: @escaping (String) -> Void
    ) throws(CaptureError) {
        guard let layout = HostCPU.layout else {
            throw CaptureError("cannot read processor state: ENOTSUP (this processor has no xsave)")
        }
        self.root = root
        self.processes = processes
        self.zombies = zombies
        self.threads = threads
        self.log = log
        xsave = layout
        ownVdso = (try? Vdso.current()) ?? nil
        vdsoCode = ownVdso?.codeBytes() ?? []
    }

    /// Takes over what is known of the host and the beginning, keeping what was found out since.
    func begin(_ start: ImageHeader) {
        var header = start
        header.formatVersion = ImageFormat.version
        header.toolVersion = ToolVersion.current
        header.root = self.header.root
        header.rootIsNamespaceInit = self.header.rootIsNamespaceInit
        header.pidNamespaces = self.header.pidNamespaces
        header.mountNamespaces = self.header.mountNamespaces
        header.outsideSession = self.header.outsideSession
        header.outsideGroup = self.header.outsideGroup
        header.cgroupSets = cgroups.sets
        header.begin.realtime = stamp.now(on: .realtime)
        header.begin.monotonic = stamp.now(on: .monotonic)
        header.begin.boottime = stamp.now(on: .boottime)
        header.monotonicOffset = timeNamespace?.offsets.monotonic ?? 0
        header.boottimeOffset = timeNamespace?.offsets.boottime ?? 0
        header.cpuFeaturesOffered = HostCPU.offer.features.rawValue
        header.cpuInstructionsOffered = HostCPU.offer.instructions.rawValue
        if let vdso = ownVdso {
            header.vdso = ImageVdso(vdso, code: vdsoCode)
        }
        if spaces.contains(where: \.is32Bit), let compat = compatVdso { header.vdso32 = ImageVdso(compat) }
        self.header = header
    }

    func find(_ pid: Int32, _ object: String, _ reason: String, help: String = "") {
        let finding = Finding(pid: pid, command: commands[pid] ?? "", object: object, reason: reason, help: help)
        if !findings.contains(finding) { findings.append(finding) }
    }

    /// Collects everything from outside: `/proc` and descriptors. Nothing of the tree is touched.
    func collectFromOutside() throws(CaptureError) {
        var numbers: [Int32: [UInt32]] = [:]
        for pid in processes + zombies {
            try describing(pid, "read the state of") { () throws(SystemError) in
                numbers[pid] = try TaskStatus(of: pid).namespaceProcessIDs
                commands[pid] = text(try ProcessStat(of: pid).comm)
            }
        }
        try describing(root, "look at the pid namespaces of") { () throws(SystemError) in try collectPidNamespaces(numbers) }
        for pid in processes {
            (commands[door(to: pid)], pidInNamespace[door(to: pid)]) = (commands[pid], pidInNamespace[pid])
            checkNamespaces(of: door(to: pid))
            try describing(pid, "read the state of") { () throws(SystemError) in
                try collectProcess(pid)
            }
        }
        for pid in zombies {
            try describing(pid, "read the state of") { () throws(SystemError) in try collectZombie(pid) }
        }
        finishFiles()
        finishSharing()
        sortProcesses()
        finishNamespaces()
        checkCreation()
    }

    /// The task by which a process can be looked into: the first of its threads that has not exited.
    ///
    /// Once the first thread has, the process's own number shows neither memory nor descriptors nor namespaces.
    func door(to pid: Int32) -> Int32 { threads[pid]?.first?.tid ?? pid }

    /// Wraps a kernel error into a sentence that names the task.
    func describing(_ pid: Int32, _ verb: String, _ body: () throws(SystemError) -> Void) throws(CaptureError) {
        do throws(SystemError) { try body() } catch {
            let help = error.isGone ? "it ended meanwhile; try again" : error.call
            throw CaptureError(cannot: "\(verb) \(pid) \(commands[pid] ?? "")", error, help: help)
        }
    }

    /// Parents before children, siblings in the order of their start.
    private func sortProcesses() {
        var children: [UInt32: [ImageProcess]] = [:]
        for process in imageProcesses { children[process.parent, default: []].append(process) }
        guard let rootPid = pidInNamespace[root], let first = imageProcesses.first(where: { $0.pid == rootPid })
        else { return }
        var ordered: [ImageProcess] = []
        var waiting = [first]
        while let process = waiting.popLast() {
            ordered.append(process)
            let own = process.pid == first.parent ? [] : children[process.pid] ?? []
            waiting += own.sorted { ($0.startTime, $0.pid) > ($1.startTime, $1.pid) }
        }
        imageProcesses = ordered
        header.root = rootPid
    }
}
