import Kernel
import LinuxABI

@testable import TreeCapture

/// A model of the kernel's rules for births, deaths, orphans and traced tasks, in which a small tree goes through a random
/// history: the same seed gives the same one.
final class FreezeWorld {
    enum Habit: CaseIterable {
        /// Does nothing.
        case idle
        /// Each thread makes its successor and ends.
        case threadStorm
        /// Each process makes its successor and ends.
        case chain
        /// Makes children that end soon, and reaps them.
        case forker
        /// Makes a child that makes a grandchild and ends.
        case daemons
        /// A thread that is not the first one calls execve.
        case executor
        /// The first thread ends, others go on.
        case headless
    }

    struct Task {
        var process: Int32
        var isSeized = false
        var isStopRequested = false
        var isStopped = false
        var hasEnded = false
        var stepsLeft: Int
    }

    struct Process {
        var parent: Int32
        var threads: [Int32]
        var habit: Habit
        var isSubreaper = false
        /// Its children go without being waited for.
        var ignoresChildren: Bool
        var children: [Int32] = []
        var hasEnded = false
        var isOfTree: Bool
        var layout: UInt64
        var session: Int32
        var generation = 0
    }

    static let root: Int32 = 50
    private static let outside: Int32 = 1
    private static let mostGenerations = 60
    private static let mostBirths = 500

    var tasks: [Int32: Task] = [:]
    var processes: [Int32: Process] = [:]
    var forks: UInt64 = 1000
    private var births = 0
    var time: Int64 = 0
    var reports: [TaskReports.Report] = []
    var born: [Int32: Int32] = [:]
    private var random: Random
    private var lastPid: Int32 = 99
    private let speed: Int
    private let isHostBusy: Bool

    init(seed: UInt64) {
        random = Random(seed: seed)
        speed = 1 + Int(random.below(4))
        isHostBusy = random.below(2) == 0
        processes[Self.outside] = Process(
            parent: 0, threads: [1], habit: .idle, isSubreaper: true, ignoresChildren: true, isOfTree: false, layout: 1, session: 1)
        processes[Self.root] = Process(
            parent: Self.outside, threads: [Self.root], habit: .idle, isSubreaper: random.below(2) == 0, ignoresChildren: random.below(2) == 0,
            isOfTree: true, layout: 77, session: Self.root)
        tasks[Self.root] = Task(process: Self.root, stepsLeft: 0)
        processes[Self.outside]?.children = [Self.root]
        for _ in 0..<(1 + random.below(5)) {
            let parents = processes.keys.filter { $0 != Self.outside }.sorted()
            let parent = parents[Int(random.below(UInt64(parents.count)))]
            let pid = fork(parent, Habit.allCases[Int(random.below(UInt64(Habit.allCases.count)))])
            processes[pid]?.isSubreaper = random.below(4) == 0
            for _ in 0..<random.below(4) { addThread(pid) }
        }
        for _ in 0..<random.below(40) { step() }
    }

    // MARK: - What tasks do

    private func nextPid() -> Int32 {
        precondition(tasks.count < 600, "the model is out of numbers")
        repeat { lastPid = lastPid >= 900 ? 100 : lastPid + 1 } while tasks[lastPid] != nil || processes[lastPid] != nil
        return lastPid
    }

    @discardableResult
    private func fork(_ parent: Int32, _ habit: Habit, by task: Int32? = nil) -> Int32 {
        let pid = nextPid()
        let old = processes[parent]!
        processes[pid] = Process(
            parent: parent, threads: [pid], habit: habit, ignoresChildren: random.below(2) == 0, isOfTree: old.isOfTree, layout: old.layout,
            session: old.session, generation: old.generation + 1)
        processes[parent]?.children.append(pid)
        makeTask(pid, of: pid, by: task)
        return pid
    }

    private func addThread(_ process: Int32, by task: Int32? = nil) {
        let tid = nextPid()
        processes[process]?.threads.append(tid)
        processes[process]?.generation += 1
        makeTask(tid, of: process, by: task)
    }

    private func makeTask(_ tid: Int32, of process: Int32, by parent: Int32?) {
        forks += 1
        births += 1
        tasks[tid] = Task(process: process, stepsLeft: 1 + Int(random.below(6)))
        guard let parent, tasks[parent]?.isSeized == true else { return }
        // Traced from birth, with a stop before its first instruction; the parent stops to tell.
        tasks[tid]?.isSeized = true
        tasks[tid]?.isStopRequested = true
        tasks[parent]?.isStopped = true
        tasks[parent]?.isStopRequested = false
        born[parent] = tid
        reports.append((parent, .stopped(signal: Signal.SIGTRAP, event: TraceEvent.fork), 0))
    }

    /// One task does one thing.
    func step() {
        time += 50_000
        if isHostBusy && random.below(8) == 0 { forks += 1 }
        let running = tasks.filter { !$0.value.isStopped && !$0.value.hasEnded }.keys.sorted()
        guard !running.isEmpty else { return }
        let tid = running[Int(random.below(UInt64(running.count)))]
        guard var task = tasks[tid], let process = processes[task.process] else { return }
        if task.isStopRequested {
            task.isStopRequested = false
            task.isStopped = true
            tasks[tid] = task
            reports.append((tid, .stopped(signal: Signal.SIGTRAP, event: TraceEvent.stop), 0))
            return
        }
        reap(task.process)
        if task.stepsLeft > 0 {
            tasks[tid]?.stepsLeft -= 1
            return
        }
        if ending.remove(tid) != nil {
            if process.habit == .threadStorm { endTask(tid) } else { endProcess(task.process) }
            return
        }
        tasks[tid]?.stepsLeft = Int(random.below(5))
        let mayGoOn = process.generation < Self.mostGenerations && births < Self.mostBirths
        switch process.habit {
        case .idle: break
        case .threadStorm:
            if tid == task.process && process.threads.count > 1 { break }
            if mayGoOn { addThread(task.process, by: tid) }
            guard tid != task.process else { break }
            if tasks[tid]?.isStopped == false { endTask(tid) } else { ending.insert(tid) }
        case .chain:
            if mayGoOn { fork(task.process, .chain, by: tid) }
            if tasks[tid]?.isStopped == false { endProcess(task.process) } else { ending.insert(tid) }
        case .forker:
            if mayGoOn && process.children.count < 4 {
                let child = fork(task.process, .idle, by: tid)
                ending.insert(child)
            }
        case .daemons:
            if mayGoOn && process.children.count < 3 {
                let child = fork(task.process, .chain, by: tid)
                processes[child]?.generation += 20
            }
        case .executor:
            if tid != task.process { execute(tid) } else if mayGoOn && process.threads.count < 4 { addThread(task.process, by: tid) }
        case .headless:
            if tid == task.process && process.threads.count > 1 { endTask(tid) }
        }
    }

    /// What ends as soon as it may run.
    private var ending: Set<Int32> = []

    private func execute(_ tid: Int32) {
        guard var task = tasks[tid], let process = processes[task.process] else { return }
        for other in process.threads where other != tid && other != task.process {
            let wasSeized = tasks[other]?.isSeized == true
            tasks[other]?.hasEnded = true
            if wasSeized { reports.append((other, .killed(signal: Signal.SIGKILL), 0)) } else { removeTask(other) }
        }
        // It takes the place of the first thread, whose end nobody is told of.
        reports.removeAll { $0.task == task.process || $0.task == tid }
        task.isStopped = false
        tasks[tid] = nil
        ending.remove(tid)
        ending.remove(task.process)
        tasks[task.process] = task
        processes[task.process]?.threads.removeAll { $0 == tid }
        processes[task.process]?.habit = .idle
        processes[task.process]?.layout = UInt64(random.below(1 << 40)) + 100
    }

    private func removeTask(_ tid: Int32) {
        guard let task = tasks.removeValue(forKey: tid) else { return }
        processes[task.process]?.threads.removeAll { $0 == tid }
        ending.remove(tid)
    }

    private func endTask(_ tid: Int32) {
        guard let task = tasks[tid], let process = processes[task.process] else { return }
        let others = process.threads.filter { $0 != tid && tasks[$0]?.hasEnded == false }
        if others.isEmpty { return endProcess(task.process) }
        tasks[tid]?.hasEnded = true
        // The end of a first thread is told when it is the last one.
        if tid == task.process { return }
        if task.isSeized { reports.append((tid, .exited(0), 0)) } else { removeTask(tid) }
    }

    private func endProcess(_ pid: Int32) {
        guard let process = processes[pid], !process.hasEnded, pid != Self.root else { return }
        for tid in process.threads where tid != pid {
            let alreadyTold = tasks[tid]?.hasEnded == true
            tasks[tid]?.hasEnded = true
            if tasks[tid]?.isSeized == true { if !alreadyTold { reports.append((tid, .exited(0), 0)) } } else { removeTask(tid) }
        }
        processes[pid]?.hasEnded = true
        tasks[pid]?.hasEnded = true
        let reaper = reaper(for: pid)
        for child in process.children {
            processes[child]?.parent = reaper
            processes[reaper]?.children.append(child)
            if processes[child]?.hasEnded == true { tellParent(child) }
        }
        processes[pid]?.children = []
        if tasks[pid]?.isSeized == true { reports.append((pid, .exited(0), 0)) } else { tellParent(pid) }
    }

    private func reaper(for pid: Int32) -> Int32 {
        var next = processes[pid]!.parent
        while next != Self.outside, processes[next]?.isSubreaper != true || processes[next]?.hasEnded == true { next = processes[next]!.parent }
        return next
    }

    private func tellParent(_ pid: Int32) {
        guard let process = processes[pid], tasks[pid]?.isSeized != true, processes[process.parent]?.ignoresChildren == true else { return }
        removeProcess(pid)
    }

    private func removeProcess(_ pid: Int32) {
        guard let process = processes.removeValue(forKey: pid) else { return }
        processes[process.parent]?.children.removeAll { $0 == pid }
        tasks[pid] = nil
        ending.remove(pid)
    }

    /// A process that runs waits for its children.
    private func reap(_ pid: Int32) {
        for child in processes[pid]?.children ?? [] where processes[child]?.hasEnded == true && tasks[child]?.isSeized != true { removeProcess(child) }
    }

    // MARK: - For the tracer

    func advance() {
        var steps = Int(random.below(UInt64(speed * 2)))
        while steps > 0 {
            step()
            steps -= 1
        }
    }

    func taken(_ report: TaskReports.Report) {
        guard report.status.isDead, let task = tasks[report.task], task.hasEnded else { return }
        if report.task == task.process {
            tasks[report.task]?.isSeized = false
            tellParent(report.task)
        } else {
            removeTask(report.task)
        }
    }

    /// Living processes below the root.
    var members: (living: Set<Int32>, zombies: Set<Int32>) {
        var found: (living: Set<Int32>, zombies: Set<Int32>) = ([], [])
        var waiting = [Self.root]
        while let pid = waiting.popLast() {
            guard let process = processes[pid] else { continue }
            if process.hasEnded { found.zombies.insert(pid) } else { found.living.insert(pid) }
            waiting += process.children
        }
        return found
    }

    /// Processes that came of the tree, live, and are not below the root; those of them that a process outside has adopted.
    var leavers: (all: Set<Int32>, adopted: Set<Int32>) {
        let inside = members.living
        let all = processes.filter { $0.value.isOfTree && !$0.value.hasEnded && !inside.contains($0.key) }
        return (Set(all.keys), Set(all.filter { $0.value.parent == Self.outside }.keys))
    }

    /// xorshift64*
    struct Random {
        private var state: UInt64
        init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }
        mutating func below(_ limit: UInt64) -> UInt64 {
            state ^= state >> 12
            state ^= state << 25
            state ^= state >> 27
            return (state &* 0x2545_f491_4f6c_dd1d) >> 33 % max(1, limit)
        }
    }
}
