internal import Kernel
internal import LinuxABI

/// Ends a tree after its image is committed: all of it.
enum TreeKiller {
    /// A guardian process of its own does the killing, so that it is finished even if this one dies in the
    /// middle of it.
    static func kill(_ processes: [Int32]) {
        if let guardian = try? Processes.fork(at: .forkGuardian) {
            if guardian == 0 {
                Processes.leaveSession()
                for pid in processes { try? Processes.kill(pid, Signal.SIGKILL) }
                Processes.exitNow(0)
            }
            while (try? Waiting.wait(guardian, block: true)) == nil {}
        } else {
            for pid in processes { try? Processes.kill(pid, Signal.SIGKILL) }
        }
    }

    /// Waits until all have ended, five seconds at most, and until their numbers are free again, a quarter of
    /// a second at most: their new parent (init, a subreaper) frees them at a time of its own. The root's is freed
    /// by its parent.
    static func awaitEnd(of processes: [Int32], except root: Int32) {
        let begin = SystemClock.monotonic.now()
        let deadline = begin + 5_000_000_000
        var left = processes
        while !left.isEmpty && SystemClock.monotonic.now() < deadline {
            while let found = try? Waiting.wait(block: false) { _ = found }
            left = left.filter { pid in
                guard let stat = try? ProcessStat(of: pid) else { return false }
                // With threads left, only the first one has gone.
                guard stat.isZombie && stat.threadCount <= 1 else { return true }
                if SystemClock.monotonic.now() > begin + 250_000_000 { return false }
                return pid != root
            }
            if !left.isEmpty { Waiting.pause(atMost: 1_000_000) }
        }
    }
}
