internal import CKernel
internal import Glibc
internal import LinuxABI

/// A process that is a forked copy of another one, and exists for its memory alone: it never runs a program, its registers lead to its
/// end, and it ends with this process.
///
/// - Source: fork(2); ptrace(2), `PTRACE_O_EXITKILL`.
package enum MemoryCopy {
    /// Nanoseconds in which a new copy has given up the descriptors that it was born with.
    private static let patience: Int64 = 2_000_000_000
    /// What a copy waits between two looks: it has a few calls to make.
    private static let shortPause: Int64 = 20_000
    /// How readily the kernel ends a process where memory is short: the copy goes before every program.
    private static let firstToGo = "1000"
    /// Bytes that general registers take at most, on any architecture.
    private static let generalSize = 512

    /// Takes hold of a copy: it is stopped and stays so, and the kernel ends it with this process.
    ///
    /// If this process dies before, the copy ends by itself: it waits a bounded time and leaves.
    ///
    /// - Parameters:
    ///   - ready: address of a word in the copy that is not 0 when it has made all its calls.
    ///   - isCopy: whether general registers are those of a copy.
    /// - Errors: `ESRCH`: it has ended. `EINVAL`: the process of that number runs other code.
    package static func hold(_ pid: Int32, ready: UInt64, isCopy: ([UInt8]) -> Bool) throws(SystemError) {
        let deadline = SystemClock.monotonic.now() + patience
        while true {
            let word = RemoteMemory.word(pid, at: ready)
            if let word, word != 0 { break }
            if word == nil && !Processes.exists(pid) { throw SystemError(ESRCH, in: "find the copy") }
            if SystemClock.monotonic.now() > deadline { throw SystemError(ETIMEDOUT, in: "wait for the copy") }
            Waiting.pause(atMost: shortPause)
        }
        try Trace.seize(pid, options: 0)
        do throws(SystemError) {
            try Trace.interrupt(pid)
            while true {
                if let found = try Waiting.wait(pid, block: false) {
                    if found.status.isDead { throw SystemError(ESRCH, in: "wait4") }
                    if case .stopped(_, TraceEvent.stop) = found.status { break }
                    try Trace.resume(pid)
                }
                if SystemClock.monotonic.now() > deadline { throw SystemError(ETIMEDOUT, in: "wait4") }
                Waiting.pause(atMost: shortPause)
            }
            let registers = try Trace.registers(.general, of: pid, atMost: generalSize)
            guard isCopy(registers) else { throw SystemError(EINVAL, in: "find the copy") }
            try Trace.setOptions(pid, Trace.Option.exitKill)
        } catch {
            // Not known to be a copy yet: it goes on, and a copy ends by itself.
            try? Trace.detach(pid)
            throw error
        }
        if let file = try? Descriptor.open("/proc/\(pid)/oom_score_adj", O_WRONLY) { try? file.write(Array(firstToGo.utf8)) }
    }

    /// Ends a copy that this process holds, and frees its number. Where it does not end in time the kernel ends it with this process.
    package static func end(_ pid: Int32) {
        let deadline = SystemClock.monotonic.now() + patience
        repeat {
            // A number that is held is no other process's: a dead copy keeps it until it is waited for here.
            _ = ckernel_syscall(Int(SYS_kill), Int(pid), Int(SIGKILL), 0, 0, 0, 0)
            if hasEnded(pid) { return }
            Waiting.pause(atMost: 1_000_000)
        } while SystemClock.monotonic.now() < deadline
    }

    /// Whether a copy that is held has ended: then its number is free, too.
    package static func hasEnded(_ pid: Int32) -> Bool {
        var raw: Int32 = 0
        let result = unsafe ckernel_wait4(Int(pid), &raw, Int32(WaitOption.__WALL | WaitOption.WNOHANG))
        if result == 0 { return false }
        return result < 0 || WaitStatus(raw: raw).isDead
    }

    /// The process that a task calls by a number of its own pid namespace, by the number that it has in this process's `/proc`. Nil: there is
    /// none.
    package static func find(_ number: Int32, inNamespaceOf task: Int32) throws(SystemError) -> Int32? {
        let own = try TaskStatus(of: task).namespaceProcessIDs
        if own.count <= 1 { return number }
        let link = try NamespaceLook.pid(of: task)
        for pid in try allProcesses() {
            guard let ids = (try? TaskStatus(of: pid))?.namespaceProcessIDs, ids.count == own.count,
                ids.last == UInt32(bitPattern: number), (try? NamespaceLook.pid(of: pid)) == link
            else { continue }
            return pid
        }
        return nil
    }
}
