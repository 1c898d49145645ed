import CheckpointImage
import PidControl
import StepProgram

/// Objects that several processes share are loaded once, by their owner, when the other processes are done with them.
///
/// All tasks do this in the same order, so no two of them wait for each other: first each creates its children; then memory
/// is loaded, then open files are made, then directories are entered, then descriptors are installed. For each of these the
/// owner waits for earlier steps of the others only.
extension PlanBuilder {
    mutating func joinClocksFirst(_ program: inout Program) {
        guard joinsClocksFirst else { return }
        program.call(
            .setns, [.number(high.timeNamespace), 0x80], "the tree's clocks (CLONE_NEWTIME), before memory is shared")
    }

    private func isBornWith(_ kind: CloneObject, _ pid: UInt32) -> Bool {
        valid.creation.task(pid)?.sharesAtBirth.contains(CloneObjects(kind)) ?? false
    }

    /// The process in the image whose memory a task gets at its creation. For a ghost, a placeholder or a zombie it is a
    /// process that the task, directly or not, creates to share this memory. Nil: none.
    func memoryOwner(atBirthOf pid: UInt32) -> ImageProcess? {
        if let process = image.process(pid), process.state != .zombie { return process }
        let number = valid.creation.task(pid)?.carriesToItsEnd[.memory] ?? 0
        return number == 0 ? nil : owners.owner[SharedOwners.Object(kind: .memory, number: number)].flatMap { image.process($0) }
    }

    /// Unmaps inherited memory to make room for what will be loaded. A task that shares its creator's memory needs not: its
    /// creator has done it.
    mutating func makeRoom(_ program: inout Program, _ pid: UInt32, isRoot: Bool) {
        if isBornWith(.memory, pid) { return }
        guard let process = memoryOwner(atBirthOf: pid), let space = image.addressSpace(of: process) else { return }
        moveVdso(&program, process, space, of: pid, isRoot: isRoot)
    }

    /// Closes descriptors that other processes had open for a few steps when this process got a copy of their table.
    mutating func dropStrayDescriptors(_ program: inout Program) {
        guard owners.hasShared(.files) else { return }
        close(&program, high.others, "close what was copied from other processes")
    }

    /// Gives up objects that this task had for its children only.
    mutating func unshare(_ program: inout Program, _ objects: CloneObjectIDs) {
        let names = objects.kinds.kinds.map { "\($0)" }.joined(separator: ", ")
        program.call(.unshare, [.value(objects.kinds.cloneFlags)], "gets \(names) of its own")
        letGo(&program, objects)
    }

    /// Tells the owners of objects that this task does not use them any more.
    mutating func letGo(_ program: inout Program, _ objects: CloneObjectIDs) {
        for kind in objects.kinds.kinds { sayReady(&program, SharedOwners.Object(kind: kind, number: objects[kind])) }
    }

    private mutating func sayReady(_ program: inout Program, _ object: SharedOwners.Object) {
        guard [.memory, .files, .directories].contains(object.kind), owners.isShared(object) else { return }
        program.advance(word(.ready(object)), "the owner can load \(object.kind)")
    }

    /// Lets the owner do `load` when all other processes with the object are ready. A process that is not the owner tells
    /// that it is ready.
    ///
    /// - Returns: whether this process is the owner.
    mutating func once(
        _ kind: CloneObject, _ program: inout Program, _ process: ImageProcess,
        _ load: (inout PlanBuilder, inout Program) -> Void
    ) {
        let object = owners.object(kind, of: process)
        guard owners.owns(kind, process) else { return sayReady(&program, object) }
        let guests = owners.guests(of: object)
        if guests > 0 {
            program.wait(
                for: word(.ready(object)), toReach: guests, "until no other process needs \(kind) as they are")
        }
        load(&self, &program)
        if kind == .memory && owners.isShared(object) { program.advance(word(.memoryIsLoaded(object)), "memory is loaded") }
    }

    /// Lets a process wait until another one has loaded the memory that they share.
    mutating func awaitMemory(_ program: inout Program, _ process: ImageProcess) {
        let object = owners.object(.memory, of: process)
        if owners.owns(.memory, process) { return }
        program.wait(for: word(.memoryIsLoaded(object)), toReach: 1, "until memory is loaded")
        if process.personality != 0 { program.call(.personality, [.number(process.personality)]) }
    }

    /// Joins the tree's time namespace. The owner of the file table closes the descriptor for it when all processes with this
    /// table have joined.
    mutating func joinTimeNamespace(_ program: inout Program, _ process: ImageProcess) {
        guard valid.time.usesNamespace else { return }
        let number = Step.Argument.number(high.timeNamespace)
        if !joinsClocksFirst { program.call(.setns, [number, 0x80], "the tree's clocks (CLONE_NEWTIME)") }
        let table = owners.object(.files, of: process)
        guard owners.owns(.files, process) else {
            return program.advance(word(.joinedClocks(table)), "has joined the tree's clocks")
        }
        let followers = owners.followers(of: table)
        if followers > 0 {
            program.wait(
                for: word(.joinedClocks(table)), toReach: followers,
                "until all processes with these descriptors have joined")
        }
        program.call(.close, [number])
    }

    /// Sets the dumpable attribute. It belongs to the memory, and each change of credentials resets it, so the owner of the
    /// memory sets it when all processes with this memory have their credentials.
    mutating func dumpable(_ program: inout Program, _ process: ImageProcess) {
        let object = owners.object(.memory, of: process)
        guard owners.owns(.memory, process) else { return program.advance(word(.settled(object)), "credentials are set") }
        let followers = owners.followers(of: object)
        if followers > 0 {
            program.wait(
                for: word(.settled(object)), toReach: followers,
                "until all processes with this memory have their credentials")
        }
        if process.dumpable <= 1 { program.call(.prctl, [4, .number(process.dumpable)], "PR_SET_DUMPABLE") }
    }

    /// The descriptor for files that are open for a few steps. Processes that share a table have different ones.
    func scratchDescriptor(of process: ImageProcess) -> UInt32 {
        high.scratch(ofSharer: owners.place(inTableOf: process))
    }
}

/// Threads with directories or descriptors of their own. The first thread of each group that shares them gets a copy of
/// those of its process, changes it, and creates the other threads of the group: see `ThreadCreation`.
extension PlanBuilder {
    /// Threads that a task makes, by index.
    func threads(madeBy tid: UInt32) -> [Int] { (threadCreation.made[tid] ?? []).compactMap { threadIndex[$0] } }

    /// Sets the directories of a thread, if it is the first one that has them.
    mutating func ownDirectories(_ program: inout Program, _ thread: ImageThread, _ process: ImageProcess) {
        guard threadCreation.begins(.directories, thread.tid), let own = image.ownDirectories(of: thread) else { return }
        // The thread has the root directory of its process already, so the path has to be relative to that.
        var place = own.working.path.asBytes
        let root = own.root.path.asBytes
        let slash = UInt8(ascii: "/")
        if place == root {
            place = [slash]
        } else if root != [slash], place.starts(with: root + [slash]) {
            place = Array(place.dropFirst(root.count))
        }
        let entered = enter(&program, own.working, of: own, seen: place, "its own working directory")
        program.call(.close, [.result(of: entered)])
        program.call(.umask, [.number(own.umask)], check: .none)
    }

    /// Sets the descriptors of a thread, if it is the first one that has them. Its table begins as a copy of the table of its
    /// process, in which all open files are at high descriptors.
    mutating func ownDescriptors(_ program: inout Program, _ thread: ImageThread) {
        guard threadCreation.begins(.files, thread.tid), let own = image.ownFileTable(of: thread) else { return }
        close(&program, high.others, "drop the descriptors of its process")
        install(&program, own)
    }

    /// Does `go` (see `ObjectPlan`) for the open files of a thread's own table that its process's table does not have.
    mutating func setOwnDescriptorsGoing(_ program: inout Program, _ thread: ImageThread, _ process: ImageProcess) {
        guard threadCreation.begins(.files, thread.tid), let own = image.ownFileTable(of: thread) else { return }
        setGoing(&program, process.pid, by: own, besides: image.fileTable(of: process))
    }

    /// Closes the high descriptors in a thread's own table when all threads exist: until then a new thread's table can begin
    /// as a copy of this one, and needs them.
    mutating func dropOwnHighDescriptors(_ program: inout Program, _ thread: ImageThread) {
        guard threadCreation.begins(.files, thread.tid) else { return }
        program.wait(for: word(.threads), toReach: UInt32(threadCount), "until all threads are done")
        close(&program, high.all, "close high descriptors")
    }
}

extension ValidImage {
    /// Whether the root joins the tree's time namespace before it creates other tasks: a process that shares memory with
    /// another one cannot join a time namespace. It looks at all processes, so its result should be kept.
    ///
    /// - Source: kernel/time/namespace.c, `timens_install`; `current_is_single_threaded` counts users of the memory.
    package var joinsClocksFirst: Bool { time.usesNamespace && sharesMemory }

    private var sharesMemory: Bool {
        var seen: Set<UInt32> = []
        return image.processes.contains { $0.state != .zombie && !seen.insert(image.spaceID(of: $0)).inserted }
    }
}
