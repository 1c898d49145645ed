internal import ArchState
package import CheckpointImage
internal import PidControl
package import StepProgram

/// A restart, compiled: one program per task, the data they need, and what has to be prepared for them.
///
/// Pure and printable: nothing has been created when it exists.
package struct RestorePlan: Sendable {
    /// One task to be: a process's leader or one of its threads.
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
        /// The first thread of a process, which exits when the others have been made.
        package var exits = false

        /// Whether there is nothing of it left that could be asked or set when the tree is released.
        package var isDead: Bool { isZombie || exits }
    }

    /// A process that exists during the restart only: see `CreationPlan`.
    package struct Helper: Sendable {
        package var pid: UInt32
        /// What it is called in the process table.
        package var name: String
        package var title: String
    }

    /// Where descriptors stand while the tree is built, above all numbers that the tasks use.
    package struct HighDescriptors: Sendable {
        package var base: UInt32
        /// How many descriptors there are of mount namespaces: that of crrestart, and new ones.
        package var mounts: UInt32 = 0
        /// Stays open longer than those above it: a process joins when it has nothing else left to do.
        package var timeNamespace: UInt32 { base }
        /// `ns_last_pid`, where tasks get their numbers by it: as long as there are threads to be made.
        package var lastPid: UInt32 { base + 1 }
        /// Open until its files are open, for which it may need the `/proc` of crrestart.
        package func mount(_ number: UInt32) -> UInt32 { base + 2 + number }
        var firstDropped: UInt32 { base + 2 + mounts }
        /// 0, 1, 2 of the tool.
        package func standard(_ number: UInt32) -> UInt32 { firstDropped + number }
        package var image: UInt32 { firstDropped + 3 }
        var scratch: UInt32 { firstDropped + 4 }
        var firstObject: UInt32 { firstDropped + 6 }
        package func object(_ index: Int) -> UInt32 { firstObject + UInt32(index) }
    }

    package let valid: ValidImage
    /// Task i has program i and status slot i of the launchpad.
    package let tasks: [Task]
    /// Ghosts and placeholders. Their programs and slots come after those of the tasks.
    package let helpers: [Helper]
    package let launchpad: Launchpad
    package let layout: Launchpad.Layout
    package let high: HighDescriptors
    /// Processes that are to live, and those that are planned to die.
    package let processCount: Int
    package let zombieCount: Int
    /// For a thread (by index) with a restart block: where its timespec goes.
    package let armingOperands: [Int: UInt64]
    /// Times that the monitor fills in when it knows the instant of the release.
    package let releaseTimes: [ReleaseTime]
    /// Likewise the deadlines of timers.
    package let deadlines: [Deadline]
    /// Which pages are loaded when, and by which process.
    package let pages: PageSchedule
    /// By load: what a loader and the monitor wait for, where the monitor puts pages in place.
    package let pageGates: [Int: PageGate]
    package let vdso: VdsoPlan
    private let owners: SharedOwners
    /// Nil: the numbers are those of the checkpoint.
    package let renumbering: Renumbering?

    /// - Parameter renumbering: what has made the numbers of `valid` out of those of the checkpoint.
    package init(for valid: ValidImage, renumbering: Renumbering? = nil) {
        self.renumbering = renumbering
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
        let highest = image.fileTables.compactMap { $0.descriptors.last?.number }.max() ?? 0
        let high = HighDescriptors(base: max(highest + 1, 64), mounts: image.mountDescriptors)
        vdso = VdsoPlan(valid, at: valid.hole.scratch)
        let owners = SharedOwners(valid.image, valid.creation)
        let schedule = PageSchedule(
            valid.image, valid.creation, owners, delivery: valid.options.delivery,
            occupied: PageSchedule.occupied(by: vdso, in: valid))
        var builder = PlanBuilder(
            valid: valid, tasks: tasks, helpers: helpers, high: high,
            launchpad: Launchpad(base: valid.hole.base, slots: tasks.count + helpers.count),
            scratch: valid.hole.scratch, vdso: vdso, pages: schedule)
        builder.build()
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
        zombieCount = tasks.count { $0.isZombie }
        processCount = tasks.count { $0.isLeader } - zombieCount
    }

    /// Index of one living task of each living process.
    package var livingTasks: [Int] {
        var seen: Set<UInt32> = []
        return tasks.indices.filter { !tasks[$0].isDead && seen.insert(tasks[$0].pid).inserted }
    }

    /// Index of the program of a process, ghost or placeholder.
    package func program(of pid: UInt32) -> Int? {
        tasks.firstIndex { $0.isLeader && $0.pid == pid } ?? helpers.firstIndex { $0.pid == pid }.map { tasks.count + $0 }
    }

    /// The address space of a process of the image.
    package func space(of pid: UInt32) -> ImageAddressSpace? {
        valid.image.process(pid).flatMap { valid.image.addressSpace($0.addressSpace) }
    }

    /// Whether the launchpad has room where it is planned.
    package var hasRoom: Bool { launchpad.size <= valid.hole.room }

    /// The title of a task, ghost or placeholder by the index of its program.
    package func title(of index: Int) -> String {
        index < tasks.count ? tasks[index].title : helpers[index - tasks.count].title
    }

    /// Whether it ends before the tree is released.
    package func ends(_ index: Int) -> Bool { index >= tasks.count || tasks[index].isZombie }

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
        return lines
    }
}
