internal import CheckpointImage
internal import Kernel
internal import RestorePlan

/// Before the tree is released: is every task of the image there, with its number, parent, group, session?
struct TreeCheck {
    private let tree: ForkedTree

    init(_ tree: ForkedTree) { self.tree = tree }

    func check() throws(RestoreError) {
        let plan = tree.plan
        let image = plan.valid.image
        var hostOf: [UInt32: Int32] = [:]
        for (index, task) in plan.tasks.enumerated() where task.isLeader { hostOf[task.pid] = tree.hostPids[index] }
        for (index, task) in plan.tasks.enumerated() where task.isLeader {
            guard let process = image.process(task.pid) else { continue }
            func wrong(_ what: String, _ wanted: UInt32, _ found: UInt32?) -> RestoreError {
                RestoreError("cannot release \(task.title): its \(what) is \(found.map(String.init) ?? "unknown"), not \(wanted)")
            }
            let host = tree.hostPids[index]
            let status: TaskStatus
            let stat: ProcessStat
            do throws(SystemError) {
                status = try TaskStatus(of: host)
                stat = try ProcessStat(of: host)
            } catch { throw RestoreError(cannot: "release \(task.title)", error) }
            if status.namespaceProcessIDs.last != process.pid { throw wrong("pid", process.pid, status.namespaceProcessIDs.last) }
            let parent = process.parent == 0 ? tree.inner : hostOf[process.parent]
            if stat.parent != parent { throw wrong("parent (here)", UInt32(parent ?? 0), UInt32(stat.parent)) }
            if process.session != image.header.outsideSession && status.namespaceSessions.last != process.session {
                throw wrong("session", process.session, status.namespaceSessions.last)
            }
            if process.group != image.header.outsideGroup && status.namespaceGroups.last != process.group {
                throw wrong("process group", process.group, status.namespaceGroups.last)
            }
            if !task.isZombie {
                let threads = (try? tasks(of: host))?.count ?? 0
                let wanted = image.threads(of: process.pid).count
                if threads != wanted { throw wrong("number of threads", UInt32(wanted), UInt32(threads)) }
            }
        }
    }
}
