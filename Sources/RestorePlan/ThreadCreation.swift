import CheckpointImage

/// Decides which thread of a process makes each of its threads.
///
/// A new thread has the directories and the descriptor table of its maker, or copies of its own. Threads with the same
/// directories and the same table are one group; the first thread of a group makes its other threads.
///
/// The first thread of a group is made by a thread that has the same directories or the same table, and gets a copy of the
/// other. Where no thread has either, the first thread of the process makes it, with copies of both. So every group has one
/// maker, found by following shared directories and tables from group to group. A group whose directories and table both
/// exist already, in two other groups, cannot be made: no thread has both.
///
/// - Source: clone(2), CLONE_FS, CLONE_FILES.
struct ThreadCreation: Sendable {
    enum Kind: CaseIterable, Sendable { case directories, files }

    /// By tid of the maker: the threads that it makes, in the order of the image.
    private(set) var made: [UInt32: [UInt32]] = [:]
    /// By kind: threads that are made with a copy of the maker's directories or descriptors.
    private var beginners: [Kind: Set<UInt32>] = [:]
    private var processesWithTables: Set<UInt32> = []
    /// Threads that cannot be made.
    private(set) var impossible: [ImageThread] = []

    init(_ image: CheckpointImage) {
        for process in image.processes where process.state != .zombie {
            let threads = image.threads(of: process.pid)
            if threads.count > 1, let leader = threads.first { arrange(threads, leader) }
        }
    }

    /// The directories and the descriptor table of a thread, by id. Threads with the same ones are a group.
    private struct Things: Hashable {
        let directories: UInt32
        let files: UInt32

        init(_ thread: ImageThread) { (directories, files) = (thread.directories, thread.fileTable) }

        func id(_ kind: Kind) -> UInt32 { kind == .directories ? directories : files }
    }

    private mutating func arrange(_ threads: ArraySlice<ImageThread>, _ leader: ImageThread) {
        // `first`: the first thread of each group. `neighbours`: by kind and id, the groups with these directories or table.
        var first: [Things: UInt32] = [:]
        var groups: [Things] = []
        var neighbours: [Kind: [UInt32: [Things]]] = [:]
        for thread in threads where first[Things(thread)] == nil {
            let things = Things(thread)
            first[things] = thread.tid
            groups.append(things)
            for kind in Kind.allCases { neighbours[kind, default: [:]][things.id(kind), default: []].append(things) }
        }
        var maker: [Things: UInt32] = [:]
        var known: [Kind: Set<UInt32>] = [:]
        var refused: Set<Things> = []
        var waiting: [Things] = []
        func reach(_ things: Things, by tid: UInt32) -> [Kind] {
            maker[things] = tid
            waiting.append(things)
            return Kind.allCases.filter { known[$0, default: []].insert(things.id($0)).inserted }
        }
        for start in groups where maker[start] == nil && !refused.contains(start) {
            let begun = reach(start, by: leader.tid)
            if start != Things(leader) { note(begun, first[start], leader.process) }
            while let things = waiting.popLast() {
                for kind in Kind.allCases {
                    for other in neighbours[kind]?[things.id(kind)] ?? [] where maker[other] == nil && !refused.contains(other) {
                        if Kind.allCases.allSatisfy({ known[$0]?.contains(other.id($0)) == true }) {
                            refused.insert(other)
                        } else if let holder = first[things] {
                            note(reach(other, by: holder), first[other], leader.process)
                        }
                    }
                }
            }
        }
        for thread in threads.dropFirst() {
            let things = Things(thread)
            guard let holder = first[things], let maker = maker[things] else {
                impossible.append(thread)
                continue
            }
            made[holder == thread.tid ? maker : holder, default: []].append(thread.tid)
        }
    }

    private mutating func note(_ begun: [Kind], _ tid: UInt32?, _ process: UInt32) {
        guard let tid else { return }
        for kind in begun { beginners[kind, default: []].insert(tid) }
        if begun.contains(.files) { processesWithTables.insert(process) }
    }

    /// Whether a thread is the first one with directories or descriptors that the first thread of its process does not have.
    func begins(_ kind: Kind, _ tid: UInt32) -> Bool { beginners[kind]?.contains(tid) ?? false }

    /// Whether a thread of the process has a descriptor table of its own.
    func hasOwnTables(_ pid: UInt32) -> Bool { processesWithTables.contains(pid) }

    /// Finds threads that cannot be made, on any host.
    func check(_ image: CheckpointImage, _ findings: inout HostFindings) {
        for thread in impossible {
            findings.find(
                "thread \(thread.tid)", "shares directories with one thread and descriptors with another, which cannot be made again")
        }
        for (kind, name) in [(Kind.directories, "directories"), (.files, "descriptors")] {
            // By id: the first process with a thread that has it, and those of which several have one.
            var process: [UInt32: UInt32] = [:]
            var common: Set<UInt32> = []
            for thread in image.threads {
                let id = Things(thread).id(kind)
                if process[id, default: thread.process] != thread.process { common.insert(id) }
                process[id] = process[id] ?? thread.process
            }
            for thread in image.threads where common.contains(Things(thread).id(kind)) {
                guard let leader = image.thread(thread.process), Things(leader).id(kind) != Things(thread).id(kind) else { continue }
                findings.find("thread \(thread.tid)", "shares \(name) with another process, but not with its own, which cannot be made again")
            }
        }
        let users = Dictionary(grouping: image.processes.filter { $0.state != .zombie }, by: image.tableID)
        for process in image.processes where hasOwnTables(process.pid) && (users[image.tableID(of: process)]?.count ?? 0) > 1 {
            findings.find(
                "process \(process.pid)",
                "shares its descriptors with another process and has threads with descriptors of their own, which cannot be made again")
        }
    }
}
