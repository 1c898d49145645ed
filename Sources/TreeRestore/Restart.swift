package import CheckpointImage
package import HostProbe
package import Kernel
package import RestorePlan

/// A restart: read, validate, plan, prepare, fork, load, park, finalise.
///
/// Until the point of no return nothing is left of a restart that fails, or whose process dies.
package struct Restart {
    package struct Options {
        /// Nil: standard input.
        package var path: String?
        /// What it is decrypted with, and whose signature it has to have.
        package var keys = SealKeys.none
        /// Where the images are that have what this one leaves out.
        package var parents = ParentSearch()
        /// By which another program is asked for the image; nil: it is here.
        package var served: DescriptorPair?
        /// What decides about the plan.
        package var plan = RestartOptions()
        /// What takes the place of open files of the tree.
        package var descriptors: [DescriptorChoice] = []
        package var staysStopped = false
        /// No process waits for the root: the inner half keeps only what a namespace needs.
        package var detaches = false
        /// Descriptors above 2 that are open for other purposes than this restart.
        package var ownDescriptors: Set<UInt32> = []
        /// For how many seconds no step of the tree may end before the restart is given up; 0: for ever.
        package var patience: UInt32 = 60
        /// For how many seconds numbers are waited for that processes have which have ended, and which are not reaped yet.
        package var patienceForPids: UInt32 = 10
        /// Where an order says whether the loaded tree runs; nil: it does.
        package var hold: HoldChannel?
        /// Called when that order has come, with the root's number here.
        package var isGoing: (Int32) throws(SystemError) -> Void = { _ in }
        /// With pages that come late: called when none is missing any more, by a process that may outlive this one.
        package var pagesAreThere: () -> Void = {}
        /// Nothing is created: signals end the command as usual.
        package var isOnlyShown = false

        package init(path: String?) { self.path = path }
    }

    let options: Options
    let watch: Watch
    /// Says what the user should know before, or while something is waited for.
    let tell: (String) -> Void
    /// How often it is tried again when numbers are lost, and how often one waits for them.
    static let mostAttempts = 20
    /// Nanoseconds for which it is tried again all the same: where other processes fork all the time, a small tree loses often and soon.
    private static let leastContest: Int64 = 10_000_000_000

    package init(
        _ options: Options, tell: @escaping (String) -> Void = { _ in },
        progress: @escaping (String, UInt64, UInt64) -> Void = { _, _, _ in }
    ) {
        self.tell = tell
        self.options = options
        let patience = options.patience == 0 ? nil : Int64(options.patience) * 1_000_000_000
        watch = Watch(takesSignals: !options.isOnlyShown, patience: patience, progress: progress)
    }

    /// The whole restart as text, one line per step. Creates nothing.
    package func dryRun() throws(RestoreError) -> [String] {
        let source = try PageSources.open(options.path, options.keys, options.parents, isLazy: options.plan.isLazy, served: options.served, watch)
        try warn(about: source)
        return try makePlan(for: source, isPrinted: true).lines()
    }

    package func run() throws(RestoreError) -> RunningTree {
        let begin = SystemClock.monotonic.now()
        SignalMask.blockChildSignals()
        Processes.raiseDescriptorLimit()
        watch.stage("read")
        let source = try PageSources.open(options.path, options.keys, options.parents, isLazy: options.plan.isLazy, served: options.served, watch)
        try warn(about: source)
        watch.stage("plan")
        var plan = try makePlan(for: source)
        tellAboutTerminal(source.image, plan.valid.facts)
        watch.stage("prepare")
        if plan.valid.facts.isInOwnUserNamespace {
            do throws(SystemError) { try UserNamespace.enter() } catch {
                throw RestoreError(cannot: "enter a user namespace", error, help: "be root, or have user namespaces allowed")
            }
        }
        // Refused without CAP_SYS_RESOURCE, where the plan does not count on it.
        Processes.raiseDescriptorLimit(to: plan.descriptorsNeeded)
        let terminal = try makeTerminal(plan)
        let given = try GivenDescriptors(plan.valid.options.given)
        var objects = try PreparedObjects(of: plan)
        var pages = PageFeeder(source, detaches: options.detaches, pagesAreThere: options.pagesAreThere, watch)
        try pages.fill(&objects)
        var attempts = 1
        // Numbers cannot be reserved: if one goes to another process meanwhile, others are chosen.
        while true {
            let lastPid = plan.valid.usesLastPid ? PidChoice.lastPid() : nil
            do throws(RestoreError) {
                // The objects live until the tree has them.
                var running = try attempt(plan, objects, &pages, terminal, given.numbers)
                objects.keepAll()
                running.note(notices(source.image, plan.valid) + objects.notices, since: begin)
                return running
            } catch {
                // The numbers of a new namespace are its own.
                let isOver = attempts > Self.mostAttempts && SystemClock.monotonic.now() - begin > Self.leastContest
                if plan.valid.facts.isInOwnUserNamespace || !error.isLostNumber || isOver || !pages.beginAgain() { throw error }
            }
            attempts += 1
            // Other processes shall not get the numbers that are wanted here.
            if let lastPid { try? LastPid().announce(lastPid + 1) }
            plan = try makePlanAgain(for: source)
        }
    }

    /// From the plan to the tree that runs. What a failed attempt made is gone.
    private func attempt(
        _ plan: RestorePlan, _ objects: borrowing PreparedObjects, _ pages: inout PageFeeder, _ terminal: (any TreeTerminal)?,
        _ given: [Int32]
    ) throws(RestoreError) -> RunningTree {
        let prepared = try PreparedRestart(plan)
        let inheritance = PreparedRestart.Inheritance(
            image: pages.number, detaches: options.detaches, terminal: (terminal as? RelayedTerminal)?.slave, given: given)
        watch.stage("fork")
        let forked = try prepared.fork(inheritance, watch)
        watch.stage("load")
        var loaded = try forked.load(&pages, watch)
        if let hold = options.hold {
            watch.stage("hold")
            try loaded.hold(hold, options.isGoing, watch)
        }
        let parked = try loaded.awaitParked(watch)
        try objects.seal(plan.valid.image.memoryObjects)
        objects.removeSegments(plan)
        watch.stage("finalise")
        return try parked.finalise(staysStopped: options.staysStopped, watch, terminal)
    }
}
