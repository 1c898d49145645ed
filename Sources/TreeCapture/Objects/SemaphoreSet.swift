internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import PidControl

/// System V semaphore sets. They belong to no process: taken are those that a task of the tree waits for, and
/// those whose semaphores a process of the tree was the last to change.
extension Collector {
    /// Notes that a thread was caught in semop(2) or semtimedop(2).
    func noteSemaphoreWait(_ call: X86Call?, _ pid: Int32) {
        guard let set = call?.semaphoreSet else { return }
        awaitedSemaphoreSets[set] = pid
    }

    /// - Preconditions: the tree is frozen, and the calls of its threads are known.
    func collectSemaphoreSets() {
        guard let all = try? SemaphoreSetState.all() else { return }
        let members = Set(processes)
        for var state in all {
            let waiter = awaitedSemaphoreSets[state.number]
            do throws(SystemError) { try state.readValues() } catch {
                if let waiter {
                    find(
                        waiter, "semaphore set \(state.number)", "cannot be read: \(error.name)",
                        help: "be its owner, or have CAP_IPC_OWNER")
                }
                continue
            }
            guard waiter != nil || state.changers.contains(where: { members.contains($0) }) else { continue }
            var set = ImageSemaphoreSet()
            set.id = UInt32(semaphoreSets.count + 1)
            set.number = UInt32(state.number)
            set.key = state.key
            set.mode = state.mode
            set.owner = state.owner
            set.group = state.group
            set.values = state.values
            set.users = processes.map { UInt32($0) }
            semaphoreSets.append(set)
        }
        if !semaphoreSets.isEmpty { for pid in processes { checkUndo(of: pid) } }
    }

    /// What a process would undo at its end (SEM_UNDO) the kernel tells nobody; that it has a list for such
    /// things it does: ours is empty, and the same as every other empty one.
    ///
    /// - Source: kcmp(2), `KCMP_SYSVSEM`; ipc/sem.c, `get_undo_list`; every thread made by pthread_create(3)
    ///   brings such a list along, used or not.
    private func checkUndo(of pid: Int32) {
        guard let order = try? compare(.semaphoreUndo, of: Processes.ownPid, with: pid), order != .same else { return }
        let name = commands[pid] ?? ""
        let isShared = (sharing.others[.undo] ?? [:]).contains { $0.key == pid || $0.value.contains(pid) }
        if (threads[pid]?.count ?? 0) > 1 || isShared {
            notices.append(
                "\(pid) \(name) uses semaphores and has threads or shares what it would undo: if it has operations to undo at its end (SEM_UNDO), a restart forgets them"
            )
        } else {
            find(
                pid, "task", "may have semaphore operations to undo at its end (SEM_UNDO), which cannot be saved",
                help: "the kernel does not tell which ones; only a program without SEM_UNDO can be saved")
        }
    }
}
