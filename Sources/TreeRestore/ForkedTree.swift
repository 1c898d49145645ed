internal import Kernel
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
    /// By task index; 0: not born yet.
    private(set) var hostPids: [Int32]
    private var indexOfHostPid: [Int32: Int] = [:]
    private var births = 0
    private var plannedDeaths = 0
    /// Born, but not yet introduced by its creator.
    private var newborn: Set<Int32> = []
    private var isDone = false
    private let cgroups: CgroupPlacer

    init(plan: RestorePlan, memory: consuming SharedMemory, inner: Int32) {
        self.plan = plan
        self.memory = memory
        self.inner = inner
        cgroups = CgroupPlacer(plan)
        hostPids = [Int32](repeating: 0, count: plan.tasks.count)
    }

    deinit { if !isDone { undo() } }

    /// Ends all that was made and waits until it is gone.
    func undo() {
        isDone = true
        try? Processes.kill(inner, 9)
        for pid in hostPids where pid != 0 { try? Processes.kill(pid, 9) }
        for pid in newborn { try? Processes.kill(pid, 9) }
        let deadline = SystemClock.monotonic.now() + 10_000_000_000
        while SystemClock.monotonic.now() < deadline {
            do throws(SystemError) {
                if try Waiting.wait(block: false) == nil { Waiting.pause(atMost: 1_000_000) }
            } catch {
                if error.name == "ECHILD" { return }
            }
        }
    }

    /// From the point of no return on there is nothing to undo.
    func letGo() { isDone = true }

    /// Whether every task that is to be made before the common go has been born.
    var processesAreBorn: Bool { births >= plan.processCount + plan.zombieCount }
    var allAreBorn: Bool { births == plan.tasks.count }
    var plannedDeathsAreOver: Bool { plannedDeaths == plan.zombieCount }

    func word(_ word: Launchpad.Word) -> UInt32 { memory.load32(plan.launchpad.address(of: word)) }
    func publish(_ word: Launchpad.Word, _ value: UInt32) {
        memory.publish(plan.launchpad.address(of: word), value)
    }

    /// Handles what tasks report until `isReached`.
    func pump(_ interrupted: () -> Bool, until isReached: () -> Bool) throws(RestoreError) {
        while true {
            try drain()
            if isReached() { return }
            if interrupted() { throw RestoreError("cannot restart: EINTR (interrupted; nothing is left)") }
            Waiting.pause(atMost: 200_000)
        }
    }

    /// Takes all reports that are there.
    func drain() throws(RestoreError) {
        while true {
            let found: (task: Int32, status: WaitStatus, raw: Int32)?
            do throws(SystemError) { found = try Waiting.wait(block: false) } catch {
                if error.name == "EINTR" { continue }
                throw RestoreError(cannot: "wait for the tree", error)
            }
            guard let found else { return }
            try handle(found.task, found.status)
        }
    }

    private func handle(_ pid: Int32, _ status: WaitStatus) throws(RestoreError) {
        switch status {
        case .stopped(_, TraceEvent.stop):
            if pid == inner || indexOfHostPid[pid] != nil { resume(pid) } else { newborn.insert(pid) }
        case .stopped(_, let event) where event != 0:
            try introduce(childOf: pid)
            resume(pid)
        case .stopped(let signal, _):
            if let index = indexOfHostPid[pid], !plan.tasks[index].isZombie, signal != 17 {
                throw RestoreError("cannot restart \(plan.tasks[index].title): it got signal \(signal) while it was made")
            }
            try? Trace.resume(pid, signal: signal)
        case .exited, .killed:
            if pid == inner { throw innerFailure() }
            guard let index = indexOfHostPid[pid] else {
                newborn.remove(pid)
                return
            }
            if plan.tasks[index].isZombie {
                plannedDeaths += 1
                return
            }
            throw failure(of: index, status)
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
                let place = plan.launchpad.locate(stepAt: memory.load64(plan.launchpad.slotAddress(parent)))
            else { return }
            let step = plan.launchpad.programs[place.program].steps[place.step]
            guard case .program(let made)? = step.arguments.last else { return }
            index = made
        }
        hostPids[index] = child
        indexOfHostPid[child] = index
        births += 1
        try cgroups.place(child, bornOf: creator, as: plan.tasks[index])
        if newborn.remove(child) != nil { resume(child) }
    }

    private func innerFailure() -> RestoreError {
        let number = Int32(word(.innerError))
        let root = plan.tasks[0].title
        if number == 17 {
            return RestoreError("cannot create \(root): EEXIST (its pid was taken meanwhile; --pidns gives the tree numbers of its own)")
        }
        let error = SystemError(number, in: "inner half")
        return RestoreError(number == 0 ? "cannot create \(root): the inner half of crrestart died" : "cannot create \(root): \(error.name) (\(error.call))")
    }

    /// Which step failed, with what, and what helps.
    private func failure(of index: Int, _ status: WaitStatus) -> RestoreError {
        let task = plan.tasks[index]
        let slot = plan.launchpad.slotAddress(index)
        let place = plan.launchpad.locate(stepAt: memory.load64(slot))
        guard let place else { return RestoreError("cannot restart \(task.title): it ended before its first step (\(status))") }
        let step = plan.launchpad.programs[place.program].steps[place.step]
        let what = "step \(place.step), \(step.line)"
        guard memory.load64(slot + 8) == 1 else {
            return RestoreError("cannot restart \(task.title): it ended (\(status)) at \(what)")
        }
        let result = Int64(bitPattern: memory.load64(slot + 16))
        if result < 0 && result >= -4095 {
            let name = ErrnoName.of(Int32(-result))
            return RestoreError("cannot restart \(task.title): \(name) at \(what)\(help(name, step))")
        }
        return RestoreError("cannot restart \(task.title): got \(result) at \(what)")
    }

    private func help(_ name: String, _ step: Step) -> String {
        switch (step.name, name) {
        case ("clone3", "EEXIST"): " (its pid was taken meanwhile; --pidns gives the tree numbers of its own)"
        case (_, "ENOMEM"): " (memory or the number of mappings is limited here)"
        case ("openat", _): " (the file was there when the restart began)"
        case (_, "EPERM"): " (a capability is missing; be root)"
        default: ""
        }
    }
}
