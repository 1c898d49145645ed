internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import PidControl

/// What a checkpoint knows, as the records of an image.
struct Recorded: Sendable {
    var records = ImageRecords()
    /// What cannot be saved: with one of these no image is written.
    var findings: [Finding] = []
    /// What people should know, e.g. which descriptors lead out of the tree.
    var notices: [String] = []
    /// Where pages are read from, in the order in which they are written.
    var pages: [PageOrigin] = []
}

/// Where the pages of one owner are read from.
struct PageOrigin: Sendable, Equatable {
    enum Owner: Sendable, Equatable {
        case space(UInt32)
        case object(UInt32)
        case shared(UInt32)
    }
    enum Source: Sendable, Equatable {
        /// The memory of a stopped task.
        case task(HostPid)
        /// The memory of stopped tasks: each has this many of the runs.
        case tasks([TaskRuns])
        /// A file by its path.
        case file([UInt8])
    }

    struct TaskRuns: Sendable, Equatable {
        var task: HostPid
        var runs: Range<Int>
    }

    var owner: Owner
    var source: Source
}

/// Makes the records of an image from what was seen of a tree and what its tasks answered. Pure: no system call.
struct Recorder {
    let sight: TreeSight
    var records = ImageRecords()
    private(set) var findings: [Finding] = []
    private(set) var notices: [String] = []

    let names: NameTable
    /// How many pid namespaces there are around that of the root, as far as crcheckpoint's `/proc` shows them.
    let outerDepth: Int
    /// By process, zombies among them.
    private(set) var imagePids: [HostPid: ImagePid] = [:]
    private var commands: [HostPid: String] = [:]
    var namespaces = NamespaceIDs()
    var identities: FileIdentities
    /// By address space.
    var tables: [MappingTable] = []
    let sharedUndo: Set<Int>
    let sharedDiskContexts: Set<Int>
    /// Of processor features: the union of all threads.
    var featuresInUse: UInt64 = 0

    static func records(_ sight: TreeSight, _ answers: Answers? = nil, _ memory: MemorySight? = nil) -> Recorded {
        Recorder(sight).records(answers, memory)
    }

    /// Records what the sight alone tells. `findings` then holds what makes it useless to ask the tasks.
    init(_ sight: TreeSight) {
        self.sight = sight
        names = NameTable(sight.names)
        outerDepth = max(0, (sight.processes.first?.status.value.namespaceProcessIDs.count ?? 1) - 1)
        identities = FileIdentities(names, [])
        sharedUndo = Self.shared(sight, \.undo)
        sharedDiskContexts = Self.shared(sight, \.diskContext)
        for process in sight.processes { note(process.pid, process.stat.value, process.status.value) }
        for zombie in sight.zombies { note(zombie.pid, zombie.stat.value, zombie.status.value) }
        recordNamespaces()
        identities = FileIdentities(names, namespaces.ids)
        for process in sight.processes { recordProcess(process) }
        for zombie in sight.zombies { recordZombie(zombie) }
        recordSpaces()
        recordFiles()
        recordDirectories()
        checkSharing()
        sortProcesses()
        checkMountNamespaces()
        checkCreation()
        checkInjection()
    }

    /// Completes the records.
    ///
    /// - Parameters:
    ///   - answers: nil: the tasks were not asked. Then there are no threads.
    ///   - memory: nil: pages were not looked at. Then there are none.
    consuming func records(_ answers: Answers?, _ memory: MemorySight?) -> Recorded {
        var recorder = self
        var waiters: [Int32: HostPid] = [:]
        if let answers { waiters = recorder.recordAnswers(answers) }
        SemaphoreSet.record(waiters: waiters, &recorder)
        MessageQueue.record(&recorder)
        var recorded = Recorded()
        if let memory { recorded.pages = recorder.recordPages(memory) }
        recorder.recordHeader()
        recorded.records = recorder.records
        recorded.findings = recorder.findings
        recorded.notices = recorder.notices
        return recorded
    }

    private mutating func note(_ pid: HostPid, _ stat: ProcessStat, _ status: TaskStatus) {
        imagePids[pid] = ImagePid(numbers(of: status.namespaceProcessIDs).first ?? UInt32(bitPattern: pid.rawValue))
        commands[pid] = printable(stat.comm)
    }

    /// A list of numbers of one task, group or session without those of namespaces around the root's.
    func numbers(of list: [UInt32]) -> [UInt32] { Array(list.dropFirst(outerDepth)) }

    /// The numbers of the session and the process group of the root where these belong to tasks outside of the tree; else 0.
    var outsideSession: UInt32 {
        records.processes.first.map { $0.session == $0.pid ? 0 : $0.session } ?? 0
    }
    var outsideGroup: UInt32 {
        guard let group = records.processes.first?.group, !records.processes.contains(where: { $0.pid == group }) else { return 0 }
        return group
    }

    func command(of pid: HostPid) -> String { commands[pid] ?? "" }

    mutating func find(_ pid: HostPid, _ object: String, _ reason: String, help: String = "") {
        find(pid, object, Refusal(reason, help: help))
    }

    mutating func find(_ pid: HostPid, _ object: String, _ refusal: Refusal) {
        let finding = Finding(
            pid: pid, command: command(of: pid), object: object, reason: refusal.reason, help: refusal.help, otherEnd: refusal.otherEnd)
        if !findings.contains(finding) { findings.append(finding) }
    }

    mutating func notice(_ text: String) {
        if !notices.contains(text) { notices.append(text) }
    }

    /// Whether the tasks can be asked at all.
    private mutating func checkInjection() {
        for (process, thread) in sight.threads where thread.isInDomain == true {
            find(process.pid, thread.tid == process.pid ? "task" : "thread \(thread.tid)", Confinement.refusal)
        }
        for process in sight.processes {
            let space = sight[space: process.space]
            do throws(InjectionObstacle) { _ = try InjectionPlace(in: space, on: sight.host) } catch { find(process.pid, "task", error.refusal) }
            if let refusal = InjectionPlace.limit(of: space.maps.value.maps, process.limits.value, process: process.pid) {
                find(process.pid, "task", refusal)
            }
        }
    }

    private mutating func recordFiles() {
        var files = FileRecorder(sight, identities)
        files.recordAll()
        records.fileTables = files.records.fileTables
        records.openFiles = files.records.openFiles
        records.pipes = files.records.pipes
        records.terminals = files.records.terminals
        for found in files.findings { find(found.pid, found.object, found.refusal) }
        for text in files.notices { notice(text) }
    }

    /// Parents before children, siblings in the order of their start.
    private mutating func sortProcesses() {
        var children: [UInt32: [ImageProcess]] = [:]
        for process in records.processes { children[process.parent, default: []].append(process) }
        guard let root = imagePids[sight.root], let first = records.processes.first(where: { $0.pid == root.rawValue }) else { return }
        var ordered: [ImageProcess] = []
        var waiting = [first]
        while let process = waiting.popLast() {
            ordered.append(process)
            let own = process.pid == first.parent ? [] : children[process.pid] ?? []
            waiting += own.sorted { ($0.startTime, $0.pid) > ($1.startTime, $1.pid) }
        }
        records.processes = ordered
    }
}
