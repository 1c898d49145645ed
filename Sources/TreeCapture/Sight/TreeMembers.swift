/// Which tasks belong to a tree.
struct TreeMembers: Sendable {
    struct Thread: Sendable {
        var tid: HostPid
        /// The job-control stop that it is in; nil: none.
        var stopSignal: Int32?
        /// It was stopped inside its vdso, or in a signal handler that had interrupted that.
        var insideVdso = false
    }

    let root: HostPid
    /// Those that live, parents before their children.
    var processes: [HostPid] = []
    /// This process is among them, if it belongs to the tree.
    var zombies: [HostPid] = []
    let checkpointer: HostPid?
    /// By process: its living threads, the first thread of the process before all others, these by their tids.
    var threads: [HostPid: [Thread]] = [:]

    /// False: it runs on while it is looked at (a dry run).
    private(set) var standsStill = false

    init(root: Int32, checkpointer: Int32?) {
        self.root = HostPid(root)
        self.checkpointer = checkpointer.map { HostPid($0) }
    }

    /// Of a tree that stands still.
    init(_ tree: borrowing FrozenTree) {
        self.init(root: tree.root, checkpointer: tree.book.checkpointer)
        standsStill = true
        processes = tree.processes.map { HostPid($0) }
        zombies = tree.zombies.map { HostPid($0) }
        for task in tree.tasks.values {
            threads[HostPid(task.process), default: []].append(
                Thread(
                    tid: HostPid(task.tid), stopSignal: task.stopSignal, insideVdso: tree.insideVdso[task.tid] != nil))
        }
        for (pid, list) in threads {
            threads[pid] = list.sorted { first, second in
                if first.tid == pid || second.tid == pid { return first.tid == pid }
                return first.tid < second.tid
            }
        }
    }

    var threadCount: Int { threads.values.reduce(0) { $0 + $1.count } }
}
