import ArchState
import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// Builds the programs of all tasks. The parts are in files by kernel object.
struct PlanBuilder {
    let valid: ValidImage
    // Beside `valid`, which has them: a computed property would copy these large values at each use.
    let image: CheckpointImage
    let facts: HostFacts
    let tasks: [RestorePlan.Task]
    let helpers: [RestorePlan.Helper]
    let high: RestorePlan.HighDescriptors
    var launchpad: Launchpad
    let scratch: UInt64
    let vdso: VdsoPlan
    /// See ``Program/init(title:hasNotes:)``.
    let hasNotes: Bool
    /// See `ValidImage.joinsClocksFirst`.
    let joinsClocksFirst: Bool
    var armingOperands: [Int: UInt64] = [:]
    var releaseTimes: [ReleaseTime] = []
    var deadlines: [Deadline] = []
    let pages: PageSchedule
    /// By load, where the monitor puts pages in place.
    var gates: [Int: PageGate] = [:]

    /// Task index of a process's leader, by pid; task indices of its other threads, by pid.
    private(set) var leaderIndex: [UInt32: Int] = [:]
    private(set) var threadIndices: [UInt32: [Int]] = [:]
    /// Tasks that are not leaders.
    let threadCount: Int
    /// Index of a ghost or placeholder; its program comes after those of all tasks.
    private(set) var helperIndex: [UInt32: Int] = [:]
    /// The addresses of the words that tasks wait for while the tree is created.
    var meetings: [Meeting: UInt64] = [:]
    /// Pid namespaces that a task enters to create children in them.
    let enteredNamespaces: Set<Int>
    let graph: ObjectGraph
    /// See ``creators(_:)``.
    let creators: [UInt32: UInt32]
    let threadCreation: ThreadCreation
    /// Index of a thread that is not a leader, by tid.
    private(set) var threadIndex: [UInt32: Int] = [:]
    let owners: SharedOwners
    /// A descriptor for files that are open for a few steps only, in the process whose program is being built.
    var scratchDescriptor: UInt32
    private var dataCache: [[UInt8]: UInt64] = [:]
    /// Where a task puts what statx(2) says of a file. Each task has its own: they share this memory.
    var identityRoom: UInt64?
    let holders: FileHolders
    var mappedFiles = MappedFiles()
    /// See ``QueueMaker/notifying(_:)``.
    let notifyingQueues: [UInt32: [ImageOpenFile]]
    /// Programs of processes that stand in for others for a moment: see `act`. They have the last slot in turn.
    var substitutes: [Program] = []
    /// A futex that tasks lock while they create by `ns_last_pid`.
    var lastPidLock: UInt64?
    /// File tables that keep `ns_last_pid` open until the threads of their processes exist.
    let tablesWithThreads: Set<UInt32>

    init(
        valid: ValidImage, tasks: [RestorePlan.Task], helpers: [RestorePlan.Helper], high: RestorePlan.HighDescriptors,
        launchpad: Launchpad, scratch: UInt64, vdso: VdsoPlan, pages: PageSchedule, hasNotes: Bool = true
    ) {
        self.valid = valid
        (image, facts) = (valid.image, valid.facts)
        self.tasks = tasks
        self.helpers = helpers
        self.high = high
        self.launchpad = launchpad
        self.scratch = scratch
        self.vdso = vdso
        self.hasNotes = hasNotes
        joinsClocksFirst = valid.joinsClocksFirst
        enteredNamespaces = valid.creation.enteredNamespaces
        threadCount = tasks.count { !$0.isLeader }
        for (index, task) in tasks.enumerated() {
            if task.isLeader {
                leaderIndex[task.pid] = index
            } else {
                threadIndices[task.pid, default: []].append(index)
                threadIndex[task.tid] = index
            }
        }
        for (index, helper) in helpers.enumerated() { helperIndex[helper.pid] = index }
        tablesWithThreads = Self.tablesWithThreads(valid, threadIndices)
        // The first data of the launchpad: see `zeroTime`.
        _ = self.launchpad.add(words: [0, 0])
        owners = SharedOwners(valid.image, valid.creation)
        self.pages = pages
        threadCreation = valid.threadCreation
        creators = Self.creators(valid.image)
        graph = ObjectGraph(valid, high: high, owners)
        scratchDescriptor = high.scratch
        holders = FileHolders(valid.image, valid.facts)
        notifyingQueues = QueueMaker.notifying(valid.image.openFiles)
    }

    mutating func build() {
        for task in tasks {
            identityRoom = nil
            let program: Program
            if task.isZombie {
                program = zombieProgram(task)
            } else if task.isLeader {
                program = leaderProgram(task)
            } else {
                program = threadProgram(task)
            }
            launchpad.add(program)
        }
        for helper in helpers {
            identityRoom = nil
            launchpad.add(helperProgram(helper))
        }
        for substitute in substitutes { launchpad.add(substitute) }
    }

    /// A string or structure in the data segment; the same bytes are put there once.
    mutating func data(_ bytes: [UInt8]) -> Step.Argument {
        if let known = dataCache[bytes] { return .value(known) }
        let address = launchpad.add(bytes)
        dataCache[bytes] = address
        return .value(address)
    }

    mutating func path(_ bytes: [UInt8]) -> Step.Argument { data(bytes + [0]) }

    /// Space that a step or the monitor writes to. It is never shared with other data.
    mutating func room(_ count: Int) -> UInt64 { launchpad.add([UInt8](repeating: 0, count: count)) }

    /// Whether a process runs a 32-bit program.
    func is32Bit(_ process: ImageProcess) -> Bool { image.addressSpace(of: process)?.is32Bit ?? false }

    func word(_ word: Launchpad.Word) -> UInt64 { launchpad.address(of: word) }

    /// The program of a process's first thread. The order of its parts matters:
    ///
    /// 1. Unmap inherited memory except the launchpad, and move the vdso. Its new address can be one that was in use.
    /// 2. Make open files that several descendants share, so that they inherit them.
    /// 3. Load pages that descendants share copy-on-write. Then create the children of the old session, call `setsid`, and
    ///    create the other children. Nothing else is loaded yet, so that a fork copies as little as possible.
    /// 4. Join the process group when it exists. Be a subreaper for a while, if other processes created its children, and
    ///    reap ghosts and placeholders.
    /// 5. Map and load memory; then open files, mount namespace, directories, descriptors, signal actions. What several share
    ///    only its owner loads.
    /// 6. Say "loaded" and wait until all tasks have. The monitor then chooses the instant of the release, and writes the
    ///    offsets of the time namespace. Join it before there are threads, because the kernel demands that.
    /// 7. Threads, timers, pending signals, limits, credentials. Each comes after the steps that it could make fail.
    /// 8. Register rseq, say "parked", park.
    private mutating func leaderProgram(_ task: RestorePlan.Task) -> Program {
        guard let process = image.process(task.pid), let space = image.addressSpace(of: process),
            let thread = task.thread.map({ image.threads[$0] })
        else { preconditionFailure("a validated image has these") }
        var program = Program(title: task.title, hasNotes: hasNotes)
        let isRoot = task.pid == image.header.root
        scratchDescriptor = scratchDescriptor(of: process)
        if isRoot {
            enter(&program)
            raiseLimits(&program)
            joinClocksFirst(&program)
        }
        makeRoom(&program, process.pid, isRoot: isRoot)
        makeShared(&program, task.pid)
        loadSharedPages(&program, task.pid)
        arrange(&program, process.pid)
        if !process.command.isEmpty {
            program.call(.prctl, [.value(Prctl.PR_SET_NAME), path(thread.name.asBytes)], "name \(thread.name.asText)")
        }
        once(.memory, &program, process) {
            $0.loadMemory(&$1, process, space)
            $0.registerBarriers(&$1, process)
        }
        awaitMemory(&program, process)
        memoryKillAdjustment(&program, process)
        loginUser(&program, process)
        if owners.owns(.files, process) { makeOwnFiles(&program, process) }
        once(.directories, &program, process) {
            $0.enterMountNamespace(&$1, process)
            $0.placeInFiles(&$1, process)
        }
        once(.files, &program, process) { $0.installDescriptors(&$1, process) }
        if owners.owns(.actions, process) { signalActions(&program, process) }
        program.advance(word(.loaded), "loaded")
        program.wait(for: word(.go), toReach: 1, "until all tasks have loaded")
        joinTimeNamespace(&program, process)
        stopOrGoOn(&program, process)
        afterPlannedChanges(&program, process)
        for index in threads(madeBy: task.pid) { createThread(&program, index) }
        makePosixTimers(&program, of: process)
        threadState(&program, thread, process, isLeader: true, index: task.thread ?? 0)
        processState(&program, process, threads: (threadIndices[task.pid] ?? []).count)
        // All threads exist, so no descriptor table will begin as a copy of this one.
        if threadCreation.hasOwnTables(task.pid) { dropHighDescriptors(&program, process) }
        dropLastPid(&program, process)
        if owners.owns(.files, process) { takePosixLocks(&program, image.fileTable(of: process)) }
        if task.exits {
            program.advance(word(.parked), "all is done")
            program.call(.exit, [.number(thread.exitCode)], "the first thread exits, the other threads stay")
        } else {
            park(&program, thread)
        }
        return program
    }

    private mutating func threadProgram(_ task: RestorePlan.Task) -> Program {
        guard let process = image.process(task.pid), let thread = task.thread.map({ image.threads[$0] }) else {
            preconditionFailure("a validated image has these")
        }
        var program = Program(title: task.title, hasNotes: hasNotes)
        program.call(.prctl, [.value(Prctl.PR_SET_NAME), path(thread.name.asBytes)], "name \(thread.name.asText)")
        ownDirectories(&program, thread, process)
        ownDescriptors(&program, thread)
        for index in threads(madeBy: thread.tid) { createThread(&program, index) }
        setOwnDescriptorsGoing(&program, thread, process)
        threadState(&program, thread, process, isLeader: false, index: task.thread ?? 0)
        program.advance(word(.threads), "thread done")
        dropOwnHighDescriptors(&program, thread)
        if threadCreation.begins(.files, thread.tid) { takePosixLocks(&program, image.ownFileTable(of: thread)) }
        park(&program, thread)
        return program
    }

    /// The program of a zombie: it creates its children like any process, and ends with its old status.
    private mutating func zombieProgram(_ task: RestorePlan.Task) -> Program {
        guard let process = image.process(task.pid) else { preconditionFailure("a validated image has it") }
        var program = Program(title: task.title + " (zombie)", hasNotes: hasNotes)
        program.call(.prctl, [.value(Prctl.PR_SET_NAME), path(process.command.asBytes)], "name \(process.command.asText)")
        makeRoom(&program, process.pid, isRoot: false)
        makeShared(&program, process.pid)
        loadSharedPages(&program, process.pid)
        arrange(&program, process.pid)
        let signal = process.exitStatus & 0x7f
        if signal != 0 {
            program.call(.prlimit64, [0, .number(Rlimit.RLIMIT_CORE), data([UInt8](repeating: 0, count: 16)), 0], "no core file")
            let none = data([UInt8](repeating: 0, count: 8))
            program.call(.rt_sigprocmask, [.value(Sigprocmask.SIG_SETMASK), none, 0, 8], "unblock")
            program.call(.kill, [.number(process.ownPid), .number(signal)], "ends by signal \(signal)")
        }
        program.call(.exit_group, [.number(process.exitStatus >> 8 & 0xff)], "ends with \(process.exitStatus >> 8 & 0xff)")
        return program
    }

    private mutating func park(_ program: inout Program, _ thread: ImageThread) {
        if thread.rseq.address != 0 {
            program.call(
                .rseq,
                [.value(thread.rseq.address), .number(thread.rseq.size), 0, .number(thread.rseq.signature)],
                "register restartable sequences")
        }
        program.advance(word(.parked), "parked")
        program.call(.ppoll, [0, 0, 0, 0, 0], check: .none, "park")
    }
}
