internal import ArchState
internal import LinuxABI
package import CheckpointImage
internal import PidControl
package import StepProgram

/// A restart, compiled: one program per task, the data they need, and what has to be prepared for them.
///
/// It is made without any effect on the host, and can be printed.
package struct RestorePlan: Sendable {
    /// A task to create: a process's first thread or another one of its threads.
    package struct Task: Sendable {
        package var pid: UInt32
        package var tid: UInt32
        package var title: String
        /// Index into the image's threads; nil for a zombie.
        package var thread: Int?
        package var isLeader: Bool
        package var isZombie: Bool
        /// Its own numbers, from the pid namespace of the root inwards.
        package var numbers: [UInt32]
        /// Whether it is a first thread that had exited: it exits again when the other threads exist.
        package var exits = false

        /// Whether it has ended before the release, so that the monitor cannot ask or set anything of it.
        package var isDead: Bool { isZombie || exits }
    }

    /// A process that exists during the restart only: see `CreationPlan`.
    package struct Helper: Sendable {
        package var pid: UInt32
        /// Its command name.
        package var name: String
        package var title: String
    }

    package let valid: ValidImage
    /// Task i has program i and status slot i of the launchpad.
    package let tasks: [Task]
    /// Ghosts and placeholders. Their programs and slots come after those of the tasks.
    package let helpers: [Helper]
    package let launchpad: Launchpad
    package let layout: Launchpad.Layout
    package let high: HighDescriptors
    /// The number of processes that live after the release, and the number of zombies.
    package let processCount: Int
    package let zombieCount: Int
    /// By index of a thread with a restart block: the address of its timespec.
    package let armingOperands: [Int: UInt64]
    /// Where the operations of a semop(2) lie; 0: no task has any to undo.
    package let undoRoom: UInt64
    /// Times that the monitor writes when it has chosen the instant of the release.
    package let releaseTimes: [ReleaseTime]
    /// Likewise the deadlines of timers.
    package let deadlines: [Deadline]
    /// Which pages are loaded when, and by which process.
    package let pages: PageSchedule
    /// By load: the words by which a loader and the monitor wait for each other, where the monitor loads the pages.
    package let pageGates: [Int: PageGate]
    package let vdso: VdsoPlan
    private let owners: SharedOwners
    private let programOfPid: [UInt32: Int]
    /// Nil: the numbers are those of the checkpoint.
    package let renumbering: Renumbering?
    /// Whether its steps say in words what they do.
    private let hasNotes: Bool

    /// - Parameters:
    ///   - renumbering: the translation by which `valid` got its numbers from those of the checkpoint.
    ///   - hasNotes: whether its steps say in words what they do; not needed where they are neither run nor printed.
    package init(for valid: ValidImage, renumbering: Renumbering? = nil, hasNotes: Bool = true) {
        self.renumbering = renumbering
        self.hasNotes = hasNotes
        func former(_ number: UInt32) -> String { renumbering.map { " (\($0.old(number)) in the image)" } ?? "" }
        let image = valid.image
        var tasks: [Task] = []
        for process in image.processes {
            let name = process.command.asText
            if process.state == .zombie {
                tasks.append(
                    Task(
                        pid: process.pid, tid: process.pid, title: "\(process.pid) \(name)\(former(process.pid))", thread: nil,
                        isLeader: true, isZombie: true, numbers: [process.pid] + process.innerPids))
                continue
            }
            for (index, thread) in zip(image.threads(of: process.pid).indices, image.threads(of: process.pid)) {
                let isLeader = thread.tid == process.pid
                tasks.append(
                    Task(
                        pid: process.pid, tid: thread.tid,
                        title: (isLeader ? "\(process.pid) \(name)" : "\(process.pid) \(name) thread \(thread.tid)")
                            + former(thread.tid),
                        thread: index, isLeader: isLeader, isZombie: false, numbers: [thread.tid] + thread.innerTids,
                        exits: thread.hasExited_p))
            }
        }
        let helpers = valid.creation.tasks.filter { $0.role != .member }.map { task in
            let name = task.role == .ghost ? "ghost" : "placeholder"
            return Helper(pid: task.pid, name: name, title: "\(task.pid) \(name) (\(task.purpose))")
        }
        let high = valid.high
        vdso = VdsoPlan(valid, at: valid.hole.scratch)
        let owners = SharedOwners(valid.image, valid.creation)
        let schedule = PageSchedule(
            valid.image, valid.creation, owners, delivery: valid.options.delivery, isLazy: valid.options.isLazy,
            occupied: PageSchedule.occupied(by: vdso, in: valid))
        var builder = PlanBuilder(
            valid: valid, tasks: tasks, helpers: helpers, high: high,
            launchpad: Launchpad(base: valid.hole.base, slots: tasks.count + helpers.count + 1),
            scratch: valid.hole.scratch, vdso: vdso, pages: schedule, hasNotes: hasNotes)
        builder.build()
        undoRoom = valid.semaphores.contains { !$0.undo.isEmpty } ? builder.room(SemaphoreUndoPlan.room) : 0
        self.valid = valid
        self.tasks = tasks
        self.helpers = helpers
        self.high = high
        launchpad = builder.launchpad
        layout = builder.launchpad.layout
        armingOperands = builder.armingOperands
        releaseTimes = builder.releaseTimes
        deadlines = builder.deadlines
        pages = builder.pages
        pageGates = builder.gates
        self.owners = builder.owners
        programOfPid = builder.leaderIndex.merging(builder.helperIndex.mapValues { tasks.count + $0 }) { first, _ in first }
        zombieCount = tasks.count { $0.isZombie }
        processCount = tasks.count { $0.isLeader } - zombieCount
    }

    /// Index of one living task of each living process.
    package var livingTasks: [Int] {
        var seen: Set<UInt32> = []
        return tasks.indices.filter { !tasks[$0].isDead && seen.insert(tasks[$0].pid).inserted }
    }

    /// A step in words. Where the plan was made without notes it is made again with them: that has no effect, and gives the same
    /// steps.
    package func line(of step: Int, in program: Int) -> String {
        let bare = launchpad.programs[program].steps[step]
        if hasNotes { return bare.line }
        let programs = RestorePlan(for: valid, renumbering: renumbering).launchpad.programs
        guard program < programs.count, step < programs[program].steps.count else { return bare.line }
        let told = programs[program].steps[step]
        return told.operation == bare.operation && told.arguments == bare.arguments ? told.line : bare.line
    }

    /// Index of the program of a process, ghost or placeholder.
    package func program(of pid: UInt32) -> Int? {
        programOfPid[pid]
    }

    /// The address space of a process of the image.
    package func space(of pid: UInt32) -> ImageAddressSpace? {
        valid.image.process(pid).flatMap { valid.image.addressSpace(of: $0) }
    }

    /// The limit of descriptors that crrestart needs for itself.
    package var descriptorsNeeded: UInt64 {
        var handles = processCount + zombieCount + helpers.count + valid.image.memoryObjects.count + valid.facts.ownDescriptors.count
        // Of each process a second one, and one for its page faults.
        if valid.options.isLazy { handles += 2 * processCount }
        return max(UInt64(high.highest) + 1, UInt64(handles + HighDescriptors.reserved))
    }

    /// Whether the launchpad has room where it is planned.
    package var hasRoom: Bool { launchpad.size <= valid.hole.room }

    /// The title of a task, ghost or placeholder by the index of its program.
    package func title(of index: Int) -> String {
        if index < tasks.count { return tasks[index].title }
        let helper = index - tasks.count
        return helper < helpers.count ? helpers[helper].title : "what stands in for a process for a moment"
    }

    /// Whether it ends before the tree is released.
    package func ends(_ index: Int) -> Bool { index >= tasks.count || tasks[index].isZombie }

    /// Indices of the memory objects that are files made by O_TMPFILE, and are made anew where the tree's own mounts lead: linkat(2) gives
    /// a file a name only through the mount through which it was opened.
    package var temporaryFiles: [Int] {
        guard valid.newPidNamespace else { return [] }
        let (objects, creators) = (valid.image.memoryObjects, PlanBuilder.creators(valid.image))
        return objects.indices.filter { objects[$0].unlinkedFile && creators[objects[$0].id] != nil }
    }

    private func temporaryLines() -> [String] {
        let lines = temporaryFiles.map { "file  \(printable(valid.image.memoryObjects[$0].name.asBytes)) is made anew in the mount namespace of the tree" }
        return lines.isEmpty ? [] : [""] + lines
    }

    /// Whether a process loads its memory itself, alone or for others: what is done to memory is done through it.
    package func ownsMemory(_ pid: UInt32) -> Bool { valid.image.process(pid).map { owners.owns(.memory, $0) } ?? false }

    /// What `crrestart --dry-run` prints: what the processor has to offer, then every program.
    package func lines() -> [String] {
        var lines = valid.cpu.table.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) + [""]
        if valid.usesVdsoProxy {
            lines += ["vdso  that of \(valid.image.header.kernelRelease) stays where it was; its functions hand over to this kernel's", ""]
        }
        if let renumbering { lines += renumbering.lines() + [""] }
        if valid.usesLastPid { lines += ["pids  by ns_last_pid and clone: clone3 with set_tid is not to be had here", ""] }
        for (index, program) in launchpad.programs.enumerated() {
            let remark = index == 0 ? "  root" : index < tasks.count ? "" : "  ends before the release"
            lines.append("task \(title(of: index))\(remark)  program at \(hex(layout.addresses[index]))")
            lines += program.lines()
        }
        lines += temporaryLines() + lateLines() + confinementLines()
        return lines.map(shown)
    }
}
