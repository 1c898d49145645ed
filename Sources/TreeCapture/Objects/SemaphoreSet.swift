internal import ArchState
internal import CheckpointImage
internal import Kernel

/// System V semaphore sets. They belong to no process: taken are those that a task of the tree waits for, and
/// those whose semaphores a process of the tree was the last to change.
enum SemaphoreSet {
    /// Looks at all sets of crcheckpoint's ipc namespace.
    static func look(_ sight: inout TreeSight) {
        guard let all = try? SemaphoreSetState.all() else { return }
        sight.semaphoreSets = all.map { state in
            var state = state
            var failure: Failure?
            do throws(SystemError) { try state.readValues() } catch { failure = Failure(error) }
            return SemaphoreSetSight(
                number: state.number, key: state.key, mode: state.mode, owner: state.owner, group: state.group,
                values: state.values, changers: state.changers.map { HostPid($0) }, failure: failure)
        }
    }

    /// Records those of the tree.
    ///
    /// - Parameter waiters: by the number of a set, a process that was caught in semop(2) or semtimedop(2) on it.
    static func record(waiters: [Int32: HostPid], _ recorder: inout Recorder) {
        let sight = recorder.sight
        let members = Set(sight.processes.map(\.pid))
        for state in sight.semaphoreSets {
            let waiter = waiters[state.number]
            if let failure = state.failure {
                guard let waiter else { continue }
                recorder.find(
                    waiter, "semaphore set \(state.number)", "cannot be read: \(failure.errno)",
                    help: "be its owner, or have CAP_IPC_OWNER")
                continue
            }
            guard waiter != nil || state.changers.contains(where: { members.contains($0) }) else { continue }
            var set = ImageSemaphoreSet()
            set.id = UInt32(recorder.records.semaphoreSets.count + 1)
            set.number = UInt32(bitPattern: state.number)
            set.key = state.key
            set.mode = state.mode
            set.owner = state.owner
            set.group = state.group
            set.values = state.values
            set.users = sight.processes.map { UInt32(bitPattern: $0.pid.rawValue) }
            recorder.records.semaphoreSets.append(set)
        }
        guard !recorder.records.semaphoreSets.isEmpty else { return }
        for process in sight.processes { checkUndo(of: process, &recorder) }
    }

    /// What a process would undo at its end (SEM_UNDO) the kernel does not tell; it tells that the process has a list for
    /// such things.
    ///
    /// - Source: kcmp(2), `KCMP_SYSVSEM`; ipc/sem.c, `get_undo_list`; every thread made by pthread_create(3)
    ///   brings such a list along, used or not.
    private static func checkUndo(of process: ProcessSight, _ recorder: inout Recorder) {
        guard process.door.undo != 0 else { return }
        let isShared = recorder.sight.processes.contains { other in
            other.pid != process.pid && other.threads.contains { $0.undo == process.door.undo }
        }
        if process.threads.count > 1 || isShared {
            recorder.notice(
                "\(process.pid) \(recorder.command(of: process.pid)) uses semaphores and has threads or shares what it would undo: if it has operations to undo at its end (SEM_UNDO), a restart forgets them"
            )
        } else {
            recorder.find(
                process.pid, "task", "may have semaphore operations to undo at its end (SEM_UNDO), which cannot be saved",
                help: "the kernel does not tell which ones; only a program without SEM_UNDO can be saved")
        }
    }
}
