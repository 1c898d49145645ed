internal import CheckpointImage
internal import Kernel
internal import PidControl

/// Which processes have something in common by clone(2): memory, descriptors and so on.
///
/// The kernel compares two tasks at a time, and puts its objects into an order (kcmp(2)): so one binary search for
/// each process finds out. Undo lists and disk contexts come into being when they are first needed; ours are not, and
/// compare equal with all those that are not.
struct SharingIndex {
    /// By kind: the first user of each object, in the kernel's order.
    private var objects: [[Int32]] = CloneObject.allCases.map { _ in [] }
    /// Signal actions are shared only with memory: by the first user of that, those that have actions of their own.
    private var actions: [Int32: [Int32]] = [:]
    /// By kind and first user: those that came later.
    private(set) var others: [CloneObject: [Int32: [Int32]]] = [:]

    private static func kernelKind(_ kind: CloneObject) -> SharedKind {
        switch kind {
        case .memory: .memory
        case .files: .descriptorTable
        case .directories: .fileSystem
        case .actions: .signalActions
        case .undo: .semaphoreUndo
        case .disk: .diskContext
        }
    }

    /// Notes a process. Gives for each kind who has the same, if anybody.
    mutating func add(_ pid: Int32) throws(SystemError) -> [CloneObject: Int32] {
        var found: [CloneObject: Int32] = [:]
        for kind in CloneObject.allCases where kind != .actions {
            if try isNone(kind, of: pid) { continue }
            found[kind] = try add(pid, to: &objects[kind.rawValue], kind)
        }
        if let memory = found[.memory] { found[.actions] = try add(pid, to: &actions[memory, default: [memory]], .actions) }
        for (kind, user) in found { others[kind, default: [:]][user, default: []].append(pid) }
        return found
    }

    private func add(_ pid: Int32, to known: inout [Int32], _ kind: CloneObject) throws(SystemError) -> Int32? {
        let (user, place) = try Self.find(kind, pid, among: known)
        if user == nil { known.insert(pid, at: place) }
        return user
    }

    /// Who of those noted has the same as somebody else.
    func user(of kind: CloneObject, sameAs pid: Int32) -> Int32? {
        if kind == .actions { return nil }
        if (try? isNone(kind, of: pid)) ?? true { return nil }
        return (try? Self.find(kind, pid, among: objects[kind.rawValue]))?.same
    }

    private func isNone(_ kind: CloneObject, of pid: Int32) throws(SystemError) -> Bool {
        guard kind == .undo || kind == .disk else { return false }
        return try compare(Self.kernelKind(kind), of: Processes.ownPid, with: pid) == .same
    }

    /// Who of those, which are in the kernel's order, has the same; otherwise the place for this one.
    static func find(
        _ kind: CloneObject, _ pid: Int32, among known: [Int32]
    ) throws(SystemError) -> (same: Int32?, place: Int) {
        try Kernel.find(among: known) { other throws(SystemError) in
            try compare(Self.kernelKind(kind), of: pid, with: other)
        }
    }
}

extension Collector {
    /// Collects memory and descriptors of a process, once for all who share them.
    func collectShared(of pid: Int32, _ stat: ProcessStat, into process: inout ImageProcess) throws(SystemError) {
        let shared = try sharing.add(pid)
        if let known = shared[.memory].flatMap({ spaceOf[$0] }) {
            process.addressSpace = known
        } else {
            process.addressSpace = UInt32(spaces.count + 1)
            try collectMemory(of: pid, stat: stat, as: process.addressSpace)
            spaceOf[pid] = process.addressSpace
        }
        if let known = shared[.files].flatMap({ tableOf[$0] }) {
            process.fileTable = known
        } else {
            process.fileTable = UInt32(tables.count + 1)
            try collectFiles(of: pid, as: process.fileTable)
            tableOf[pid] = process.fileTable
        }
    }

    /// Threads that do not share directories and umask with the first one of their process.
    func collectDirectories(ofThreadsOf pid: Int32, _ process: ImageProcess) throws(SystemError) {
        let door = door(to: pid)
        var known: [Int32] = []
        var numbers: [Int32: UInt32] = [:]
        for tid in (threads[pid] ?? []).map(\.tid) where tid != door {
            // A thread that has ended meanwhile is one that nobody asks (a look without a stop).
            guard let order = try? compare(.fileSystem, of: door, with: tid), order != .same else { continue }
            let (user, place) = try SharingIndex.find(.directories, tid, among: known)
            if user == nil {
                known.insert(tid, at: place)
                numbers[tid] = UInt32(known.count)
            }
            var own = ImageDirectories()
            own.id = numbers[user ?? tid] ?? 0
            own.workingDirectory = try directory(of: tid, "cwd", "working directory of thread \(tid)").asData
            own.rootDirectory = try readLink("/proc/\(tid)/root").asData
            own.umask = try TaskStatus(of: pid, task: tid).fileModeMask ?? 0o022
            if own.rootDirectory != process.rootDirectory {
                find(pid, "thread \(tid)", "has another root directory than its process, which cannot be saved yet")
            }
            threadDirectories[tid] = own
        }
    }

    private func checkDirectories() {
        for tid in threadDirectories.keys.sorted() {
            guard let user = sharing.user(of: .directories, sameAs: tid) else { continue }
            let pid = threads.first { $0.value.contains { $0.tid == tid } }?.key ?? tid
            find(pid, "thread \(tid)", "shares \(CloneObject.directories.name) with \(user), but its process does not, which cannot be saved yet")
        }
    }

    /// Numbers what has no record of its own. When all processes have been looked at.
    func finishSharing() {
        checkSharingOutside()
        checkDirectories()
        // Compared were the doors to the processes.
        let processOf = Dictionary(processes.map { (door(to: $0), $0) }) { first, _ in first }
        var owners: [Int32: Int32] = [:]
        for (owner, others) in sharing.others[.memory] ?? [:] {
            for other in others { owners[processOf[other] ?? other] = processOf[owner] ?? owner }
        }
        calls?.memoryOwners = owners
        var places: [UInt32: Int] = [:]
        for (place, process) in imageProcesses.enumerated() { places[process.pid] = place }
        func number(_ kind: CloneObject, _ field: WritableKeyPath<ImageProcess, UInt32>) {
            for (number, group) in (sharing.others[kind] ?? [:]).sorted(by: { $0.key < $1.key }).enumerated() {
                for pid in [group.key] + group.value {
                    guard let place = pidInNamespace[pid].flatMap({ places[$0] }) else { continue }
                    imageProcesses[place][keyPath: field] = UInt32(number + 1)
                }
            }
        }
        number(.directories, \.sharedDirectories)
        number(.actions, \.sharedActions)
        number(.undo, \.sharedUndo)
        number(.disk, \.sharedDiskContext)
    }

    /// What the tree shares with somebody who is not in it cannot be given back.
    private func checkSharingOutside() {
        let own = Set(processes + zombies + [Processes.ownPid])
        for pid in (try? allProcesses()) ?? [] where !own.contains(pid) {
            for kind in CloneObject.allCases {
                guard let user = sharing.user(of: kind, sameAs: pid), let stat = try? ProcessStat(of: pid), !stat.isZombie else { continue }
                find(
                    user, "task", "shares \(kind.name) with \(pid) \(text(stat.comm)), which is not in the tree",
                    help: "checkpoint a tree that holds both")
            }
        }
    }

    /// Handlers that a signal on its way has reset (SA_RESETHAND) since the first of their users was asked: the last
    /// answer counts for all.
    func agreeOnActions() {
        var last: [UInt32: [ImageSignalAction]] = [:]
        for process in imageProcesses where process.sharedActions != 0 { last[process.sharedActions] = process.actions }
        guard !last.isEmpty else { return }
        for index in imageProcesses.indices {
            if let actions = last[imageProcesses[index].sharedActions] { imageProcesses[index].actions = actions }
        }
    }

    /// Whether a signal has been delivered to anybody who has this process's memory.
    func wasDisturbed(_ pid: Int32) -> Bool {
        if disturbed.isEmpty { return false }
        return disturbed.contains(pid) || (sharing.others[.memory]?[pid] ?? []).contains { disturbed.contains($0) }
    }
}
