internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// A tree in the making: every task is traced from birth, and dies with this process until the point of
/// no return.
///
/// What was made is undone when this value ends, unless ``ParkedTree/finalise(staysStopped:_:)`` has released it.
struct ForkedTree: ~Copyable {
    let plan: RestorePlan
    let memory: SharedMemory
    let clocks: PreparedClocks
    let channels: MonitorChannels
    private var births: TreeBirths
    private var isReleased = false

    /// Takes over what was prepared, and the inner half that was forked with it.
    init(_ prepared: consuming PreparedRestart, inner: Int32) {
        plan = prepared.plan
        births = TreeBirths(prepared.plan, inner: inner)
        memory = prepared.memory
        clocks = prepared.clocks
        channels = MonitorChannels(guardian: prepared.guardian.write, status: prepared.status.read)
    }

    deinit {
        if isReleased { return }
        var births = births
        births.undo()
    }

    /// Seizes the inner half, lets it create the root, and waits until the tree has unfolded. A tree that needs pages for that
    /// unfolds while it loads.
    mutating func begin(_ watch: Watch) throws(RestoreError) {
        do throws(SystemError) {
            try Trace.seize(
                inner, options: Trace.Option.exitKill | Trace.Option.clone | Trace.Option.fork | Trace.Option.vfork)
        } catch { throw RestoreError(cannot: "seize the inner half", error) }
        Channel.send([1], over: channels.guardian.number)
        if !plan.pages.isFedBeforeForks { try pump(watch) { $0.births.processesAreBorn } }
    }

    /// Has the inner half take handles of all processes: from then on it can end the tree if this process dies.
    ///
    /// - Precondition: every task exists, and dies with this process until the guardian has said that it is ready.
    mutating func setGuard(_ watch: Watch) throws(RestoreError) {
        publish(.setGuard, 1)
        try? handles.send(Signal.SIGCHLD, to: inner)
        try pump(watch) { $0.word(.guarding) != 0 }
        let failure = Int32(bitPattern: word(.innerError))
        if failure != 0 {
            throw RestoreError(
                cannot: "guard the tree", SystemError(failure, in: "pidfd_open"),
                help: "the inner half of crrestart needs a descriptor for each process: ulimit -Hn")
        }
    }

    /// From the point of no return on there is nothing to undo.
    mutating func letGo() {
        isReleased = true
        Processes.adoptOrphans(false)
    }

    /// Has pages put in place and waits until every process has loaded everything.
    consuming func load(_ pages: inout PageFeeder, _ watch: Watch) throws(RestoreError) -> LoadedTree {
        try pages.feed(&self)
        let count = UInt32(plan.processCount)
        try pump(watch) { $0.births.processesAreBorn && $0.word(.loaded) >= count && $0.births.plannedDeathsAreOver }
        return LoadedTree(self)
    }
}

extension ForkedTree {
    /// The inner half of crrestart.
    var inner: Int32 { births.inner }
    /// By index of the program: the tasks, then ghosts and placeholders. 0: not born yet, or ended as planned and
    /// not of the image.
    var hostPids: [Int32] { births.hostPids }
    /// Of all processes that were made.
    var handles: ProcessHandles { births.handles }
    /// Numbers that ghosts and placeholders had here.
    var goneHelpers: [Int32] { births.goneHelpers }
    /// Tasks that no program makes.
    var strangers: Int { births.strangers }
    var allAreBorn: Bool { births.allAreBorn }

    borrowing func word(_ word: Launchpad.Word) -> UInt32 { memory.load32(plan.launchpad.address(of: word)) }
    borrowing func publish(_ word: Launchpad.Word, _ value: UInt32) {
        memory.publish(plan.launchpad.address(of: word), value)
    }

    /// Handles what tasks report until `isReached`, or the user wants an end.
    mutating func pump(_ watch: Watch, until isReached: (borrowing ForkedTree) -> Bool) throws(RestoreError) {
        var clock = StepClock(watch)
        while true {
            try drain()
            if isReached(self) { return }
            try watch.check()
            try clock?.check(self)
            Waiting.pause(atMost: 200_000)
        }
    }

    /// Takes reports that are there: not all, if they come faster than they are taken.
    mutating func drain() throws(RestoreError) { try births.drain(plan, memory) }
}
