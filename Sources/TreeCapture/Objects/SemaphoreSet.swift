internal import ArchState
internal import CheckpointImage
internal import Kernel

/// System V semaphore sets. They belong to no process: taken are those that a task of the tree waits for, and
/// those whose semaphores a process of the tree was the last to change, or would change at its end.
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

    /// Whether a task has a list of operations to undo. There are sets, or it could have none that matters.
    static func needsUndo(_ sight: TreeSight) -> Bool {
        !sight.semaphoreSets.isEmpty && sight.processes.contains { $0.threads.contains { $0.undo != 0 } }
    }

    /// Looks what the tasks would undo at their end; each list once, however many tasks share it.
    static func lookForUndo(_ sight: inout TreeSight, _ reader: KernelReader) {
        let counts = Dictionary(
            sight.semaphoreSets.map { ($0.number, max($0.values.count, $0.changers.count)) }, uniquingKeysWith: { first, _ in first })
        var seen: Set<Int> = [0]
        var found: [SemaphoreUndoSight] = []
        for process in sight.processes {
            for thread in process.threads where seen.insert(thread.undo).inserted {
                do throws(SystemError) {
                    for undo in try reader.semaphoreUndo(of: thread.tid.rawValue, counts: counts) {
                        found.append(SemaphoreUndoSight(pid: process.pid, tid: thread.tid, set: undo.set, adjustments: undo.adjustments))
                    }
                } catch {
                    guard error.name == "ENXIO" else { return }
                    found.append(SemaphoreUndoSight(pid: process.pid, tid: thread.tid, set: nil, adjustments: []))
                }
            }
        }
        sight.semaphoreUndo = found
    }

    /// Records those of the tree.
    ///
    /// - Parameter waiters: by the number of a set, a process that was caught in semop(2) or semtimedop(2) on it.
    static func record(waiters: [Int32: HostPid], _ recorder: inout Recorder) {
        let sight = recorder.sight
        let members = Set(sight.processes.map(\.pid))
        let numbers = TaskNumbers(sight)
        for state in sight.semaphoreSets {
            let undo = (sight.semaphoreUndo ?? []).filter { $0.set == state.number }
            let waiter = waiters[state.number] ?? undo.first?.pid
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
            set.undo = undo.compactMap { one in
                guard let thread = numbers.thread(one.tid) else { return nil }
                var record = ImageSemaphoreUndo()
                record.thread = thread.number
                record.adjustments = one.adjustments
                return record
            }
            recorder.records.semaphoreSets.append(set)
        }
        if let all = sight.semaphoreUndo {
            for undo in all where undo.set == nil {
                recorder.find(
                    undo.pid, "semaphore set of another ipc namespace", "has operations to undo when the process ends (SEM_UNDO), which cannot be saved",
                    help: "let the program give the semaphores back, or change them without SEM_UNDO")
            }
            return
        }
        guard !recorder.records.semaphoreSets.isEmpty else { return }
        for process in sight.processes { checkUndo(of: process, &recorder) }
    }

    /// Without a look into the kernel's memory it is not told what a process would undo at its end (SEM_UNDO); it is told
    /// that the process has a list for such things.
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
                help: "be root: only with CAP_BPF and CAP_PERFMON it is seen whether there are any")
        }
    }
}
