internal import Glibc

/// What the kernel does to a semaphore set when the last task with a list of such operations ends (SEM_UNDO).
package struct SemaphoreUndo: Sendable, Equatable {
    /// As semget(2) gave it.
    package var set: Int32
    /// What is added to each semaphore.
    package var adjustments: [Int32]
}

extension KernelReader {
    /// What a thread would undo at its end, by set. Sets without anything to undo are left out.
    ///
    /// - Parameter counts: how many semaphores a set has. Sets of other ipc namespaces are not among them, and a task can have
    ///   operations on such a set: `ENXIO`.
    /// - Preconditions: the thread stands still.
    /// - Source: ipc/sem.c, `struct sem_undo`.
    package func semaphoreUndo(of tid: Int32, counts: [Int32: Int]) throws(SystemError) -> [SemaphoreUndo] {
        let list = try word(try task(tid), "task_struct", "sysvsem.undo_list")
        if list == 0 { return [] }
        let head = list &+ UInt64(try offset("sem_undo_list", "list_proc"))
        let (link, values) = (try offset("sem_undo", "list_proc"), try offset("sem_undo", "semadj"))
        // The values are the end of the structure, where padding can follow; in older kernels a pointer.
        let isPointer = try layout.size("sem_undo") >= values + 8
        var found: [SemaphoreUndo] = []
        var entry = try word(head)
        for _ in 0..<Self.mostSets {
            if entry == head { return found }
            let one = entry &- UInt64(link)
            let set = Int32(bitPattern: try number(one, "sem_undo", "semid"))
            // -1: the set has been removed.
            if set != -1 {
                guard let count = counts[set] else { throw SystemError(ENXIO, in: "look for a semaphore set") }
                let place = isPointer ? try word(one &+ UInt64(values)) : one &+ UInt64(values)
                let bytes = try read(place, count * 2)
                let adjustments = (0..<count).map { index -> Int32 in
                    let bits = UInt16(bytes[index * 2]) | UInt16(bytes[index * 2 + 1]) << 8
                    return Int32(Int16(bitPattern: bits))
                }
                if adjustments.contains(where: { $0 != 0 }) { found.append(SemaphoreUndo(set: set, adjustments: adjustments)) }
            }
            entry = try word(entry)
        }
        throw SystemError(E2BIG, in: "read the operations to undo")
    }

    /// No kernel has more sets (IPCMNI_EXTEND).
    private static let mostSets = 1 << 24

    /// `struct task_struct` of a thread, which is found through its directory in `/proc`.
    func task(_ tid: Int32) throws(SystemError) -> UInt64 {
        let directory = try Descriptor.open("/proc/\(tid)", O_RDONLY | O_DIRECTORY)
        let inode = try word(try file(directory), "file", "f_inode") &- UInt64(try offset("proc_inode", "vfs_inode"))
        // PIDTYPE_PID is 0.
        let link = try word(try word(inode, "proc_inode", "pid"), "pid", "tasks")
        if link == 0 { throw SystemError(ESRCH, in: "look for a task") }
        return link &- UInt64(try offset("task_struct", "pid_links"))
    }
}
