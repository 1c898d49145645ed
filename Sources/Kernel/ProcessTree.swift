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

        init(_ pid: Int32) throws(SystemError) {
            self.pid = pid
            stat = try ProcessStat(of: pid)
            // With one thread there is nothing to look up. Of an ended process the number of threads says nothing.
            tasks = stat.threadCount == 1 && !stat.isZombie ? [pid] : try Kernel.tasks(of: pid)
        }
    }

    /// `root` and all its descendants, parents before their children, siblings ascending.
    ///
    /// Zombies are among them; processes that go away meanwhile are left out.
    /// - If `root` does not exist: throws `ENOENT`.
    package func entries(below root: Int32) throws(SystemError) -> [Entry] {
        if hasChildrenFiles { return try walk(from: root) { entry throws(SystemError) in try Self.children(of: entry) } }
        let byParent = try Self.childrenByParent()
        return try walk(from: root) { entry throws(SystemError) in byParent[entry.pid] ?? [] }
    }

    /// The pids of ``entries(below:)``.
    package func processes(below root: Int32) throws(SystemError) -> [Int32] { try entries(below: root).map(\.pid) }

    private func walk(
        from root: Int32, children: (Entry) throws(SystemError) -> [Int32]
    ) throws(SystemError) -> [Entry] {
        var found: [Entry] = []
        var waiting = [root]
        // A pid that is used again meanwhile could appear twice.
        var known: Set<Int32> = [root]
        var next = 0
        while next < waiting.count {
            // Fails where the root is not there; below, a missing process is no error.
            do throws(SystemError) {
                let entry = try Entry(waiting[next])
                found.append(entry)
                for child in try children(entry) where known.insert(child).inserted { waiting.append(child) }
            } catch let error where error.isGone && next > 0 {}
            next += 1
        }
        return found
    }

    /// Children of all threads of a process: each is listed under the thread that created it.
    private static func children(of entry: Entry) throws(SystemError) -> [Int32] {
        var children: [Int32] = []
        for task in entry.tasks {
            do throws(SystemError) {
                var cursor = ByteCursor(
                    try readKernelText("/proc/\(entry.pid)/task/\(task)/children", capacity: 512))
                while let child = cursor.decimal() { children.append(Int32(truncatingIfNeeded: child)) }
            } catch let error where error.isGone {}
        }
        children.sort()
        return children
    }

    private static func childrenByParent() throws(SystemError) -> [Int32: [Int32]] {
        var children: [Int32: [Int32]] = [:]
        var text = [UInt8](repeating: 0, count: 2048)
        for pid in try allProcesses() {
            do throws(SystemError) {
                let file = try Descriptor.open("/proc/\(pid)/stat")
                // The kernel gives this file, of at most about 600 bytes, in one read.
                let count = try readInto(&text, at: 0, from: file.number)
                guard let parent = ProcessStat.parent(in: text, count: count) else { throw malformed("stat") }
                children[parent, default: []].append(pid)
            } catch let error where error.isGone {}
        }
        return children
    }
}

extension SystemError {
    /// The process, task or descriptor asked about is not there (any more).
    package var isGone: Bool { number == Errno.ENOENT || number == Errno.ESRCH }
}
