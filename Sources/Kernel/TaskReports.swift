internal import LinuxABI

/// Takes reports of tasks that are awaited, each in turn.
///
/// wait4(2) for any task walks over all traced tasks, also those without a report: with thousands of tasks each report
/// would cost more than the one before. wait4(2) for one task does not walk. Reports of tasks that are not awaited
/// (a child whose parent has not reported its fork yet, a stopped task that was killed) are asked for when no awaited
/// task has one.
package struct TaskReports {
    package typealias Report = (task: Int32, status: WaitStatus, raw: Int32)

    private var awaited: [Int32]
    private var next = 0
    private var silent = 0
    /// When wait4(2) for any task last found no report, on the monotonic clock.
    private var lastSilence: Int64 = 0

    package init(_ awaited: [Int32]) { self.awaited = awaited }

    package mutating func await(_ task: Int32) { awaited.append(task) }

    /// Awaits a task no longer. Takes constant time for the one that reported last.
    package mutating func dismiss(_ task: Int32) {
        if next >= awaited.count || awaited[next] != task {
            guard let place = awaited.lastIndex(of: task) else { return }
            awaited.swapAt(place, awaited.count - 1)
        } else {
            awaited.swapAt(next, awaited.count - 1)
        }
        awaited.removeLast()
    }

    /// The next report; nil: there is none now. A task that ended without a report counts as dead.
    ///
    /// - Parameter pause: nanoseconds for which wait4(2) for any task is not called again once it found no report.
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
