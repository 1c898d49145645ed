internal import CheckpointImage
internal import Kernel
internal import RestorePlan

/// Before the tree is released: is it what the image says, no task more and none less?
///
/// Read back from `/proc`: number in each pid namespace, parent, group, session, threads, and the status of those
/// that have ended. Every difference is counted; the first is named.
struct TreeCheck {
    private let plan: RestorePlan
    private let hostPids: [Int32]
    private let inner: Int32
    private let goneHelpers: [Int32]
    private let strangers: Int
    private var image: CheckpointImage { plan.valid.image }
    private let own: ProcessStat
    /// Pid namespaces around that of the tree's root, as seen from here.
    private let outerDepth: Int
    /// As seen from here, by pid of the image.
    private var hostOf: [UInt32: Int32] = [:]
    /// As seen from here, by tid of the image; where a first thread has exited, a living one.
    private var hostOfTask: [UInt32: Int32] = [:]
    /// By pid of the image.
    private var threadsOf: [UInt32: [Int32]] = [:]

    /// - Preconditions: every task is stopped.
    init(_ tree: borrowing ForkedTree) throws(RestoreError) {
        plan = tree.plan
        hostPids = tree.hostPids
        inner = tree.inner
        goneHelpers = tree.goneHelpers
        strangers = tree.strangers
        do throws(SystemError) {
            own = try ProcessStat(of: Processes.ownPid)
            let own = try TaskStatus(of: Processes.ownPid).namespaceProcessIDs.count
            let isNested = plan.valid.newPidNamespace || plan.valid.image.rootIsNamespaceInit
            outerDepth = own - 1 + (isNested ? 1 : 0)
        } catch { throw RestoreError(cannot: "look at crrestart itself", error) }
        for (index, task) in plan.tasks.enumerated() {
            if task.isLeader { hostOf[task.pid] = hostPids[index] }
            hostOfTask[task.tid] = hostPids[index]
            if !task.isZombie { threadsOf[task.pid, default: []].append(hostPids[index]) }
        }
        for index in plan.livingTasks { hostOfTask[plan.tasks[index].pid] = hostPids[index] }
    }

    func check() throws(RestoreError) {
        try checkHelpers()
        var differences: [String] = []
        if strangers > 0 { differences.append("there are \(strangers) tasks that the image does not hold") }
        let leaders = plan.tasks.indices.filter { plan.tasks[$0].isLeader }
        let found = concurrentMap(leaders.count) { place -> [String] in
            let index = leaders[place]
            return image.process(plan.tasks[index].pid).map { look(at: $0, hostPids[index]) } ?? []
        }
        for (index, list) in zip(leaders, found) { differences += list.map { "\(plan.tasks[index].title): \($0)" } }
        differences += SharingCheck(image, hostOfTask).differences()
        guard let first = differences.first else { return }
        let more = differences.count == 1 ? "" : " and \(differences.count - 1) more"
        throw RestoreError("cannot release the tree: \(first)\(more) (it is not what the image says; nothing is left)")
    }

    private func look(at process: ImageProcess, _ host: Int32) -> [String] {
        let status: TaskStatus
        let stat: ProcessStat
        do throws(SystemError) {
            status = try TaskStatus(of: host)
            stat = try ProcessStat(of: host)
        } catch { return [error.isGone ? "it is gone (\(host) here)" : "it cannot be looked at: \(error.name) (\(error.call))"] }
        var found: [String] = []
        func compare(_ what: String, _ wanted: some BinaryInteger, _ seen: (some BinaryInteger)?) {
            guard let seen else { return found.append("its \(what) is not known") }
            if Int(seen) != Int(wanted) { found.append("its \(what) is \(seen), not \(wanted)") }
        }
        func compare(_ what: String, _ wanted: [UInt32], _ seen: [UInt32]) {
            let seen = seen.dropFirst(outerDepth)
            if !seen.elementsEqual(wanted) {
                found.append("its \(what) is \(seen.map(String.init).joined(separator: "/")), not \(wanted.map(String.init).joined(separator: "/"))")
            }
        }
        compare("pid", [process.pid] + process.innerPids, status.namespaceProcessIDs)
        compare("parent (here)", process.parent == 0 ? inner : hostOf[process.parent] ?? 0, stat.parent)
        if process.session == image.header.outsideSession {
            compare("session (here)", own.session, stat.session)
        } else {
            compare("session", [process.session] + process.innerSessions, status.namespaceSessions)
        }
        if process.group == image.header.outsideGroup {
            compare("process group (here)", own.group, stat.group)
        } else {
            compare("process group", [process.group] + process.innerGroups, status.namespaceGroups)
        }
        if process.state == .zombie {
            if !stat.isZombie { found.append("it has not ended") }
            compare("exit status", process.exitStatus, stat.exitStatus)
        } else {
            let threads = (try? tasks(of: host)) ?? []
            let wanted = threadsOf[process.pid] ?? []
            compare("number of threads", wanted.count, threads.count)
            let missing = Set(wanted).subtracting(threads)
            if let one = missing.min() { found.append("its thread \(one) (here) is missing") }
            if !process.innerPids.isEmpty { found += threadDifferences(of: process, host) }
        }
        return found
    }

    /// Of a process in a nested pid namespace: the numbers of its threads there.
    private func threadDifferences(of process: ImageProcess, _ host: Int32) -> [String] {
        zip(image.threads(of: process.pid), threadsOf[process.pid] ?? []).compactMap { thread, task in
            let seen = (try? TaskStatus(of: host, task: task))?.namespaceTaskIDs.dropFirst(outerDepth) ?? []
            return seen.elementsEqual([thread.tid] + thread.innerTids) ? nil : "its thread \(thread.tid) has other numbers"
        }
    }

    /// Ghosts and placeholders have gone. Their numbers may be other processes' by now.
    private func checkHelpers() throws(RestoreError) {
        guard !goneHelpers.isEmpty else { return }
        let own = Set(hostPids)
        for pid in goneHelpers {
            guard !own.contains(pid), let stat = try? ProcessStat(of: pid), own.contains(stat.parent) else { continue }
            throw RestoreError("cannot release the tree: \(pid), which was there to make it, is there still")
        }
    }
}
