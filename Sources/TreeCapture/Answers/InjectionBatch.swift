internal import Kernel
internal import LinuxABI

/// Runs injected programs in several tasks side by side: all are started, then all are awaited.
///
/// On every path, also after an error of one of them, all tasks are home and stopped when this returns.
enum InjectionBatch {
    /// How many are under way at a time: enough to keep all processors busy, and few enough that each is looked at long
    /// before the bounded wait of its stub ends.
    static let width = 32
    /// Nanoseconds that the programs may take. They consist of system calls that do not wait.
    private static let patience: Int64 = 10_000_000_000

    /// Nanoseconds for which reports of other tasks are left where they are.
    private static let pauseForOthers: Int64 = 100_000_000

    /// - Preconditions: all tasks are ptrace-stopped, at most one in each address space, `width` of them at most.
    /// - Returns: what came of each, in the order of the jobs.
    /// - Throws: the first error, with the place of its job.
    static func run(_ jobs: [Injection.Job]) throws(BatchError) -> [Injection.Outcome] {
        var places: [Int32: Int] = [:]
        var injections: [Injection] = []
        // Also where this throws in the middle of it: a task whose injection goes away is brought home.
        defer { for injection in injections { injection.giveBack() } }
        for (index, job) in jobs.enumerated() {
            let injection = Injection(job)
            injections.append(injection)
            places[injection.task] = index
            do throws(SystemError) { try injection.begin() } catch { throw BatchError(index, error) }
        }
        var reports = TaskReports(injections.map(\.task))
        var open = injections.count
        let deadline = SystemClock.monotonic.now() + patience
        while open > 0 {
            var isQuiet = true
            while open > 0, let found = reports.take(pause: Self.pauseForOthers) {
                guard let place = places[found.task], injections[place].outcome == nil else { continue }
                isQuiet = false
                do throws(SystemError) { try injections[place].take(found.status) } catch { throw BatchError(place, error) }
                guard injections[place].outcome != nil else { continue }
                reports.dismiss(found.task)
                open -= 1
            }
            for (place, injection) in injections.enumerated() where injection.isWorking {
                injection.job.meanwhile?()
                do throws(SystemError) { try injection.lookForResults() } catch { throw BatchError(place, error) }
                if !injection.isWorking { isQuiet = false }
            }
            if !isQuiet { continue }
            if SystemClock.monotonic.now() > deadline {
                let place = injections.firstIndex { $0.outcome == nil } ?? 0
                throw BatchError(place, SystemError(Errno.ETIMEDOUT, in: "wait for the injected program"))
            }
            Waiting.pause(atMost: 20_000)
        }
        return injections.compactMap(\.outcome)
    }
}

/// The error of one of several jobs.
struct BatchError: Error {
    let place: Int
    let cause: SystemError

    init(_ place: Int, _ cause: SystemError) {
        self.place = place
        self.cause = cause
    }
}
