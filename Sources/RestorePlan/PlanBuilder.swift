import ArchState
import CheckpointImage
import PidControl
import StepProgram

/// Builds the programs of all tasks. The parts are in files by kernel object.
struct PlanBuilder {
    let valid: ValidImage
    let tasks: [RestorePlan.Task]
    let helpers: [RestorePlan.Helper]
    let high: RestorePlan.HighDescriptors
    var launchpad: Launchpad
    let scratch: UInt64
    let vdso: VdsoPlan
    /// See `ValidImage.joinsClocksFirst`.
    let joinsClocksFirst: Bool
    var armingOperands: [Int: UInt64] = [:]
    var releaseTimes: [ReleaseTime] = []
    var deadlines: [Deadline] = []
    let pages: PageSchedule
    /// By load, where the monitor puts pages in place.
    var gates: [Int: PageGate] = [:]

    var image: CheckpointImage { valid.image }
    var facts: HostFacts { valid.facts }

    /// Task index of a process's leader, of a thread.
    private(set) var leaderIndex: [UInt32: Int] = [:]
    private(set) var threadIndices: [UInt32: [Int]] = [:]
    /// Tasks that are not leaders.
    let threadCount: Int
    /// Index of a ghost or placeholder; its program comes after those of all tasks.
    private(set) var helperIndex: [UInt32: Int] = [:]
    /// Words that tasks wait on while the tree unfolds.
    var meetings: [Meeting: UInt64] = [:]
    /// Pid namespaces that somebody enters.
    let enteredNamespaces: Set<Int>
    var files: FilePlan
    let owners: SharedOwners
    let usersOfDirectories: [SharedDirectories: [Int]]
    /// Where the process whose program is being built has files open for a moment.
    var scratchDescriptor: UInt32
    private var dataCache: [[UInt8]: UInt64] = [:]
    /// A futex that tasks lock while they create by `ns_last_pid`.
    var lastPidLock: UInt64?
    /// Whose descriptors hold `ns_last_pid` to the last.
    let tablesWithThreads: Set<UInt32>

    init(
        valid: ValidImage, tasks: [RestorePlan.Task], helpers: [RestorePlan.Helper], high: RestorePlan.HighDescriptors,
        launchpad: Launchpad, scratch: UInt64, vdso: VdsoPlan, pages: PageSchedule
    ) {
        self.valid = valid
        self.tasks = tasks
        self.helpers = helpers
        self.high = high
        self.launchpad = launchpad
        self.scratch = scratch
        self.vdso = vdso
        joinsClocksFirst = valid.joinsClocksFirst
        enteredNamespaces = valid.creation.enteredNamespaces
        threadCount = tasks.count { !$0.isLeader }
        for (index, task) in tasks.enumerated() {
            if task.isLeader { leaderIndex[task.pid] = index } else { threadIndices[task.pid, default: []].append(index) }
        }
        for (index, helper) in helpers.enumerated() { helperIndex[helper.pid] = index }
        tablesWithThreads = Self.tablesWithThreads(valid, threadIndices)
        // The first piece is `zeroTime`.
        _ = self.launchpad.add(words: [0, 0])
        owners = SharedOwners(valid.image, valid.creation)
        self.pages = pages
        usersOfDirectories = Self.usersOfDirectories(valid.image, tasks)
        files = FilePlan(valid.image, high: high, valid.creation, owners)
        scratchDescriptor = high.scratch
    }

    mutating func build() {
        for task in tasks {
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
        for helper in helpers { launchpad.add(helperProgram(helper)) }
    }

    /// A string or structure in the data segment; the same bytes are put there once.
    mutating func data(_ bytes: [UInt8]) -> Step.Argument {
        if let known = dataCache[bytes] { return .value(known) }
        let address = launchpad.add(bytes)
        dataCache[bytes] = address
        return .value(address)
    }

    mutating func path(_ bytes: [UInt8]) -> Step.Argument { data(bytes + [0]) }

    /// Room that a step writes to or that the monitor fills in: never shared.
    mutating func room(_ count: Int) -> UInt64 { launchpad.add([UInt8](repeating: 0, count: count)) }

    /// A 32-bit program.
    func is32Bit(_ process: ImageProcess) -> Bool { image.addressSpace(process.addressSpace)?.is32Bit ?? false }

    func word(_ word: Launchpad.Word) -> UInt64 { launchpad.address(of: word) }

    /// The program of a process's first thread. The order of its parts matters:
    ///
    /// 1. Drop what came with the fork, but for the launchpad, and move the vdso: its new place may be
    ///    where something else was.
    /// 2. Make what several descendants share, while it can still be inherited.
    /// 3. Load pages that descendants share copy-on-write. Then create children: those of the old session, `setsid`, the
    ///    others. Nothing else is loaded yet, so a fork copies next to nothing, and the whole tree unfolds before loading begins.
    /// 4. Join the process group: it exists once its leader has said so. Adopt, where others created its
    ///    children, and see ghosts and placeholders end.
    /// 5. Map and load memory; then descriptors, mount namespace, directories, signal actions: each once for all who
    ///    share it.
    /// 6. Say "loaded" and wait: from here on the monitor counts the time. Join the time namespace, whose
    ///    offsets are written now, as long as there are no threads.
    /// 7. Threads, timers, pending signals, limits, credentials: each after what it would block.
    /// 8. rseq again, say "parked", park.
    private mutating func leaderProgram(_ task: RestorePlan.Task) -> Program {
        guard let process = image.process(task.pid), let space = image.addressSpace(process.addressSpace),
            let thread = task.thread.map({ image.threads[$0] })
        else { preconditionFailure("a validated image has these") }
        var program = Program(title: task.title)
        let isRoot = task.pid == image.header.root
        scratchDescriptor = scratchDescriptor(of: process)
        if isRoot {
            enter(&program)
            joinClocksFirst(&program)
        }
        makeRoom(&program, process.pid, isRoot: isRoot)
        makeShared(&program, task.pid)
        loadSharedPages(&program, task.pid)
        arrange(&program, process.pid)
        if !process.command.isEmpty {
            program.call(.prctl, [15, path(thread.name.asBytes)], "name \(thread.name.asText)")
        }
        once(.memory, &program, process) { $0.loadMemory(&$1, process, space) }
        awaitMemory(&program, process)
        memoryKillAdjustment(&program, process)
        once(.files, &program, process) { $0.installDescriptors(&$1, process) }
        once(.directories, &program, process) {
            $0.enterMountNamespace(&$1, process)
            $0.placeInFiles(&$1, process)
        }
        if owners.owns(.actions, process) { signalActions(&program, process) }
        program.advance(word(.loaded), "loaded")
        program.wait(for: word(.go), toReach: 1, "until everybody has loaded")
        joinTimeNamespace(&program, process)
        stopOrGoOn(&program, process)
        afterPlannedChanges(&program, process)
        for index in threadIndices[task.pid] ?? [] where creator(ofThread: index) == nil { createThread(&program, index) }
        makePosixTimers(&program, of: process)
        threadState(&program, thread, process, isLeader: true, index: task.thread ?? 0)
        processState(&program, process, threads: (threadIndices[task.pid] ?? []).count)
        dropLastPid(&program, process)
        if task.exits {
            program.advance(word(.parked), "all is done")
            program.call(.exit, [.number(thread.exitCode)], "the first thread ends, the others live on")
        } else {
            park(&program, thread)
        }
        return program
    }

    private mutating func threadProgram(_ task: RestorePlan.Task) -> Program {
        guard let process = image.process(task.pid), let thread = task.thread.map({ image.threads[$0] }) else {
            preconditionFailure("a validated image has these")
        }
        var program = Program(title: task.title)
        program.call(.prctl, [15, path(thread.name.asBytes)], "name \(thread.name.asText)")
        ownDirectories(&program, thread, process)
        threadState(&program, thread, process, isLeader: false, index: task.thread ?? 0)
        program.advance(word(.threads), "thread done")
        park(&program, thread)
        return program
    }

    /// A process that is dead: it comes, takes its place, and ends as it ended.
    private mutating func zombieProgram(_ task: RestorePlan.Task) -> Program {
        guard let process = image.process(task.pid) else { preconditionFailure("a validated image has it") }
        var program = Program(title: task.title + " (zombie)")
        program.call(.prctl, [15, path(process.command.asBytes)], "name \(process.command.asText)")
        makeRoom(&program, process.pid, isRoot: false)
        makeShared(&program, process.pid)
        loadSharedPages(&program, process.pid)
        arrange(&program, process.pid)
        let signal = process.exitStatus & 0x7f
        if signal != 0 {
            program.call(.prlimit64, [0, 4, data([UInt8](repeating: 0, count: 16)), 0], "no core file")
            let none = data([UInt8](repeating: 0, count: 8))
            program.call(.rt_sigprocmask, [2, none, 0, 8], "unblock")
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
