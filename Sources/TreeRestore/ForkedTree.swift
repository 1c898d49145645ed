internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// A tree in the making: every task is traced from birth, and dies with this process until the point of
/// no return.
///
/// What was made is undone when this value ends before `finalise` has consumed it.
final class ForkedTree {
    let plan: RestorePlan
    let memory: SharedMemory
    let inner: Int32
    /// By index of the program: the tasks, then ghosts and placeholders. 0: not born yet, or ended as planned and
    /// not of the image.
    private(set) var hostPids: [Int32]
    /// Numbers that ghosts and placeholders had here.
    private(set) var goneHelpers: [Int32] = []
    private var indexOfHostPid: [Int32: Int] = [:]
    private var births = 0
    private var plannedDeaths = 0
    /// Born, but not yet introduced by its creator.
    private var newborn: Set<Int32> = []
    /// Failed: dead, and perhaps not reaped yet by their parents.
    private var ended: Set<Int32> = []
    private var isDone = false
    private let cgroups: CgroupPlacer
    /// Those who have still somebody to create, and newborn tasks until their first stop.
    private var reports: TaskReports
    /// By task index: how many its program creates and has not created yet.
    private var unborn: [Int32]

    init(plan: RestorePlan, memory: consuming SharedMemory, inner: Int32) {
        self.plan = plan
        self.memory = memory
        self.inner = inner
        cgroups = CgroupPlacer(plan)
        reports = TaskReports([inner])
        unborn = plan.launchpad.programs.map { program in
            Int32(program.steps.count { if case .program? = $0.arguments.last { true } else { false } })
        }
        hostPids = [Int32](repeating: 0, count: plan.tasks.count + plan.helpers.count)
        // Orphans of a failure come here, and not to an init that reaps them when it likes.
        Processes.adoptOrphans()
    }

    deinit { if !isDone { undo() } }

    /// Ends all that was made and waits until it is gone, so that its numbers are free.
    func undo() {
        isDone = true
        try? Processes.kill(inner, 9)
        for pid in hostPids where pid != 0 { try? Processes.kill(pid, 9) }
        for pid in newborn { try? Processes.kill(pid, 9) }
        var left = newborn.union(hostPids.filter { $0 != 0 }).union(ended).union([inner])
        var looks = 0
        let deadline = SystemClock.monotonic.now() + 10_000_000_000
        while SystemClock.monotonic.now() < deadline {
            if let found = (try? Waiting.wait(block: false)) ?? nil {
                if !found.status.isDead && found.task != 0 && !left.contains(found.task) {
                    // Born in the last moment.
                    try? Processes.kill(found.task, 9)
                    left.insert(found.task)
                }
                continue
            }
            left = left.filter { Processes.exists($0) }
            looks += 1
            // A number that is there still may be a stranger's by now.
            if looks % 64 == 0 { left = left.filter { isOurs($0, among: left) } }
            if left.isEmpty { break }
            Waiting.pause(atMost: 1_000_000)
        }
        Processes.adoptOrphans(false)
    }

    private func isOurs(_ pid: Int32, among left: Set<Int32>) -> Bool {
        guard let status = try? TaskStatus(of: pid) else { return false }
        return status.tracer == Processes.ownPid || status.parent == Processes.ownPid || left.contains(status.parent)
    }

    /// From the point of no return on there is nothing to undo.
    func letGo() {
        isDone = true
        Processes.adoptOrphans(false)
    }

    /// Whether every task that is to be made before the common go has been born.
    var processesAreBorn: Bool { births >= plan.processCount + plan.zombieCount + plan.helpers.count }
    /// Tasks that nobody has introduced: no program makes them.
    var strangers: Int { newborn.count }
    var allAreBorn: Bool { births == plan.tasks.count + plan.helpers.count }
    var plannedDeathsAreOver: Bool { plannedDeaths == plan.zombieCount + plan.helpers.count }

    func word(_ word: Launchpad.Word) -> UInt32 { memory.load32(plan.launchpad.address(of: word)) }
    func publish(_ word: Launchpad.Word, _ value: UInt32) {
        memory.publish(plan.launchpad.address(of: word), value)
    }

    /// Handles what tasks report until `isReached`.
    func pump(_ interrupted: () -> Bool, until isReached: () -> Bool) throws(RestoreError) {
        while true {
            try drain()
            if isReached() { return }
            if interrupted() { throw RestoreError.interrupted }
            Waiting.pause(atMost: 200_000)
        }
    }

    /// Takes all reports that are there.
    func drain() throws(RestoreError) {
        while let found = reports.take(pause: 2_000_000) { try handle(found.task, found.status) }
    }

    private func handle(_ pid: Int32, _ status: WaitStatus) throws(RestoreError) {
        switch status {
        case .stopped(_, TraceEvent.stop):
            if let index = indexOfHostPid[pid] {
                if unborn[index] == 0 { reports.dismiss(pid) }
                resume(pid)
            } else if pid == inner {
                resume(pid)
            } else {
                newborn.insert(pid)
            }
        case .stopped(_, let event) where event != 0:
            try introduce(childOf: pid)
            resume(pid)
        case .stopped(let signal, _):
            if let index = indexOfHostPid[pid], !plan.ends(index), signal != 17, signal != plan.stopSignal(of: index) {
                throw RestoreError("cannot restart \(plan.title(of: index)): it got signal \(signal) while it was made")
            }
            try? Trace.resume(pid, signal: signal)
        case .exited, .killed:
            if pid == inner { throw innerFailure() }
            reports.dismiss(pid)
            guard let index = indexOfHostPid[pid] else {
                newborn.remove(pid)
                return
            }
            guard plan.ends(index), !hasFailed(index) else {
                // Nobody signals it any more: its number may be somebody else's soon.
                hostPids[index] = 0
                ended.insert(pid)
                throw cause(of: index, status)
            }
            plannedDeaths += 1
            if index >= plan.tasks.count {
                // Its number is free again soon, and may become somebody else's.
                indexOfHostPid[pid] = nil
                hostPids[index] = 0
                goneHelpers.append(pid)
            }
        case .continued: break
        }
    }

    private func resume(_ pid: Int32) { try? Trace.resume(pid) }

    /// A creator's step says which task its child is.
    private func introduce(childOf creator: Int32) throws(RestoreError) {
        guard let message = try? Trace.eventMessage(creator) else { return }
        let child = Int32(truncatingIfNeeded: message)
        let index: Int
        if creator == inner {
            index = 0
        } else {
            guard let parent = indexOfHostPid[creator],
                let place = plan.layout.locate(stepAt: memory.load64(plan.launchpad.slotAddress(parent)))
            else { return }
            let step = plan.launchpad.programs[place.program].steps[place.step]
            guard case .program(let made)? = step.arguments.last else { return }
            index = made
        }
        hostPids[index] = child
        indexOfHostPid[child] = index
        births += 1
        try checkNumber(child, index)
        if index < plan.tasks.count {
            try cgroups.place(child, bornOf: creator, as: plan.tasks[index])
        } else {
            cgroups.leave(child, bornOf: creator)
        }
        let isStopped = newborn.remove(child) != nil
        if !isStopped || unborn[index] > 0 { reports.await(child) }
        if isStopped { resume(child) }
        if let parent = indexOfHostPid[creator] {
            unborn[parent] -= 1
            if unborn[parent] == 0 { reports.dismiss(creator) }
        }
    }

    /// Where numbers come by `ns_last_pid`, and others are about who take them: seen at birth, before the task itself
    /// or its creator stumbles over it.
    private func checkNumber(_ child: Int32, _ index: Int) throws(RestoreError) {
        guard plan.valid.usesLastPid, !plan.valid.isInNewNamespace else { return }
        let wanted = index < plan.tasks.count ? plan.tasks[index].tid : plan.helpers[index - plan.tasks.count].pid
        if UInt32(child) == wanted { return }
        var error = RestoreError(
            "cannot create \(plan.title(of: index)): it got the number \(child) (others take numbers meanwhile; --pidns gives the tree numbers of its own)")
        error.isLostNumber = true
        throw error
    }

    private func innerFailure() -> RestoreError {
        let number = Int32(word(.innerError))
        let root = plan.tasks[0].title
        if number == 17 {
            var error = RestoreError("cannot create \(root): EEXIST (its pid was taken meanwhile; --pidns gives the tree numbers of its own)")
            error.isLostNumber = true
            return error
        }
        let error = SystemError(number, in: "inner half")
        return RestoreError(number == 0 ? "cannot create \(root): the inner half of crrestart died" : "cannot create \(root): \(error.name) (\(error.call))")
    }

    /// Whether one of its steps did.
    private func hasFailed(_ index: Int) -> Bool { memory.load64(plan.launchpad.slotAddress(index) + 8) == 1 }

    /// The end of one task brings about that of others: its threads, and whoever waits for a lock that it held.
    private func cause(of index: Int, _ status: WaitStatus) -> RestoreError {
        let failed = hostPids.indices.filter { hasFailed($0) }.map { failure(of: $0, status) }
        return failed.first { $0.isLostNumber } ?? (hasFailed(index) ? nil : failed.first) ?? failure(of: index, status)
    }

    /// Which step failed, with what, and what helps.
    private func failure(of index: Int, _ status: WaitStatus) -> RestoreError {
        let title = plan.title(of: index)
        let slot = plan.launchpad.slotAddress(index)
        let place = plan.layout.locate(stepAt: memory.load64(slot))
        guard let place else { return RestoreError("cannot restart \(title): it ended before its first step (\(status))") }
        let step = plan.launchpad.programs[place.program].steps[place.step]
        let what = "step \(place.step), \(step.line)"
        guard hasFailed(index) else {
            return RestoreError("cannot restart \(title): it ended (\(status)) at \(what)")
        }
        let result = Int64(bitPattern: memory.load64(slot + 16))
        var error: RestoreError
        if result < 0 && result >= -4095 {
            let name = ErrnoName.of(Int32(-result))
            error = RestoreError("cannot restart \(title): \(name) at \(what)\(help(name, step))")
        } else {
            let help = step.operation == .call(.clone) ? " (its number went to somebody else; --pidns gives the tree numbers of its own)" : ""
            error = RestoreError("cannot restart \(title): got \(result) at \(what)\(help)")
        }
        switch step.operation {
        case .call(.clone3): error.isLostNumber = result == -17
        case .call(.clone): error.isLostNumber = result > 0
        default: break
        }
        return error
    }

    private func help(_ name: String, _ step: Step) -> String {
        switch (step.name, name) {
        case ("futex", "ESRCH"): " (who had the lock has ended)"
        case ("clone3", "EEXIST"): " (its pid was taken meanwhile; --pidns gives the tree numbers of its own)"
        case (_, "ENOMEM"): " (memory or the number of mappings is limited here)"
        case ("openat", _): " (the file was there when the restart began)"
        case (_, "EPERM"): " (a capability is missing; be root)"
        default: ""
        }
    }
}
