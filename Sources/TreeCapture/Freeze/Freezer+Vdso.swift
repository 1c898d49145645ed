internal import Kernel

extension Freezer {
    /// Lets tasks that were stopped inside the vdso run on for moments: on a kernel with another vdso they could not go
    /// on from there. A program that does nothing but ask for the time is found outside in the end; one that is not
    /// can be restarted on kernels like this one.
    ///
    /// - Parameter mayRun: false to look only.
    /// - Returns: whether any ran: it may have made new tasks.
    func leadOutOfVdso(_ tree: inout FrozenTree, mayRun: Bool, until deadline: Int64) throws(CaptureError) -> Bool {
        var look = VdsoLook()
        tree.insideVdso = [:]
        for task in tree.tasks.values where task.isStopped {
            if let place = look.place(of: task) { tree.insideVdso[task.tid] = place }
        }
        guard mayRun else { return false }
        let end = min(deadline, SystemClock.monotonic.now() + Self.patience)
        var moments = 0
        while SystemClock.monotonic.now() < end {
            // What only looks like a return address would stay for ever.
            let moving = tree.insideVdso.keys.filter { tid in
                tree.tasks[tid].map { $0.stopSignal == nil } == true
                    && tree.insideVdso[tid] != .returningFromCall
                    && (moments < Self.momentsForHandlers || tree.insideVdso[tid] != .returning)
            }
            if moving.isEmpty { break }
            moments += 1
            let before = moving.map { ($0, timeSlices(of: $0)) }
            for tid in moving {
                tree.tasks[tid]?.isStopped = false
                try? Trace.resume(tid)
            }
            awaitTurn(of: before)
            // Differing lengths, lest we keep time with a loop of the program's.
            Waiting.pause(atMost: Int64.random(in: 1_000...40_000))
            for tid in moving { try? Trace.interrupt(tid) }
            _ = try waitForStops(&tree, until: deadline)
            for tid in moving { tree.insideVdso[tid] = tree.tasks[tid].flatMap { look.place(of: $0) } }
        }
        return moments > 0
    }

    /// A stop that is asked for before a task has its turn finds it where it was.
    private func awaitTurn(of tasks: [(tid: Int32, before: UInt64?)]) {
        let end = SystemClock.monotonic.now() + Self.longestTurn
        while SystemClock.monotonic.now() < end, tasks.contains(where: { timeSlices(of: $0.tid) == $0.before }) {
            Waiting.pause(atMost: 20_000)
        }
    }

    /// Nanoseconds that all this may take.
    private static let patience: Int64 = 500_000_000
    private static let longestTurn: Int64 = 5_000_000
    private static let momentsForHandlers = 40
}
