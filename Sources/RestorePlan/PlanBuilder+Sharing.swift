import CheckpointImage
import PidControl
import StepProgram

/// What several processes share is loaded once, by its owner, when the others are done with it.
///
/// The order is the same everywhere, which is why nobody waits for ever: everybody creates its children; then memory is
/// loaded, then descriptors, then directories, each waiting for others only until they are done with what comes before.
extension PlanBuilder {
    mutating func joinClocksFirst(_ program: inout Program) {
        guard joinsClocksFirst else { return }
        program.call(.setns, [.number(high.timeNamespace), 0x80], "the tree's clocks (CLONE_NEWTIME), while nobody shares memory")
    }

    private func isBornWith(_ kind: CloneObject, _ pid: UInt32) -> Bool {
        valid.creation.task(pid)?.sharesAtBirth.contains(CloneObjects(kind)) ?? false
    }

    /// The process whose memory a task has from its birth on: its own, or of those whom it creates. Nil: none.
    func memoryOwner(atBirthOf pid: UInt32) -> ImageProcess? {
        if let process = image.process(pid), process.state != .zombie { return process }
        let number = valid.creation.task(pid)?.carriesToItsEnd[.memory] ?? 0
        return number == 0 ? nil : owners.owner[SharedOwners.Object(kind: .memory, number: number)].flatMap(image.process)
    }

    /// Makes room for what will be loaded; who is born with memory that others made room in has it.
    mutating func makeRoom(_ program: inout Program, _ pid: UInt32, isRoot: Bool) {
        if isBornWith(.memory, pid) { return }
        guard let process = memoryOwner(atBirthOf: pid), let space = image.addressSpace(process.addressSpace) else { return }
        moveVdso(&program, process, space, of: pid, isRoot: isRoot)
    }

    /// What others had opened for a moment when they were copied.
    mutating func dropStrayDescriptors(_ program: inout Program) {
        guard owners.hasShared(.files) else { return }
        program.call(.close_range, [0, .number(high.base - 1), 0], "drop what was copied from others")
    }

    /// Parts with objects that belong to others.
    mutating func unshare(_ program: inout Program, _ objects: CloneObjectIDs) {
        let names = objects.kinds.kinds.map { "\($0)" }.joined(separator: ", ")
        program.call(.unshare, [.value(objects.kinds.cloneFlags)], "\(names) of its own from here on")
        letGo(&program, objects)
    }

    /// Says that this task has no more to do with objects of others.
    mutating func letGo(_ program: inout Program, _ objects: CloneObjectIDs) {
        for kind in objects.kinds.kinds { sayReady(&program, SharedOwners.Object(kind: kind, number: objects[kind])) }
    }

    private mutating func sayReady(_ program: inout Program, _ object: SharedOwners.Object) {
        guard [.memory, .files, .directories].contains(object.kind), owners.isShared(object) else { return }
        program.advance(word(.ready(object)), "the owner may load \(object.kind)")
    }

    /// Has `load` done by the owner when everybody else is ready; the others say that they are.
    ///
    /// - Returns: whether this process is the owner.
    mutating func once(
        _ kind: CloneObject, _ program: inout Program, _ process: ImageProcess,
        _ load: (inout PlanBuilder, inout Program) -> Void
    ) {
        let object = owners.object(kind, of: process)
        guard owners.owns(kind, process) else { return sayReady(&program, object) }
        let guests = owners.guests(of: object)
        if guests > 0 { program.wait(for: word(.ready(object)), toReach: guests, "until nobody else needs \(kind) as they are") }
        load(&self, &program)
        if kind == .memory && owners.isShared(object) { program.advance(word(.memoryIsLoaded(object)), "memory is loaded") }
    }

    /// Of a process whose memory another one loads.
    mutating func awaitMemory(_ program: inout Program, _ process: ImageProcess) {
        let object = owners.object(.memory, of: process)
        if owners.owns(.memory, process) { return }
        program.wait(for: word(.memoryIsLoaded(object)), toReach: 1, "until memory is loaded")
        if process.personality != 0 { program.call(.personality, [.number(process.personality)]) }
    }

    /// Joins the tree's clocks; the descriptor for it is closed when all who have it are through.
    mutating func joinTimeNamespace(_ program: inout Program, _ process: ImageProcess) {
        guard valid.time.usesNamespace else { return }
        let number = Step.Argument.number(high.timeNamespace)
        if !joinsClocksFirst { program.call(.setns, [number, 0x80], "the tree's clocks (CLONE_NEWTIME)") }
        let table = owners.object(.files, of: process)
        guard owners.owns(.files, process) else {
            return program.advance(word(.joinedClocks(table)), "has joined the tree's clocks")
        }
        let followers = owners.followers(of: table)
        if followers > 0 { program.wait(for: word(.joinedClocks(table)), toReach: followers, "until all with these descriptors have joined") }
        program.call(.close, [number])
    }

    /// Whether the memory may be dumped belongs to the memory, and each change of credentials takes it back: it comes
    /// when all who have that memory are through with theirs.
    mutating func dumpable(_ program: inout Program, _ process: ImageProcess) {
        let object = owners.object(.memory, of: process)
        guard owners.owns(.memory, process) else { return program.advance(word(.settled(object)), "credentials are set") }
        let followers = owners.followers(of: object)
        if followers > 0 { program.wait(for: word(.settled(object)), toReach: followers, "until all with this memory have their credentials") }
        if process.dumpable <= 1 { program.call(.prctl, [4, .number(process.dumpable)], "PR_SET_DUMPABLE") }
    }

    /// The descriptor at which files stand for a moment: each of those who share a table has one of its own.
    func scratchDescriptor(of process: ImageProcess) -> UInt32 {
        let place = owners.place(inTableOf: process)
        return place == 0 ? high.scratch : files.firstFree + UInt32(place)
    }
}

/// Threads that are in directories of their own: the first of them is made without those of its process, and makes the
/// others.
extension PlanBuilder {
    private func directories(ofThread index: Int) -> UInt32 {
        guard let number = tasks[index].thread, image.threads[number].hasOwnDirectories else { return 0 }
        return image.threads[number].ownDirectories.id
    }

    /// The thread by which another one with the same directories is made; nil: by the leader.
    func creator(ofThread index: Int) -> Int? {
        let id = directories(ofThread: index)
        if id == 0 { return nil }
        let first = usersOfDirectories[SharedDirectories(process: tasks[index].pid, id: id)]?.first
        return first == index ? nil : first
    }

    func beginsDirectories(_ index: Int) -> Bool { directories(ofThread: index) != 0 && creator(ofThread: index) == nil }

    mutating func ownDirectories(_ program: inout Program, _ thread: ImageThread, _ process: ImageProcess) {
        guard thread.hasOwnDirectories else { return }
        let indices = usersOfDirectories[SharedDirectories(process: process.pid, id: thread.ownDirectories.id)] ?? []
        guard let own = indices.first, tasks[own].tid == thread.tid else { return }
        // It has the root of its process already.
        var place = thread.ownDirectories.workingDirectory.asText
        let root = process.rootDirectory.asText
        if place == root { place = "/" } else if place.hasPrefix(root + "/") { place = String(place.dropFirst(root.count)) }
        program.call(.chdir, [path(Array(place.utf8))], "working directory \(place) of its own")
        program.call(.umask, [.number(thread.ownDirectories.umask)], check: .none)
        for other in indices.dropFirst() { createThread(&program, other) }
    }

    /// By process and number of the directories: the threads that have them, by index.
    static func usersOfDirectories(_ image: CheckpointImage, _ tasks: [RestorePlan.Task]) -> [SharedDirectories: [Int]] {
        var users: [SharedDirectories: [Int]] = [:]
        for (index, task) in tasks.enumerated() {
            guard let number = task.thread, image.threads[number].hasOwnDirectories else { continue }
            let key = SharedDirectories(process: task.pid, id: image.threads[number].ownDirectories.id)
            users[key, default: []].append(index)
        }
        return users
    }

    struct SharedDirectories: Hashable {
        var process: UInt32
        var id: UInt32
    }
}

extension ValidImage {
    /// Whether the tree's clocks are joined by the root before there is anybody else: who shares memory with another
    /// process cannot join a time namespace any more. Looks at all processes.
    ///
    /// - Source: kernel/time/namespace.c, `timens_install`; `current_is_single_threaded` counts users of the memory.
    package var joinsClocksFirst: Bool { time.usesNamespace && sharesMemory }

    private var sharesMemory: Bool {
        var seen: Set<UInt32> = []
        return image.processes.contains { $0.state != .zombie && !seen.insert($0.addressSpace).inserted }
    }
}
