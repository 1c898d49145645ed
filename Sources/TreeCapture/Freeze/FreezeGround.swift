internal import Kernel

/// What a freeze sees of a tree, and does to it: `/proc` and ptrace(2), or a model of both.
///
/// Between any two calls the tree may go on in every way that the kernel allows.
protocol FreezeGround {
    // MARK: - What is seen

    /// On the monotonic clock.
    func now() -> Int64
    /// Tasks that were ever made on this host; nil: that cannot be seen.
    func forkCount() -> UInt64?
    /// See ``ProcessTree/isOrdered``.
    var isOrdered: Bool { get }
    /// - Errors: `ENOENT`, `ESRCH`: there is no such root.
    mutating func look(below root: Int32) throws(SystemError) -> ProcessTree.Found
    /// Children of the processes outside of the tree to which an orphan of the tree may come, by parent.
    mutating func outsideChildren() -> [Int32: Set<Int32>]
    func stat(of process: Int32) -> ProcessStat?
    func condition(of task: Int32, in process: Int32) -> TaskCondition
    /// The process that a task belongs to; nil: it is gone.
    func process(of task: Int32) -> Int32?

    // MARK: - What is done

    mutating func seize(_ task: Int32) throws(SystemError)
    mutating func interrupt(_ task: Int32)
    mutating func resume(_ task: Int32, signal: Int32)
    /// Lets stopped tasks go for good.
    mutating func release(_ tasks: [FrozenTree.Task])
    /// The task that was born, at the stop of a fork, vfork or clone.
    mutating func bornTask(_ task: Int32) -> Int32?

    // MARK: - Reports

    /// From now on these tasks are awaited, and no others.
    mutating func await(_ tasks: [Int32])
    mutating func alsoAwait(_ task: Int32)
    mutating func dismiss(_ task: Int32)
    /// The next report of an awaited task, or of any.
    mutating func report() -> TaskReports.Report?
    /// The next report of any task.
    mutating func reportOfAnybody() -> TaskReports.Report?
    /// Sleeps until there may be a report, at most `nanoseconds`.
    mutating func pause(atMost nanoseconds: Int64)

    // MARK: - What a stop disturbs

    /// These tasks are seized and not yet disturbed.
    mutating func note(_ tasks: [Int32])
    /// Puts right what a stop has disturbed, before the task may run on.
    mutating func mend(_ task: Int32)
    /// Where a stopped task is; nil: not in its vdso.
    mutating func placeInVdso(_ task: FrozenTree.Task) -> VdsoLook.Place?
    /// How often a task had its turn on a processor; nil: that cannot be seen.
    func turns(of task: Int32) -> UInt64?
    /// The parent in vfork that waits for this process, if it is one of some.
    func lender(of process: Int32, among parents: Set<Int32>) -> Int32?

    // MARK: - Why the freeze may have to end

    /// Tasks that a freezer of cgroups holds.
    func heldByCgroup(_ tasks: [FrozenTree.Task]) -> [Finding]
    /// Set when a signal has asked this command to end.
    func interruption() -> CaptureError?
}

/// Why a task cannot be seized.
enum TaskCondition: Equatable {
    /// There is no such task any more.
    case gone
    /// It has ended.
    case ended
    /// It is traced by this process.
    case ours
    /// It is traced by another process, of that pid.
    case traced(by: Int32)
    /// It lives, and is not traced.
    case free
}
