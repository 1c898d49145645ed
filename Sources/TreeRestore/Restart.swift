internal import ArchState
internal import CheckpointImage
package import Kernel
package import RestorePlan
internal import StepProgram

/// A restart: read, validate, plan, prepare, fork, load, park, finalise.
///
/// Until the point of no return nothing is left of a restart that fails, or whose process dies.
package final class Restart {
    package struct Options: Sendable {
        /// Nil: standard input.
        package var path: String?
        /// What decides about the plan.
        package var plan = RestartOptions()
        package var staysStopped = false
        /// Nobody waits for the root: the inner half keeps only what a namespace needs.
        package var detaches = false
        /// Nothing is created: signals end the command as usual.
        package var isOnlyShown = false

        package init(path: String?) { self.path = path }
    }

    /// What runs when it has succeeded.
    package struct Running: Sendable {
        /// As seen from here.
        package var rootPid: Int32
        package var tasks: Int
        package var processes: Int
        package var nanoseconds: Int64
        package var notices: [String]
        /// When the tree was stopped, on the clocks of the host it was on, and when it was let go, on ours.
        package var stopped: TimePlan.Instant
        package var released: TimePlan.Instant
        /// The tree is in our process group: what the terminal sends reaches it by itself.
        package var sharesProcessGroup: Bool
        /// Old and new numbers, where the tree got new ones.
        package var renumbering: Renumbering?
        /// Old numbers that are known to be in the memory of its tasks still.
        package var kept: [KeptNumber]
        fileprivate var status: Int32
        fileprivate var inner: Int32
    }

    let options: Options
    let progress: (String, UInt64, UInt64) -> Void
    /// SIGHUP, SIGINT, SIGQUIT and SIGTERM undo a restart until the point of no return.
    private let interrupts: SignalQueue
    /// All that are passed on to the root once it runs: until then they wait. SIGHUP, SIGINT, SIGQUIT, SIGUSR1,
    /// SIGUSR2, SIGTERM, SIGCONT, SIGTSTP, SIGWINCH.
    private static let forwarded: [Int32] = [1, 2, 3, 10, 12, 15, 18, 20, 28]
    private var begin: Int64 = 0
    /// Of a stream: they have been given to tasks, and cannot be read again.
    private var pagesAreGone = false

    package init(
        _ options: Options, progress: @escaping (String, UInt64, UInt64) -> Void = { _, _, _ in }
    ) {
        self.options = options
        self.progress = progress
        _ = SignalQueue(options.isOnlyShown ? [] : Self.forwarded)
        interrupts = SignalQueue(options.isOnlyShown ? [] : [1, 2, 3, 15])
    }

    func isInterrupted() -> Bool { interrupts.next(within: 0) != nil }

    /// The whole restart as text, one line per step. Creates nothing.
    package func dryRun() throws(RestoreError) -> [String] {
        let input = try ImageInput(path: options.path)
        var reader: SequentialImageReader<StreamSource>?
        let plan = try makePlan(readImage(input, &reader), isStream: input.size == nil)
        return plan.lines()
    }

    package func run() throws(RestoreError) -> Running {
        begin = SystemClock.monotonic.now()
        SignalMask.blockChildSignals()
        Processes.raiseDescriptorLimit()
        progress("read", 0, 0)
        let input = try ImageInput(path: options.path)
        var reader: SequentialImageReader<StreamSource>?
        let image = try readImage(input, &reader)
        progress("plan", 0, 0)
        var plan = try makePlan(image, isStream: reader != nil)

        progress("prepare", 0, 0)
        let objects = try PreparedObjects(image.memoryObjects)
        var pending: ImagePageDescription?
        try fillObjects(objects, image, input, &reader, &pending)
        // Numbers cannot be reserved: if one goes to somebody else meanwhile, others are chosen.
        for _ in 0..<Self.mostAttempts {
            let lastPid = plan.valid.usesLastPid ? PidChoice.lastPid() : nil
            do throws(RestoreError) { return try attempt(plan, input, objects, &reader, &pending) } catch {
                if !error.isLostNumber || pagesAreGone { throw error }
            }
            // Others shall not get the numbers that are wanted here.
            if let lastPid { try? LastPid().announce(lastPid + 1) }
            plan = try makePlanAgain(image, isStream: reader != nil)
        }
        return try attempt(plan, input, objects, &reader, &pending)
    }

    /// From the plan to the tree that runs. What a failed attempt made is gone.
    private func attempt(
        _ plan: RestorePlan, _ input: ImageInput, _ objects: PreparedObjects,
        _ reader: inout SequentialImageReader<StreamSource>?, _ pending: inout ImagePageDescription?
    ) throws(RestoreError) -> Running {
        let image = plan.valid.image
        let clocks = try PreparedClocks(plan.valid.time)
        if plan.valid.joinsClocksFirst { try clocks.set(for: plan.valid.time) }
        let memory = try installLaunchpad(plan)
        let guardian = try pipe()
        let status = try pipe()
        // The ends that stay here; the others are closed by the fork.
        var isRunning = false
        defer { if !isRunning { for end in [guardian.write, status.read] { DescriptorTable.close(end) } } }

        progress("fork", 0, 0)
        let inner = try forkInner(plan, memory, guardian, status, input, objects, clocks.namespace)
        let tree = ForkedTree(plan: plan, memory: memory, inner: inner)
        do throws(SystemError) {
            try Trace.seize(
                inner,
                options: Trace.Option.exitKill | Trace.Option.clone | Trace.Option.fork | Trace.Option.vfork)
        } catch { throw RestoreError(cannot: "seize the inner half", error) }
        Channel.send([1], over: guardian.write)
        try tree.pump(isInterrupted) { tree.processesAreBorn }

        progress("load", 0, 0)
        if reader != nil {
            try tree.pump(isInterrupted) { tree.word(.mapped) >= UInt32(plan.processCount) }
            pagesAreGone = true
            try pushPages(tree, image, &reader, &pending)
            tree.publish(.pages, 1)
        } else {
            try checkPages(tree, image, input)
        }
        try tree.pump(isInterrupted) { tree.word(.loaded) >= UInt32(plan.processCount) && tree.plannedDeathsAreOver }
        let release = try ReleaseInstant(tree, clocks)
        tree.publish(.go, 1)

        progress("park", 0, 0)
        let all = UInt32(plan.tasks.count - plan.zombieCount)
        try tree.pump(isInterrupted) { tree.word(.parked) >= all && tree.allAreBorn }

        progress("finalise", 0, 0)
        let kept = KeptNumber.all(in: tree)
        let finaliser = try Finaliser(tree, staysStopped: options.staysStopped, release: release)
        try finaliser.run(isInterrupted)
        isRunning = true
        let anew = finaliser.beginAnew.map {
            "thread \($0) begins its call anew with its whole timeout: too many threads wait that way"
        }
        return Running(
            rootPid: tree.hostPids[0], tasks: plan.tasks.count, processes: image.processes.count,
            nanoseconds: SystemClock.monotonic.now() - begin, notices: notices(image, plan.valid) + anew,
            stopped: plan.valid.time.stopped, released: release.instant,
            sharesProcessGroup: image.root.group == image.header.outsideGroup, renumbering: plan.renumbering, kept: kept,
            status: status.read, inner: inner)
    }

    /// Waits for the root, passing signals on. Nil: its status was not told.
    package func wait(for running: Running) -> WaitStatus? {
        // Blocked before anything can send it: SIGIO (29) says that the root's status is there.
        let queue = SignalQueue(Self.forwarded + [17, 29])
        let root = try? ProcessHandle(running.rootPid)
        Channel.announce(running.status)
        while true {
            if let message = Channel.poll(running.status) {
                guard message.count == 4 else { return nil }
                let raw = message.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                return WaitStatus(raw: Int32(bitPattern: raw))
            }
            guard let found = queue.next(within: 60_000_000_000) else { continue }
            switch found.signal {
            case 17: while (try? Waiting.wait(block: false)) != nil {}
            case 29: break
            default:
                let isKnown = found.sender == 0 && running.sharesProcessGroup
                if !isKnown { try? root?.send(found.signal) }
                // Ctrl-Z: the root first, then the command that stands for it; SIGCONT comes the same way.
                if found.signal == 20 { Processes.stopHere() }
            }
        }
    }

    private func readImage(_ input: ImageInput, _ reader: inout SequentialImageReader<StreamSource>?)
        throws(RestoreError) -> CheckpointImage
    {
        do throws(ImageError) {
            if let size = input.size { return try CheckpointImage(reading: FileSource(input: input, size: size)) }
            var stream = SequentialImageReader(StreamSource(input: input))
            let image = try stream.readMetadata()
            reader = stream
            return image
        } catch { throw RestoreError(error, image: input.name) }
    }

    private func pipe() throws(RestoreError) -> (read: Int32, write: Int32) {
        do throws(SystemError) { return try DescriptorTable.pipe() } catch {
            throw RestoreError(cannot: "make a pipe", error)
        }
    }

    private func installLaunchpad(_ plan: RestorePlan) throws(RestoreError) -> SharedMemory {
        let launchpad = plan.launchpad
        guard plan.hasRoom else {
            throw RestoreError("cannot map the launchpad: ENOMEM (its \(launchpad.size >> 20) MiB do not fit where no task has anything)")
        }
        do throws(SystemError) {
            let memory = try SharedMemory(at: launchpad.base, size: launchpad.size)
            memory.write(launchpad.encoded(), at: launchpad.dataStart)
            try memory.installStepLoop(at: launchpad.base)
            return memory
        } catch { throw RestoreError(cannot: "map the launchpad", error) }
    }

    private func forkInner(
        _ plan: RestorePlan, _ memory: borrowing SharedMemory, _ guardian: (read: Int32, write: Int32),
        _ status: (read: Int32, write: Int32), _ input: ImageInput, _ objects: PreparedObjects,
        _ timeNamespace: Int32?
    ) throws(RestoreError) -> Int32 {
        let namespaces = plan.valid.newPidNamespace ? Processes.newPidNamespace | Processes.newMountNamespace : 0
        do throws(SystemError) {
            let inner = try Processes.fork(namespaces: namespaces, at: .cloneInner)
            guard inner == 0 else {
                DescriptorTable.close(guardian.read)
                DescriptorTable.close(status.write)
                return inner
            }
            DescriptorTable.close(guardian.write)
            DescriptorTable.close(status.read)
            InnerHalf(
                plan: plan, memory: memory.reference(), timeNamespace: timeNamespace, guardian: guardian.read, status: status.write,
                imageDescriptor: input.descriptor, objects: objects.descriptors,
                staysForOrphans: plan.valid.newPidNamespace, detaches: options.detaches
            ).run()
        } catch { throw RestoreError(cannot: "fork the inner half", error, help: "a new pid namespace needs CAP_SYS_ADMIN") }
    }
}
