import CheckpointImage
import PidControl
import StepProgram

/// Creation without clone3: the next task gets the number after `ns_last_pid`, if nobody comes between.
///
/// The tree's own tasks come one after the other: each holds a lock from the write to the clone. In a pid namespace
/// of its own there is nobody else. Where there is, the check of `clone` sees it, and the restart begins again.
///
/// - Source: pid_namespaces(7); futex(2), `FUTEX_LOCK_PI`.
extension PlanBuilder {
    /// - Parameter flags: of clone(2), with the signal of the end in the lowest byte.
    mutating func cloneByLastPid(_ program: inout Program, _ index: Int, tid: UInt32, _ title: String, flags: UInt64) {
        // A lock that the kernel keeps: the loop could not. Nobody waits for anything else while he holds it.
        let address = lastPidLock ?? room(8)
        lastPidLock = address
        let lock = Step.Argument.value(address)
        program.call(.futex, [lock, 6, 0, 0], "lock ns_last_pid")
        let text = Array(String(tid - 1).utf8)
        program.call(
            .pwrite64, [.number(high.lastPid), data(text), .number(text.count), 0], check: .equals(Int64(text.count)),
            "the next pid is \(tid)")
        program.call(
            .clone, [.value(flags), 0, 0, 0, .slot(index), .program(index)], check: .equals(Int64(tid)), title)
        program.call(.futex, [lock, 7, 0, 0], "unlock ns_last_pid")
    }

    /// File tables of processes that have threads to make.
    static func tablesWithThreads(_ valid: ValidImage, _ threadIndices: [UInt32: [Int]]) -> Set<UInt32> {
        guard valid.usesLastPid else { return [] }
        return Set(valid.image.processes.lazy.filter { threadIndices[$0.pid] != nil }.map(\.fileTable))
    }

    func keepsLastPid(_ process: ImageProcess) -> Bool { tablesWithThreads.contains(process.fileTable) }

    func closeLastPid(_ program: inout Program) {
        if valid.usesLastPid { program.call(.close, [.number(high.lastPid)], "ns_last_pid") }
    }

    /// When the threads are there, those that other threads make too: of all who share the descriptors.
    mutating func dropLastPid(_ program: inout Program, _ process: ImageProcess) {
        guard keepsLastPid(process) else { return }
        let table = owners.object(.files, of: process)
        guard owners.owns(.files, process) else {
            return program.advance(word(.madeThreads(table)), "its threads are there")
        }
        let followers = owners.followers(of: table)
        if followers > 0 { program.wait(for: word(.madeThreads(table)), toReach: followers, "until all with these descriptors have their threads") }
        closeLastPid(&program)
    }
}
