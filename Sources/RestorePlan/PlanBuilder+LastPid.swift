import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

/// Creation without clone3: the next task gets the number after `ns_last_pid`, if no other process forks in between.
///
/// Tasks of the tree cannot interfere with each other: each holds a lock from the write to the clone. If the tree has a pid
/// namespace of its own, no other tasks exist there. Otherwise, if another process forks in between, the check of
/// `clone` finds a wrong number, and the restart begins again.
///
/// - Source: pid_namespaces(7); futex(2), `FUTEX_LOCK_PI`.
extension PlanBuilder {
    /// - Parameter flags: of clone(2), with the signal of the end in the lowest byte.
    mutating func cloneByLastPid(_ program: inout Program, _ index: Int, tid: UInt32, _ title: String, flags: UInt64) {
        // A PI futex, because the kernel itself takes the lock: the step loop has no atomic operation for it. No task
        // waits for anything else while it holds the lock.
        let address = lastPidLock ?? room(8)
        lastPidLock = address
        let lock = Step.Argument.value(address)
        program.call(.futex, [lock, .value(Futex.FUTEX_LOCK_PI), 0, 0], "lock ns_last_pid")
        let text = Array(String(tid - 1).utf8)
        program.call(
            .pwrite64, [.number(high.lastPid), data(text), .number(text.count), 0], check: .equals(Int64(text.count)),
            "the next pid is \(tid)")
        program.call(
            .clone, [.value(flags), 0, 0, 0, .slot(index), .program(index)], check: .equals(Int64(tid)), title)
        program.call(.futex, [lock, .value(Futex.FUTEX_UNLOCK_PI), 0, 0], "unlock ns_last_pid")
    }

    /// File tables of processes that will create threads.
    static func tablesWithThreads(_ valid: ValidImage, _ threadIndices: [UInt32: [Int]]) -> Set<UInt32> {
        guard valid.usesLastPid else { return [] }
        return Set(valid.image.processes.lazy.filter { threadIndices[$0.pid] != nil }.map { valid.image.tableID(of: $0) })
    }

    func keepsLastPid(_ process: ImageProcess) -> Bool { tablesWithThreads.contains(image.tableID(of: process)) }

    func closeLastPid(_ program: inout Program) {
        if valid.usesLastPid { program.call(.close, [.number(high.lastPid)], "ns_last_pid") }
    }

    /// Closes `ns_last_pid` when all processes that share the file table have created their threads. The owner of the
    /// table waits for the others.
    mutating func dropLastPid(_ program: inout Program, _ process: ImageProcess) {
        guard keepsLastPid(process) else { return }
        let table = owners.object(.files, of: process)
        guard owners.owns(.files, process) else {
            return program.advance(word(.madeThreads(table)), "its threads are there")
        }
        let followers = owners.followers(of: table)
        if followers > 0 {
            program.wait(
                for: word(.madeThreads(table)), toReach: followers,
                "until all processes with these descriptors have their threads")
        }
        closeLastPid(&program)
    }
}
