internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// Operations on semaphores that tasks undo at their end (SEM_UNDO).
extension Finaliser {
    /// Has one task of each list make its operations again. Tasks that share the list have them with it.
    ///
    /// - Preconditions: the sets are there with their values, the launchpad is, and no filter of system calls is yet.
    /// - If it fails: the tasks end, and the kernel undoes what they have done so far, as it did at the end of the original ones.
    /// - Parameter memory: the launchpad, where the operations lie.
    func makeUndo(_ memory: borrowing SharedMemory) throws(RestoreError) {
        for set in plan.valid.semaphores {
            for undo in set.undo {
                guard let index = index(ofThread: undo.thread) else { continue }
                let is32Bit = space(of: plan.tasks[index].pid)?.is32Bit == true
                for call in undo.calls {
                    memory.write(call, at: plan.undoRoom)
                    try naming(plan.tasks[index]) { () throws(SystemError) in
                        try FaultPoint.semaphoreUndo.pass("semop")
                        let count = UInt64(call.count / SemaphoreUndoPlan.bytesOfOperation)
                        let result = try make(is32Bit ? ArmedCall.compatSemop : ArmedCall.semop, [UInt64(set.set.number), plan.undoRoom, count, 0], index)
                        try comeToStop(hostPids[index])
                        if result != 0 { throw SystemError(Int32(clamping: -result), in: "semop on set \(set.set.number), to be undone at the end") }
                    }
                }
            }
        }
    }

    private func index(ofThread tid: UInt32) -> Int? {
        plan.tasks.indices.first { index in
            guard !plan.tasks[index].isDead, let thread = plan.tasks[index].thread else { return false }
            return image.threads[thread].tid == tid
        }
    }
}

extension ArmedCall {
    /// semop(2), which takes no notice of a fourth argument.
    static let semop: UInt64 = 65
    /// semtimedop(2) of the i386 table, where semop has no number of its own; without a timeout it is the same.
    static let compatSemop: UInt64 = 420
}
