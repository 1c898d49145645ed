internal import LinuxABI

/// Takes reports of tasks that are awaited, each in turn.
///
/// wait4(2) for anybody goes through all tasks that are traced, silent ones too: with thousands of them each
/// report would cost more than the one before. For one task it does not. Whoever is not awaited (a child whose
/// parent has not told of it yet, a stopped task that was killed) is asked after when all awaited ones are silent.
package struct TaskReports {
    package typealias Report = (task: Int32, status: WaitStatus, raw: Int32)

    private var awaited: [Int32]
    private var next = 0
    private var silent = 0
    /// When nobody at all had anything to report, on the monotonic clock.
    private var lastSilence: Int64 = 0

    package init(_ awaited: [Int32]) { self.awaited = awaited }

    package mutating func await(_ task: Int32) { awaited.append(task) }

    /// A task is awaited no more. Cheap for the one that reported last.
    package mutating func dismiss(_ task: Int32) {
        if next >= awaited.count || awaited[next] != task {
            guard let place = awaited.lastIndex(of: task) else { return }
            awaited.swapAt(place, awaited.count - 1)
        } else {
            awaited.swapAt(next, awaited.count - 1)
        }
        awaited.removeLast()
    }

    /// The next report; nil: there is none now. A task that is gone unseen counts as dead.
    ///
    /// - Parameter pause: nanoseconds for which nobody else is asked after once all were silent.
    package mutating func take(pause: Int64 = 0) -> Report? {
        while silent < awaited.count {
            if next >= awaited.count { next = 0 }
            let task = awaited[next]
            do throws(SystemError) {
                if let report = try Waiting.wait(task, block: false) {
                    silent = 0
                    return report
                }
            } catch {
                if error.number == Errno.ECHILD {
                    silent = 0
                    return (task, .exited(0), 0)
                }
            }
            next += 1
            silent += 1
        }
        silent = 0
        if pause > 0 && SystemClock.monotonic.now() < lastSilence + pause { return nil }
        if let report = Self.ofAnybody() { return report }
        if pause > 0 { lastSilence = SystemClock.monotonic.now() }
        return nil
    }

    package static func ofAnybody() -> Report? { (try? Waiting.wait(block: false)) ?? nil }
}
