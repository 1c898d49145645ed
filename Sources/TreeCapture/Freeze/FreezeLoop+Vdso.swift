internal import Kernel

extension FreezeLoop {
    /// Lets tasks that were stopped inside the vdso run on for moments: on a kernel with another vdso they could not go
    /// on from there. A program that does nothing but ask for the time is found outside in the end; one that is not
    /// can be restarted on kernels like this one.
    ///
    /// - Parameter mayRun: false to look only.
    /// - Returns: whether any ran: it may have made new tasks.
    mutating func leadOutOfVdso(mayRun: Bool) throws(CaptureError) -> Bool {
        book.insideVdso = [:]
        for task in book.tasks.values where task.isStopped {
            if let place = ground.placeInVdso(task) { book.insideVdso[task.tid] = place }
        }
        guard mayRun else { return false }
        let end = min(deadline, ground.now() &+ Self.patience)
        var moments = 0
        while ground.now() < end {
            // What only looks like a return address would stay for ever.
            let moving = book.insideVdso.compactMap { tid, place -> Int32? in
                if book.tasks[tid].map({ $0.stopSignal == nil }) != true { return nil }
                return switch place {
                case .code: tid
                case .returning: moments < Self.momentsForHandlers ? tid : nil
                case .returningFromCall: nil
                }
            }
            if moving.isEmpty { break }
            moments += 1
            let before = moving.map { ($0, ground.turns(of: $0)) }
            for tid in moving {
                book.tasks[tid]?.isStopped = false
                ground.resume(tid, signal: 0)
            }
            awaitTurn(of: before)
            // Differing lengths, lest we keep time with a loop of the program's.
            ground.pause(atMost: Int64.random(in: 1_000...40_000))
            for tid in moving { ground.interrupt(tid) }
            _ = try waitForStops()
            for tid in moving {
                if let task = book.tasks[tid] { book.insideVdso[tid] = ground.placeInVdso(task) } else { book.insideVdso[tid] = nil }
            }
        }
        return moments > 0
    }

    /// A stop that is asked for before a task has its turn finds it where it was.
    private mutating func awaitTurn(of tasks: [(tid: Int32, before: UInt64?)]) {
        let end = ground.now() &+ Self.longestTurn
        while ground.now() < end, tasks.contains(where: { ground.turns(of: $0.tid) == $0.before }) {
            ground.pause(atMost: 20_000)
        }
    }

    /// Nanoseconds that all this may take.
    private static var patience: Int64 { 500_000_000 }
    private static var longestTurn: Int64 { 5_000_000 }
    private static var momentsForHandlers: Int { 40 }
}
