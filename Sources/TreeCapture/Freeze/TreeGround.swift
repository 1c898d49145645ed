internal import Kernel
internal import LinuxABI

/// The real ground of a freeze: `/proc` and ptrace(2).
struct TreeGround: FreezeGround {
    private static let options =
        Trace.Option.systemCallStops | Trace.Option.fork | Trace.Option.vfork | Trace.Option.clone
    private let walker = ProcessTree()
    private let calls: TimedCalls
    private let watch: StopWatch
    private let ancestors: [Int32]
    private var reports = TaskReports([])
    private var vdso = VdsoLook()

    init(root: Int32, calls: TimedCalls, watch: StopWatch) {
        self.calls = calls
        self.watch = watch
        var ancestors: [Int32] = []
        var next = (try? ProcessStat(of: root))?.parent
        while let pid = next, pid > 0, !ancestors.contains(pid) {
            ancestors.append(pid)
            next = (try? ProcessStat(of: pid))?.parent
        }
        self.ancestors = ancestors
    }

    // MARK: - What is seen

    func now() -> Int64 { SystemClock.monotonic.now() }
    func forkCount() -> UInt64? { try? Kernel.forkCount() }
    var isOrdered: Bool { walker.isOrdered }
    func look(below root: Int32) throws(SystemError) -> ProcessTree.Found { try walker.look(below: root) }

    func outsideChildren() -> [Int32: Set<Int32>] {
        var children: [Int32: Set<Int32>] = [:]
        for pid in ancestors {
            for task in (try? tasks(of: pid)) ?? [] {
                children[pid, default: []].formUnion((try? ProcessTree.childrenOfTask(task, in: pid)) ?? [])
            }
        }
        return children
    }

    func stat(of process: Int32) -> ProcessStat? { try? ProcessStat(of: process) }

    func condition(of task: Int32, in process: Int32) -> TaskCondition {
        guard let status = try? TaskStatus(of: process, task: task) else { return .gone }
        if [UInt8(ascii: "Z"), UInt8(ascii: "X")].contains(status.state) { return .ended }
        if status.tracer == 0 { return .free }
        return status.tracer == Processes.ownPid ? .ours : .traced(by: status.tracer)
    }

    func process(of task: Int32) -> Int32? { (try? TaskStatus(of: task))?.processID }

    // MARK: - What is done

    func seize(_ task: Int32) throws(SystemError) { try Trace.seize(task, options: Self.options) }
    func interrupt(_ task: Int32) { try? Trace.interrupt(task) }
    func resume(_ task: Int32, signal: Int32) { try? Trace.resume(task, signal: signal) }
    func release(_ tasks: [FrozenTree.Task]) {
        calls.shorten(Dictionary(tasks.map { ($0.tid, $0.process) }) { first, _ in first })
        for task in tasks { try? Trace.detach(task.tid) }
    }
    func bornTask(_ task: Int32) -> Int32? { (try? Trace.eventMessage(task)).map { Int32(truncatingIfNeeded: $0) } }

    // MARK: - Reports

    mutating func await(_ tasks: [Int32]) { reports = TaskReports(tasks) }
    mutating func alsoAwait(_ task: Int32) { reports.await(task) }
    mutating func dismiss(_ task: Int32) { reports.dismiss(task) }
    mutating func report() -> TaskReports.Report? { reports.take() }
    func reportOfAnybody() -> TaskReports.Report? { TaskReports.ofAnybody() }
    func pause(atMost nanoseconds: Int64) { Waiting.pause(atMost: nanoseconds) }

    // MARK: - What a stop disturbs

    func note(_ tasks: [Int32]) { calls.look(at: tasks) }
    func mend(_ task: Int32) { calls.mend(task) }
    mutating func placeInVdso(_ task: FrozenTree.Task) -> VdsoLook.Place? { vdso.place(of: task) }
    func turns(of task: Int32) -> UInt64? { timeSlices(of: task) }

    func lender(of process: Int32, among parents: Set<Int32>) -> Int32? {
        guard let stat = try? ProcessStat(of: process), parents.contains(stat.parent),
            (try? compare(.memory, of: stat.parent, with: process, at: .kcmpLender)) == .same
        else { return nil }
        return stat.parent
    }

    // MARK: - Why the freeze may have to end

    func heldByCgroup(_ tasks: [FrozenTree.Task]) -> [Finding] { FrozenTasks.findings(tasks) }
    func interruption() -> CaptureError? { watch.interruption() }
}
