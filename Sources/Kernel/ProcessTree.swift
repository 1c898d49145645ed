internal import LinuxABI

/// The processes that descend from one another, found through `/proc`.
///
/// A single walk proves nothing about a tree that runs: processes fork, exit and are adopted meanwhile.
/// It is conclusive only when all that it found are stopped and `processes` of ``ForkCount`` stood still.
package struct ProcessTree: Sendable {
    private let hasChildrenFiles: Bool

    /// Asks once whether this kernel has `/proc/PID/task/TID/children` (`CONFIG_PROC_CHILDREN`).
    package init() {
        self.init(usingChildrenFiles: (try? readKernelText("/proc/thread-self/children")) != nil)
    }

    /// Without asking, e.g. for a second opinion: false walks over all processes and compares parents.
    package init(usingChildrenFiles: Bool) { hasChildrenFiles = usingChildrenFiles }

    /// A process as a walk met it.
    package struct Entry: Sendable {
        package var pid: Int32
        package var stat: ProcessStat
        /// Its threads, the dead first one among them.
        package var tasks: [Int32]

        package init(pid: Int32, stat: ProcessStat, tasks: [Int32]) {
            self.pid = pid
            self.stat = stat
            self.tasks = tasks
        }

        init(_ pid: Int32) throws(SystemError) {
            self.pid = pid
            stat = try ProcessStat(of: pid)
            // With one thread there is nothing to look up. Of an ended process the number of threads says nothing.
            tasks = stat.threadCount == 1 && !stat.isZombie ? [pid] : try Kernel.tasks(of: pid)
        }
    }

    /// What a walk met.
    package struct Found: Sendable {
        /// The root and its descendants, parents before their children, siblings ascending. Zombies are among them.
        package var entries: [Entry] = []
        /// Something that the walk was told of was gone when it came there: what that had left behind may have been
        /// missed.
        package var hasGaps = false
        package init() {}
    }

    /// Whether the children of one process are read at one moment, and those of a process before those of its children.
    package var isOrdered: Bool { hasChildrenFiles }

    /// `root` and all its descendants.
    ///
    /// - If `root` does not exist: throws `ENOENT`.
    package func look(below root: Int32) throws(SystemError) -> Found {
        if hasChildrenFiles {
            return try Self.walk(
                from: root, entry: { pid throws(SystemError) in try Entry(pid) }, children: { one throws(SystemError) in try Self.children(of: one) })
        }
        let (byParent, hasGaps) = try Self.childrenByParent()
        var found = try Self.walk(
            from: root, entry: { pid throws(SystemError) in try Entry(pid) }, children: { one throws(SystemError) in (byParent[one.pid] ?? [], false) })
        if hasGaps { found.hasGaps = true }
        return found
    }

    /// The entries of ``look(below:)``. Processes that go away meanwhile are left out.
    package func entries(below root: Int32) throws(SystemError) -> [Entry] { try look(below: root).entries }

    /// The pids of ``entries(below:)``.
    package func processes(below root: Int32) throws(SystemError) -> [Int32] { try entries(below: root).map(\.pid) }

    /// A walk over any source of entries.
    ///
    /// - Parameters:
    ///   - entry: throws `ENOENT` or `ESRCH` for a process that is not there.
    ///   - children: the pids of the children, and whether some could not be asked for.
    package static func walk(
        from root: Int32, entry: (Int32) throws(SystemError) -> Entry, children: (Entry) throws(SystemError) -> (pids: [Int32], hasGaps: Bool)
    ) throws(SystemError) -> Found {
        var found = Found()
        var waiting = [root]
        // A pid that is used again meanwhile could appear twice.
        var known: Set<Int32> = [root]
        var next = 0
        while next < waiting.count {
            // Fails where the root is not there; below, a missing process is no error.
            do throws(SystemError) {
                let one = try entry(waiting[next])
                found.entries.append(one)
                let (pids, hasGaps) = try children(one)
                for child in pids where known.insert(child).inserted { waiting.append(child) }
                if hasGaps { found.hasGaps = true }
            } catch let error where error.isGone && next > 0 { found.hasGaps = true }
            next += 1
        }
        return found
    }

    /// Children of all threads of a process: each is listed under the thread that created it.
    private static func children(of entry: Entry) throws(SystemError) -> (pids: [Int32], hasGaps: Bool) {
        var children: [Int32] = []
        var hasGaps = false
        for task in entry.tasks {
            do throws(SystemError) {
                children += try childrenOfTask(task, in: entry.pid)
            } catch let error where error.isGone { hasGaps = true }
        }
        children.sort()
        return (children, hasGaps)
    }

    /// The children that `/proc/PID/task/TID/children` lists.
    package static func childrenOfTask(_ task: Int32, in pid: Int32) throws(SystemError) -> [Int32] {
        var cursor = ByteCursor(try readKernelText("/proc/\(pid)/task/\(task)/children", capacity: 512))
        var children: [Int32] = []
        while let child = cursor.decimal() { children.append(Int32(truncatingIfNeeded: child)) }
        return children
    }

    private static func childrenByParent() throws(SystemError) -> (children: [Int32: [Int32]], hasGaps: Bool) {
        var children: [Int32: [Int32]] = [:]
        var hasGaps = false
        var text = [UInt8](repeating: 0, count: 2048)
        for pid in try allProcesses() {
            do throws(SystemError) {
                let file = try Descriptor.open("/proc/\(pid)/stat")
                // The kernel gives this file, of at most about 600 bytes, in one read.
                let count = try readInto(&text, at: 0, from: file.number)
                guard let parent = ProcessStat.parent(in: text, count: count) else { throw malformed("stat") }
                children[parent, default: []].append(pid)
            } catch let error where error.isGone { hasGaps = true }
        }
        return (children, hasGaps)
    }
}

extension SystemError {
    /// The process, task or descriptor asked about is not there (any more).
    package var isGone: Bool { number == Errno.ENOENT || number == Errno.ESRCH }
}
