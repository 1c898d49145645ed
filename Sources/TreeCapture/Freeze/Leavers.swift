internal import Kernel

/// Finds processes that left the tree while it was being stopped.
///
/// An orphan comes to the nearest subreaper above it, or to the init of its pid namespace. If that is outside of the tree,
/// and its parent ended before it was seized, an orphan is not below the root any more. It is then no part of the
/// tree, just as if it had become an orphan before; but the user who takes the checkpoint is told.
///
/// What tells such an orphan from another child that a process outside has got meanwhile, which the kernel does not
/// say: it has the layout of memory of a process of the tree (a child has that of its parent until it calls
/// execve, and layouts are random), or a session of the tree that its new parent is not in.
struct Leavers {
    private let before: [Int32: Set<Int32>]
    private var sessions: Set<Int32> = []
    private var layouts: Set<[UInt64]> = []

    /// - Parameter before: children of the processes outside to which an orphan may come, by parent, before the first look.
    init(before: [Int32: Set<Int32>]) { self.before = before }

    /// Notes what children of this process have in common with it.
    mutating func learn(_ stat: ProcessStat) {
        sessions.insert(stat.session)
        if let layout = Self.layout(stat) { layouts.insert(layout) }
    }

    private static func layout(_ stat: ProcessStat) -> [UInt64]? {
        stat.stackStart == 0 ? nil : [stat.stackStart, stat.codeStart, stat.environmentStart]
    }

    /// - Parameters:
    ///   - after: as `before`, now.
    ///   - stat: of a process; nil: it is gone.
    func find(after: [Int32: Set<Int32>], stat: (Int32) -> ProcessStat?) -> [TaskBook.Leaver] {
        var found: [TaskBook.Leaver] = []
        for parent in after.keys.sorted() {
            let new = (after[parent] ?? []).subtracting(before[parent] ?? [])
            if new.isEmpty { continue }
            guard let adopter = stat(parent) else { continue }
            for pid in new.sorted() {
                guard let child = stat(pid), !child.isZombie || child.threadCount > 1 else { continue }
                let hasLayout = Self.layout(child).map { layouts.contains($0) && $0 != Self.layout(adopter) } ?? false
                let hasSession = sessions.contains(child.session) && child.session != adopter.session
                if hasLayout || hasSession { found.append(TaskBook.Leaver(pid: pid, command: child.comm)) }
            }
        }
        return found
    }
}

extension FreezeLoop {
    /// Processes that are held and no longer below the root go on; they and others that have left are noted.
    mutating func noteLeavers() {
        let members = Set(book.processes)
        let outside = book.tasks.values.filter { !members.contains($0.process) }
        for pid in Set(outside.map(\.process)).sorted() {
            book.leavers.append(TaskBook.Leaver(pid: pid, command: ground.stat(of: pid)?.comm ?? []))
        }
        ground.release(outside)
        for task in outside {
            book.tasks[task.tid] = nil
            book.insideVdso[task.tid] = nil
        }
        // crcheckpoint itself, too, can have been left by its parent.
        let known = Set(book.leavers.map(\.pid) + [book.checkpointer].compactMap { $0 })
        book.leavers += leavers.find(after: ground.outsideChildren()) { ground.stat(of: $0) }.filter { !known.contains($0.pid) && !members.contains($0.pid) }
    }
}
