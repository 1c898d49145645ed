package import ArchState
package import CheckpointImage
internal import LinuxABI
internal import PidControl

/// An image that has been checked against this host. Nothing has been created yet.
///
/// Pure: takes the image and the facts about the host, and gives all findings at once.
package struct ValidImage: Sendable {
    package let image: CheckpointImage
    package let facts: HostFacts
    package let options: RestartOptions
    /// Whether crrestart makes a pid namespace for the tree, with an init. A root that is an init makes its own.
    package let newPidNamespace: Bool
    /// The checked processor state of each thread, in the image's order.
    package let states: [CPUState]
    /// The changes to the image's semaphore sets.
    package let semaphores: [SemaphorePlan]
    package let messageQueues: [MessageQueuePlan]
    package let sharedSegments: [SharedSegmentPlan]
    /// POSIX message queues that are gone.
    package let missingQueues: [ImageQueueFile]
    let creation: CreationPlan
    let threadCreation: ThreadCreation
    /// Whether the source kernel's vdso differs from this kernel's, and is kept beside it.
    package let usesVdsoProxy: Bool
    package let time: TimePlan
    package let cgroups: CgroupPlacement
    /// The processor features that threads use, and those that the source host and this one offer.
    package let cpu: CPUCompatibility
    /// The addresses of the launchpad and the scratch space.
    let hole: CommonHole
    /// The numbers of descriptors while the tree is built.
    let high: RestorePlan.HighDescriptors

    /// The reasons why this host cannot run the image.
    package struct Refusal: Error, Sendable {
        package var findings: [HostFinding]
    }

    /// What the user should know about open files, for instance that a descriptor of crrestart replaces one.
    package var objectNotices: [String] {
        let connected = image.openFiles.compactMap { file -> String? in
            guard options.given.choice(of: file.id)?.source == .connection, case .external(let one)? = file.object else { return nil }
            return ExternalConnection.notice(one)
        }
        return fileNotices + image.openFiles.compactMap(ObjectPlans.notice) + connected
    }
    /// Files that are not as they were, and that are used nevertheless.
    private let fileNotices: [String]
    /// Files that are cut to their length at the checkpoint.
    package let cuts: [FileCut]

    package init(_ image: CheckpointImage, on host: HostFacts, options: RestartOptions) throws(Refusal) {
        // A root that is an init is created with CLONE_NEWPID, so it needs no other init.
        let namespace = !image.rootIsNamespaceInit && (options.newPidNamespace ?? Self.choosesNamespace(image, host, options))
        let facts = Self.entersUserNamespace(image, host, newNamespace: namespace) ? host.inOwnUserNamespace() : host
        var findings = HostFindings()
        func find(_ object: String, _ reason: String, help: String = "") { findings.find(object, reason, help: help) }
        let header = image.header
        if header.architecture != facts.architecture {
            find("architecture", "the image is of \(header.architecture), this host is \(facts.architecture)", help: "restart it on a host of its kind")
        }
        if UInt64(header.pageSize) != facts.pageSize {
            find("page size", "the image has pages of \(header.pageSize) bytes, this host of \(facts.pageSize)")
        }
        if image.holds32BitTasks {
            if facts.compatVdso == nil {
                find("kernel", "the tree holds 32-bit programs, which this kernel does not run", help: "CONFIG_IA32_EMULATION and CONFIG_CHECKPOINT_RESTORE are needed")
            } else if image.addressSpaces.contains(where: \.is32Bit) && header.vdso32 != facts.compatVdso {
                find("vdso", "this kernel gives 32-bit programs another vdso than \(header.kernelRelease) did", help: "restart it on a host with the same kernel")
            }
        }
        let found = CommonHole(image, facts)
        if found == nil {
            let is32Bit = image.holds32BitTasks
            find(
                "memory", "there is no place\(is32Bit ? " below 4 GiB" : "") that no task uses",
                help: "a tree\(is32Bit ? " with 32-bit programs" : "") needs \(CommonHole.least >> 20) MiB there")
        }
        Self.checkNumbers(image, facts, options, newNamespace: namespace, find)
        FileCheck(facts, options.files).check(image, &findings)
        ImageLocks(image).check(facts, &findings)
        if options.files.moves.root != nil, facts.ownCredentials.effective & Capability.set(Capability.CAP_SYS_CHROOT) == 0 {
            find("--root", "EPERM: the directory cannot be made the root directory of the tree", help: "be root, or name the files by --path")
        }
        cuts = options.files.changed == .rollback ? FileCut.all(of: image, facts, &findings) : []
        MemoryCheck(facts).check(image, &findings)
        if options.isLazy { LateMemory.check(facts, &findings) }
        ObjectPlans.check(image, facts, options, &findings)
        let choice = namespace || image.rootIsNamespaceInit ? facts.numbers.choiceInNewNamespace : facts.numbers.choice
        UnixSocketPlan.checkSenders(image, usesLastPid: options.usesLastPid || choice == .lastPid, &findings)
        threadCreation = ThreadCreation(image)
        threadCreation.check(image, &findings)
        Self.checkPosixTimers(image, facts, find)
        Self.checkAttributes(image, facts, find)
        CallConfinementPlan.check(image, facts, &findings)
        cgroups = CgroupPlacement(image, facts.cgroups, options.cgroups, find)
        let credentials = image.semaphoreSets.isEmpty ? [] : image.threads.map(\.credentials)
        semaphores = image.semaphoreSets.compactMap { SemaphorePlan($0, facts, by: credentials, find) }
        for set in image.semaphoreSets { SemaphorePlan.checkRights(of: set, image, facts, find) }
        missingQueues = QueueFilePlan.missing(image, facts)
        let segments = image.memoryObjects.filter(\.hasSegment)
        let segmentUsers = segments.isEmpty ? [] : image.threads.map(\.credentials)
        sharedSegments = segments.compactMap { SharedSegmentPlan($0, facts, by: segmentUsers, find) }
        messageQueues = image.messageQueues.compactMap { MessageQueuePlan($0, facts, find) }
        var states: [CPUState?] = []
        var users: [CPUCompatibility.Thread] = []
        for thread in image.threads {
            do throws(ArchStateError) {
                // A thread that has exited needs no processor state; an empty one keeps the positions of the others right.
                if thread.hasExited_p {
                    states.append(CPUState(generalRegisters: X86GeneralRegisters()))
                    continue
                }
                let records = thread.cpu.map { CPURecord(feature: $0.feature, body: $0.body.asBytes) }
                let state = try CPUState(records: records).validated()
                states.append(state)
                let name = "\(thread.tid) \(thread.name.asText)"
                users.append(CPUCompatibility.Thread(name: name, features: state.features))
            } catch {
                states.append(nil)
                find("thread \(thread.tid)", "its processor state is refused: \(error)", help: "the image was damaged or made up")
            }
            if thread.hasRestartBlock { Self.checkRestartBlock(of: thread, in: image, find) }
            if facts.isInOwnUserNamespace { Self.checkUsers(of: thread, facts, find) }
            let lacking = thread.credentials.permitted & ~host.ownCredentials.permitted
            if lacking != 0 {
                let numbers = (0..<64).filter { lacking >> UInt64($0) & 1 != 0 }.map(String.init).joined(separator: ", ")
                find("thread \(thread.tid)", "has capabilities that crrestart lacks: \(numbers)", help: "be root, with those of capabilities(7) by these numbers")
            }
        }
        usesVdsoProxy = Self.needsVdsoProxy(image, states, facts, options, find)
        cpu = CPUCompatibility(
            inUse: [], offeredThere: CPUOffer(header), offeredHere: facts.cpu, threads: users)
        if cpu.isRefused(strict: options.isStrictAboutCPU) {
            let help =
                if case .cannotRun = cpu.verdict { "restart it on a host that has it" } else { "--cpu lenient lets it run" }
            for sentence in cpu.sentences { find("processor", sentence, help: help) }
        }
        for process in image.processes {
            for limit in process.limits {
                let resource = Int(limit.resource)
                guard resource < facts.hardLimits.count, !facts.mayRaiseLimits else { continue }
                if limit.hard > facts.hardLimits[resource] {
                    find(
                        "\(process.pid) \(process.command.asText)",
                        "its limit \(resource) is \(limit.hard), ours is \(facts.hardLimits[resource])",
                        help: "CAP_SYS_RESOURCE is needed to raise it; ulimit -H shows ours")
                }
            }
        }
        creation = CreationPlan(image, spare: facts.spareNumbers)
        for finding in creation.findings { find("process \(finding.pid)", finding.reason) }
        time = TimePlan(
            header, offsets: image.clockOffsets, model: options.time, bootID: facts.bootID, mayMakeNamespace: facts.mayMakeTimeNamespace)
        if time.isBeyondClocks(at: facts.now) {
            find("clocks", "the tree's clocks cannot be set so far from this host's", help: "a kernel takes 0 to 146 years; the image was damaged or made up, or the host's real-time clock is wrong")
        }
        Self.checkNamespaces(image, facts, options: options, find)
        let descriptors = RestorePlan.HighDescriptors(image, facts, options, &findings)
        guard findings.all.isEmpty, let hole = found, let high = descriptors else { throw Refusal(findings: findings.all) }
        self.high = high
        fileNotices = findings.notes.map(\.line)
        self.image = image
        self.hole = hole
        self.facts = facts
        self.options = options
        self.states = states.compactMap { $0 }
        newPidNamespace = namespace
    }

    /// Finds restart blocks of unknown kinds or on unknown clocks, and sleeps on the processor time of a task that does not
    /// exist.
    private static func checkRestartBlock(
        of thread: ImageThread, in image: CheckpointImage, _ find: (String, String, String) -> Void
    ) {
        let subject = "thread \(thread.tid)"
        let clock = Int32(bitPattern: thread.restartBlock.clock)
        switch thread.restartBlock.kind {
        case .poll, .futex: break
        case .nanosleep:
            // Real time, monotonic, boot time, their alarms, atomic time.
            if ![0, 1, 7, 8, 9, 11].contains(clock) { find(subject, "sleeps on clock \(clock), which is not known", "") }
        case .cpuNanosleep:
            // Bits 0 and 1: which time; bit 2: of a thread; above: the pid, inverted.
            let task = UInt32(bitPattern: ~(clock >> 3))
            if clock >= 0 || clock & 3 == 3 {
                find(subject, "sleeps on processor clock \(clock), which is not known", "")
            } else if task != 0
                && !image.holds(task, isThread: clock & 4 != 0, in: image.process(thread.process).map(image.pidNamespace) ?? 0)
            {
                find(subject, "sleeps on the processor time of \(task), which is not in the image", "")
            }
        case .unknown, .UNRECOGNIZED:
            find(subject, "waits in a system call that cannot be taken up again", "")
        }
    }
}
