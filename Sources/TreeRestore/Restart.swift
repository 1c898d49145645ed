internal import CheckpointImage
internal import Kernel
package import RestorePlan

/// A restart: read, validate, plan, prepare, fork, load, park, finalise.
///
/// Until the point of no return nothing is left of a restart that fails, or whose process dies.
package struct Restart {
    package struct Options: Sendable {
        /// Nil: standard input.
        package var path: String?
        /// What decides about the plan.
        package var plan = RestartOptions()
        package var staysStopped = false
        /// No process waits for the root: the inner half keeps only what a namespace needs.
        package var detaches = false
        /// Nothing is created: signals end the command as usual.
        package var isOnlyShown = false

        package init(path: String?) { self.path = path }
    }

    let options: Options
    let watch: Watch
    /// How often it is tried again when numbers are lost, and how often one waits for them.
    static let mostAttempts = 20

    package init(
        _ options: Options, progress: @escaping (String, UInt64, UInt64) -> Void = { _, _, _ in }
    ) {
        self.options = options
        watch = Watch(takesSignals: !options.isOnlyShown, progress: progress)
    }

    /// The whole restart as text, one line per step. Creates nothing.
    package func dryRun() throws(RestoreError) -> [String] {
        try makePlan(for: PageSources.open(options.path)).lines()
    }

    package func run() throws(RestoreError) -> RunningTree {
        let begin = SystemClock.monotonic.now()
        SignalMask.blockChildSignals()
        Processes.raiseDescriptorLimit()
        watch.stage("read")
        let source = try PageSources.open(options.path)
        watch.stage("plan")
        var plan = try makePlan(for: source)
        watch.stage("prepare")
        let objects = try PreparedObjects(source.image.memoryObjects)
        var pages = PageFeeder(source, watch)
        try pages.fill(objects)
        var attempts = 1
        // Numbers cannot be reserved: if one goes to another process meanwhile, others are chosen.
        while true {
            let lastPid = plan.valid.usesLastPid ? PidChoice.lastPid() : nil
            do throws(RestoreError) {
                var running = try attempt(plan, objects, &pages)
                running.note(notices(source.image, plan.valid), since: begin)
                return running
            } catch {
                if !error.isLostNumber || attempts > Self.mostAttempts || !pages.beginAgain() { throw error }
            }
            attempts += 1
            // Other processes shall not get the numbers that are wanted here.
            if let lastPid { try? LastPid().announce(lastPid + 1) }
            plan = try makePlanAgain(for: source)
        }
    }

    /// From the plan to the tree that runs. What a failed attempt made is gone.
    private func attempt(
        _ plan: RestorePlan, _ objects: borrowing PreparedObjects, _ pages: inout PageFeeder
    ) throws(RestoreError) -> RunningTree {
        let prepared = try PreparedRestart(plan)
        let inheritance = PreparedRestart.Inheritance(
            image: pages.number, objects: objects.descriptors, detaches: options.detaches)
        watch.stage("fork")
        let forked = try prepared.fork(inheritance, watch)
        watch.stage("load")
        let loaded = try forked.load(&pages, watch)
        let parked = try loaded.awaitParked(watch)
        watch.stage("finalise")
        return try parked.finalise(staysStopped: options.staysStopped, watch)
    }
}
