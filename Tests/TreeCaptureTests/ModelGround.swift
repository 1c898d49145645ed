import Kernel
import LinuxABI

@testable import TreeCapture

/// The ground of a freeze in a ``FreezeWorld``: at every call, and between the parts of those that are not atomic in the
/// kernel, the tree may go on.
struct ModelGround: FreezeGround {
    let world: FreezeWorld
    private var awaited: [Int32] = []
    private static let template = try! ProcessStat(
        parsing: Array(("1 (model) S 0" + String(repeating: " 0", count: 48)).utf8))

    init(_ world: FreezeWorld) { self.world = world }

    func now() -> Int64 { world.time }
    func forkCount() -> UInt64? {
        world.advance()
        return world.forks
    }
    var isOrdered: Bool { true }

    func look(below root: Int32) throws(SystemError) -> ProcessTree.Found {
        try ProcessTree.walk(
            from: root,
            entry: { pid throws(SystemError) in
                world.advance()
                guard let stat = stat(of: pid) else { throw SystemError(Errno.ENOENT, in: "open") }
                if stat.threadCount == 1 && !stat.isZombie { return ProcessTree.Entry(pid: pid, stat: stat, tasks: [pid]) }
                world.advance()
                guard world.processes[pid] != nil else { throw SystemError(Errno.ENOENT, in: "open") }
                return ProcessTree.Entry(pid: pid, stat: stat, tasks: list(of: pid, \.threads).sorted())
            },
            children: { entry throws(SystemError) in
                world.advance()
                guard world.processes[entry.pid] != nil else { return ([], true) }
                return (list(of: entry.pid, \.children), false)
            })
    }

    /// One after the other, as the kernel goes on after the last one by its pid, or else by its place.
    private func list(of pid: Int32, _ kind: KeyPath<FreezeWorld.Process, [Int32]>) -> [Int32] {
        var found: [Int32] = []
        while let list = world.processes[pid]?[keyPath: kind] {
            let next = found.last.flatMap { last in list.firstIndex(of: last).map { $0 + 1 } } ?? found.count
            guard next < list.count else { break }
            found.append(list[next])
            world.advance()
        }
        return found
    }

    func outsideChildren() -> [Int32: Set<Int32>] { [1: Set(world.processes[1]?.children ?? [])] }

    func stat(of process: Int32) -> ProcessStat? {
        guard let found = world.processes[process] else { return nil }
        var stat = Self.template
        stat.pid = process
        stat.parent = found.parent
        stat.session = found.session
        stat.stackStart = found.layout
        stat.threadCount = found.hasEnded ? 1 : found.threads.count
        let first = world.tasks[process]
        stat.state = UInt8(ascii: first?.hasEnded != false && process != 1 ? "Z" : first?.isStopped == true ? "t" : "S")
        return stat
    }

    func condition(of task: Int32, in process: Int32) -> TaskCondition {
        world.advance()
        guard let found = world.tasks[task] else { return .gone }
        return found.hasEnded ? .ended : found.isSeized ? .ours : .free
    }

    func process(of task: Int32) -> Int32? { world.tasks[task]?.process }

    func seize(_ task: Int32) throws(SystemError) {
        world.advance()
        guard let found = world.tasks[task] else { throw SystemError(Errno.ESRCH, in: "ptrace") }
        if found.isSeized || found.hasEnded { throw SystemError(Errno.EPERM, in: "ptrace") }
        world.tasks[task]?.isSeized = true
    }

    func interrupt(_ task: Int32) {
        world.advance()
        guard let found = world.tasks[task], found.isSeized, !found.hasEnded else { return }
        world.tasks[task]?.isStopRequested = true
    }

    func resume(_ task: Int32, signal: Int32) { world.tasks[task]?.isStopped = false }
    func release(_ tasks: [FrozenTree.Task]) {
        for task in tasks {
            world.tasks[task.tid]?.isSeized = false
            world.tasks[task.tid]?.isStopped = false
        }
    }
    func bornTask(_ task: Int32) -> Int32? { world.born[task] }

    mutating func await(_ tasks: [Int32]) { awaited = tasks }
    mutating func alsoAwait(_ task: Int32) { awaited.append(task) }
    mutating func dismiss(_ task: Int32) { awaited.removeAll { $0 == task } }

    func report() -> TaskReports.Report? {
        world.advance()
        for task in awaited {
            if let place = world.reports.firstIndex(where: { $0.task == task }) { return take(place) }
            // wait4(2) knows no such task: it is gone, or another one, which is not traced, took its number by execve.
            if world.tasks[task]?.isSeized != true { return (task, .exited(0), 0) }
        }
        return reportOfAnybody()
    }

    func reportOfAnybody() -> TaskReports.Report? {
        world.advance()
        return world.reports.isEmpty ? nil : take(0)
    }

    private func take(_ place: Int) -> TaskReports.Report {
        let report = world.reports.remove(at: place)
        world.taken(report)
        return report
    }

    func pause(atMost nanoseconds: Int64) { for _ in 0..<4 { world.advance() } }
    func note(_ tasks: [Int32]) {}
    func mend(_ task: Int32) {}
    func placeInVdso(_ task: FrozenTree.Task) -> VdsoLook.Place? { nil }
    func turns(of task: Int32) -> UInt64? { nil }
    func lender(of process: Int32, among parents: Set<Int32>) -> Int32? { nil }
    func heldByCgroup(_ tasks: [FrozenTree.Task]) -> [Finding] { [] }
    func interruption() -> CaptureError? { nil }
}
