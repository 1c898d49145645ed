internal import Kernel

/// What is known of the tasks of a tree that is being stopped.
struct TaskBook: Sendable {
    let root: Int32
    /// This process, if it belongs to the tree: it runs on, and counts among the zombies.
    var checkpointer: Int32?
    /// Processes that live, parents before children.
    var processes: [Int32] = []
    var zombies: [Int32] = []
    var tasks: [Int32: FrozenTree.Task] = [:]
    /// Tasks that were found in their vdso to the last, by tid.
    var insideVdso: [Int32: VdsoLook.Place] = [:]
    /// Processes that belonged to the tree when the freeze began, or were born in it since, and whose parent ended before it
    /// could be stopped: they are children of a process outside of the tree.
    var leavers: [Leaver] = []

    struct Leaver: Sendable, Equatable {
        var pid: Int32
        var command: [UInt8]
    }

    init(root: Int32, checkpointer: Int32? = nil) {
        self.root = root
        self.checkpointer = checkpointer
    }

    /// By process: how many of its tasks are held.
    var heldCounts: [Int32: Int] { tasks.values.reduce(into: [:]) { $0[$1.process, default: 0] += 1 } }
}

/// A tree whose tasks are all ptrace-stopped by this process.
///
/// What is taken is given back when this value ends: every task is detached and goes on, on every path.
/// If this process dies, the kernel does the same.
package struct FrozenTree: ~Copyable {
    /// One stopped task.
    package struct Task: Sendable {
        package var tid: Int32
        package var process: Int32
        /// The signal of a job-control stop that was in force before the freeze, or that came during it.
        package var stopSignal: Int32?
        var isStopped = false
    }

    var book: TaskBook
    private let calls: TimedCalls
    private var released = false

    init(root: Int32, calls: TimedCalls) {
        book = TaskBook(root: root)
        self.calls = calls
    }

    package var root: Int32 { book.root }
    package var processes: [Int32] { book.processes }
    package var zombies: [Int32] { book.zombies }
    package var tasks: [Int32: Task] { book.tasks }
    var insideVdso: [Int32: VdsoLook.Place] { book.insideVdso }

    deinit {
        guard !released else { return }
        calls.shorten(book.tasks.mapValues(\.process))
        for tid in book.tasks.keys { try? Trace.detach(tid) }
    }

    /// From here on every process ends with this one, before it makes another step.
    ///
    /// - Source: ptrace(2), PTRACE_O_EXITKILL; kernel/ptrace.c, `exit_ptrace`.
    borrowing func endWithTracer() {
        var known: Set<Int32> = []
        for (tid, task) in book.tasks where known.insert(task.process).inserted { try? Trace.setOptions(tid, Trace.Option.exitKill) }
    }

    /// Lets every task go on (or die, where a kill is pending), each interrupted call with the time it has left.
    package mutating func release() {
        calls.shorten(book.tasks.mapValues(\.process))
        for tid in book.tasks.keys { try? Trace.detach(tid) }
        book.tasks = [:]
        released = true
    }
}
