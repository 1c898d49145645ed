internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// Which tasks of a plan exist, as their own reports tell: births, planned deaths, failures.
struct TreeBirths {
    let inner: Int32
    /// By index of the program: the tasks, then ghosts and placeholders. 0: not born yet, or ended as planned and
    /// not of the image.
    private(set) var hostPids: [Int32]
    /// Numbers that ghosts and placeholders had here.
    private(set) var goneHelpers: [Int32] = []
    private var indexOfHostPid: [Int32: Int] = [:]
    private var births = 0
    private var plannedDeaths = 0
    /// Born, but their creators have not reported them yet.
    private var newborn: Set<Int32> = []
    /// Of all processes that were made, until they are known to be reaped: threads end with their process.
    private(set) var handles = ProcessHandles()
    private let cgroups: CgroupPlacer
    /// Tasks that still have children to create, and newborn tasks until their first stop.
    private var reports: TaskReports
    /// By task index: how many its program creates and has not created yet.
    private var unborn: [Int32]
    private let early: Int
    private let all: Int
    private let planned: Int

    init(_ plan: RestorePlan, inner: Int32) {
        self.inner = inner
        cgroups = CgroupPlacer(plan)
        reports = TaskReports([inner])
        unborn = plan.launchpad.programs.map { program in
            Int32(program.steps.count { if case .program? = $0.arguments.last { true } else { false } })
        }
        hostPids = [Int32](repeating: 0, count: plan.tasks.count + plan.helpers.count)
        early = plan.processCount + plan.zombieCount + plan.helpers.count
        all = plan.tasks.count + plan.helpers.count
        planned = plan.zombieCount + plan.helpers.count
        // Our child, not waited for: the number is its own.
        try? handles.open(inner)
        // Orphans of a failure come here, and not to an init that reaps them when it likes.
        Processes.adoptOrphans()
    }

    /// Whether every task that is to be made before the common go has been born.
    var processesAreBorn: Bool { births >= early }
    var allAreBorn: Bool { births == all }
    var plannedDeathsAreOver: Bool { plannedDeaths == planned }
    /// Tasks that no creator has reported: no program makes them.
    var strangers: Int { newborn.count }

    /// Takes reports that are there, so many at most that the caller can look at other things in between.
    mutating func drain(_ plan: RestorePlan, _ memory: borrowing SharedMemory) throws(RestoreError) {
        for _ in 0..<4096 {
            guard let found = reports.take(pause: 2_000_000) else { return }
            try handle(found.task, found.status, plan, memory)
        }
    }

    private mutating func handle(
        _ pid: Int32, _ status: WaitStatus, _ plan: RestorePlan, _ memory: borrowing SharedMemory
    ) throws(RestoreError) {
        switch status {
        case .stopped(_, TraceEvent.stop):
            if let index = indexOfHostPid[pid] {
                if unborn[index] == 0 { reports.dismiss(pid) }
                try resume(pid, plan)
            } else if pid == inner {
                try resume(pid, plan)
            } else {
                newborn.insert(pid)
                // A thread has none: it ends with its process.
                try? handles.open(pid)
            }
        case .stopped(_, let event) where event != 0:
            try introduce(childOf: pid, plan, memory)
            try resume(pid, plan)
        case .stopped(let signal, _):
            if let index = indexOfHostPid[pid], !plan.expects(signal, of: index, memory) {
                throw plan.failure(of: index, gotSignal: signal, memory)
            }
            try resume(pid, plan, signal: signal)
        case .exited, .killed:
            if pid == inner { throw plan.innerFailure(memory) }
            reports.dismiss(pid)
            guard let index = indexOfHostPid[pid] else {
                newborn.remove(pid)
                return
            }
            guard plan.ends(index), !plan.hasFailed(index, memory) else {
                hostPids[index] = 0
                throw plan.cause(of: index, status, memory)
            }
            plannedDeaths += 1
            if index >= plan.tasks.count {
                // Its number is free again soon, and may become another process's.
                indexOfHostPid[pid] = nil
                hostPids[index] = 0
                handles.close(pid)
                goneHelpers.append(pid)
            }
        case .continued: break
        }
    }

    /// Lets a task go on. One that has been killed meanwhile reports its end.
    private func resume(_ pid: Int32, _ plan: RestorePlan, signal: Int32 = 0) throws(RestoreError) {
        do throws(SystemError) { try Trace.resume(pid, signal: signal) } catch {
            if error.isGone { return }
            throw RestoreError(cannot: "let \(name(of: pid, plan)) go on", error)
        }
    }

    private func name(of pid: Int32, _ plan: RestorePlan) -> String {
        if pid == inner { return "the inner half of crrestart" }
        return indexOfHostPid[pid].map { plan.title(of: $0) } ?? "new task \(pid)"
    }

    /// A creator's step says which task its child is.
    private mutating func introduce(
        childOf creator: Int32, _ plan: RestorePlan, _ memory: borrowing SharedMemory
    ) throws(RestoreError) {
        let message: UInt64
        do throws(SystemError) { message = try Trace.eventMessage(creator) } catch {
            if error.isGone { return }
            throw RestoreError(cannot: "learn which task \(name(of: creator, plan)) has made", error)
        }
        let child = Int32(truncatingIfNeeded: message)
        let index: Int
        if creator == inner {
            index = 0
        } else {
            guard let parent = indexOfHostPid[creator], let step = plan.currentStep(of: parent, memory),
                case .program(let made)? = step.step.arguments.last
            else { return }
            index = made
        }
        hostPids[index] = child
        indexOfHostPid[child] = index
        births += 1
        try handle(child, index, plan)
        try plan.checkNumber(child, index)
        if index < plan.tasks.count {
            try cgroups.place(child, bornOf: creator, as: plan.tasks[index])
        } else {
            cgroups.leave(child, bornOf: creator)
        }
        let isStopped = newborn.remove(child) != nil
        if !isStopped || unborn[index] > 0 { reports.await(child) }
        if isStopped { try resume(child, plan) }
        if let parent = indexOfHostPid[creator] {
            unborn[parent] -= 1
            if unborn[parent] == 0 { reports.dismiss(creator) }
        }
    }

    /// Takes the handle of a process that was just born. It is our tracee, so its number is its own until we have waited for it.
    private mutating func handle(_ child: Int32, _ index: Int, _ plan: RestorePlan) throws(RestoreError) {
        if index < plan.tasks.count && !plan.tasks[index].isLeader { return }
        do throws(SystemError) { try handles.open(child) } catch {
            // Killed from outside in this moment: its end will be reported.
            if error.isGone { return }
            throw RestoreError(cannot: "watch over \(plan.title(of: index))", error)
        }
    }

    /// Ends all that was made and waits until it is gone, so that its numbers are free; ten seconds at most.
    mutating func undo() {
        handles.killAll()
        let deadline = SystemClock.monotonic.now() + 10_000_000_000
        while SystemClock.monotonic.now() < deadline {
            if let found = (try? Waiting.wait(block: false)) ?? nil {
                if !found.status.isDead && found.task != 0 {
                    // Perhaps born in the last moment.
                    try? handles.open(found.task)
                    handles.kill(found.task)
                }
                continue
            }
            handles.dropReaped()
            if handles.isEmpty { break }
            Waiting.pause(atMost: 1_000_000)
        }
        Processes.adoptOrphans(false)
    }
}
