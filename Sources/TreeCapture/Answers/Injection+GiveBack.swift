internal import ArchState
internal import Kernel
internal import LinuxABI

extension Injection {
    /// Nanoseconds that the way home may take.
    private static let patience: Int64 = 1_000_000_000
    /// Nanoseconds that a program may take that has to come to its end: the time of copying page tables.
    private static let longestProgram: Int64 = 30_000_000_000
    /// How often a call that failed on the way is tried again.
    private static let attempts = 4

    /// Brings the task home from wherever it is, and leaves it stopped. Does nothing where it is home.
    ///
    /// Where the ordinary way fails again and again, mask and registers are put back where the task stands, if that is
    /// still in the stub: what has left the stub has found home by itself.
    func giveBack() {
        if case .home = stage { return }
        if job.isWhole { awaitEnd() }
        isAborted = true
        let deadline = SystemClock.monotonic.now() + Self.patience
        for _ in 0..<Self.attempts {
            do throws(SystemError) { return try bringHome(until: deadline) } catch {
                if case .home = stage { return }
            }
        }
        stage = .home
        guard (try? isInStub()) ?? true else { return }
        try? Trace.setSignalMask(of: task, to: mask)
        try? Trace.setRegisters(.general, of: task, to: job.raw)
    }

    /// Lets a program come to its end.
    private func awaitEnd() {
        let deadline = SystemClock.monotonic.now() + Self.longestProgram
        while case .working = stage, !isStopped, SystemClock.monotonic.now() < deadline {
            if RemoteMemory.word(task, at: job.place.memory + CheckpointStub.doneOffset) ?? 1 != 0 { return }
            if let found = (try? Waiting.wait(task, block: false)) ?? nil { try? take(found.status) }
            Waiting.pause(atMost: 100_000)
        }
    }

    private func bringHome(until deadline: Int64) throws(SystemError) {
        if isStopped { try takeAborted() } else { try Trace.interrupt(task) }
        while true {
            if case .home = stage { return }
            if let found = try Waiting.wait(task, block: false) {
                try take(found.status)
            } else if SystemClock.monotonic.now() > deadline {
                throw SystemError(Errno.ETIMEDOUT, in: "wait4")
            } else {
                Waiting.pause(atMost: 1_000_000)
            }
        }
    }

    /// From a stop in the middle of it.
    private func takeAborted() throws(SystemError) {
        switch stage {
        case .entering(let stops) where heldSignal != 0: try deliver(afterStops: stops)
        case .entering(let stops): try turnBack(afterStops: stops)
        case .working, .stopping, .leaving: try leave()
        case .returning: try turnHome()
        case .delivering where heldSignal != 0: try deliver(afterStops: 0)
        case .delivering, .home: stage = .home
        }
    }

    /// From a stop on the way into the stub. Until rt_sigprocmask has returned nothing is to be undone; from then on there
    /// may be working memory.
    func turnBack(afterStops stops: Int) throws(SystemError) {
        if stops <= Self.stopsToBlock { try turnHome() } else { try leave() }
    }

    /// - Preconditions: the task is stopped.
    func isInStub() throws(SystemError) -> Bool {
        let raw = try Trace.registers(.general, of: task, atMost: job.raw.count)
        guard let now = try? X86GeneralRegisters(registerSet: raw) else { return false }
        return job.place.isInStub(now.rip)
    }
}
