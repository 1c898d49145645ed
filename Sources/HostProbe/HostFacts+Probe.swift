internal import ArchState
package import CheckpointImage
internal import Kernel
internal import LinuxABI
package import RestorePlan

extension HostFacts {
    /// Asks this host what a restart of `image` needs to know. Creates nothing.
    ///
    /// - Parameter tree: the tree that the image is of, if it is to end before the restart.
    package static func probe(for image: CheckpointImage, options: RestartOptions, endOf tree: LivingTree? = nil) -> HostFacts {
        var facts = HostFacts()
        facts.architecture = KernelIdentity.current().machine
        facts.pageSize = Kernel.pageSize
        facts.probeProcessor()
        facts.probe32Bit(for: image)
        facts.probeSelf()
        facts.probeFiles(of: image, options.files)
        facts.probeLocks(of: image, endOf: tree)
        facts.mayRaiseLimits = Capabilities.currentEffective & 1 << 24 != 0  // CAP_SYS_RESOURCE
        facts.mayMakeNamespaces = Capabilities.currentEffective & 1 << 21 != 0  // CAP_SYS_ADMIN
        facts.knowsTimeNamespaces = TimeNamespace.isKnown
        facts.knownCapabilities = Capabilities.known
        if !facts.mayMakeNamespaces {
            facts.ownUserNamespace = UserNamespace.refusal().map { .failure(MissingFile(errno: $0.name)) } ?? .success(())
        }
        facts.bootID = (try? Kernel.bootID()) ?? ""
        facts.now = TimePlan.Instant(
            realtime: SystemClock.realtime.now(), monotonic: SystemClock.monotonic.now(), boottime: SystemClock.boottime.now())
        facts.mayMakeTimeNamespace = TimeNamespace.canBeMade
        facts.probeNumbers(of: image, options: options, endOf: tree)
        facts.probeTerminal()
        facts.probeObjects(of: image, options: options, endOf: tree)
        facts.probeCgroups(of: image, options: options.cgroups)
        facts.ownMemory.hugePages = tree == nil ? MemoryCalls.pools : nil
        if options.isLazy { facts.faultRefusal = PageFaults.refusal()?.name }
        if let tree { facts.foresee(endOf: tree) }
        return facts
    }

    /// What has the names that sockets of the image want. A tree that was killed a moment ago can have left garbage, which has them
    /// until the kernel has found it.
    private mutating func probeSockets(of image: CheckpointImage) {
        let wanted: [[UInt8]] = image.openFiles.compactMap { file in
            guard case .unix(let socket)? = file.object, !socket.address.isEmpty else { return nil }
            return [UInt8(truncatingIfNeeded: socket.type)] + socket.shownInTable
        }
        let connects = image.openFiles.contains { if case .external(let one)? = $0.object { one.hasConnection } else { false } }
        if wanted.isEmpty && !connects { return }
        boundSockets = UnixSocketTable.boundInodes()
        socketNames = UnixSocketTable.names()
        for _ in 0..<50 where wanted.contains(where: socketNames.contains) {
            UnixSocketTable.collectGarbage()
            boundSockets = UnixSocketTable.boundInodes()
            socketNames = UnixSocketTable.names()
        }
    }

    /// What kernel objects of the image need.
    private mutating func probeObjects(of image: CheckpointImage, options: RestartOptions, endOf tree: LivingTree?) {
        watchable = (0...2).map { isWatchable($0) } + [true]
        // The image came on standard input: the terminal stands in, or /dev/null, which cannot be watched.
        if options.imageIsStandardInput { watchable[0] = (try? Descriptor.open("/dev/tty", 2)) != nil }
        let readsMessages = image.openFiles.contains { if case .device(let device)? = $0.object { device.readMessages != 0 } else { false } }
        if readsMessages { kernelMessages = (try? KernelLog.sequenceNumbers()) ?? [] }
        // Those of a tree that still lives will be gone with it.
        if tree == nil { probeSockets(of: image) }
        probeTCP(of: image, endOf: tree)
        probeNetwork(of: image, endOf: tree)
        mayChooseTimerIDs = PosixTimerState.mayChooseID()
        maySetExpirations = TimerFileState.maySetExpirations()
        mayNumberWatches = InotifyState.mayChooseNumber()
        mostQueuedEvents = (try? InotifyState.mostQueuedEvents()) ?? 16384
        mayWakeSystem = Capabilities.currentEffective & 1 << 35 != 0  // CAP_WAKE_ALARM
        probeMessageQueues(of: image)
        probeSegments(of: image, endOf: tree)
        probeQueues(of: image)
        guard !image.semaphoreSets.isEmpty else { return }
        mayChooseSemaphoreNumbers = SemaphoreSets.mayChooseNumber()
        for var set in (try? SemaphoreSetState.all()) ?? [] {
            let isWanted = image.semaphoreSets.contains { $0.number == UInt32(set.number) }
            if isWanted { try? set.readValues() }
            var changers = set.changers.map { UInt32($0) }
            var values = set.values
            if tree != nil, let saved = image.semaphoreSets.first(where: { $0.number == UInt32(set.number) }) {
                SemaphorePlan.foresee(endOf: saved, &values, &changers)
            }
            var names: [UInt32: String] = [:]
            for pid in Set(changers) where pid != 0 {
                if tree?.tasks.contains(Int32(bitPattern: pid)) == true { continue }
                if let stat = try? ProcessStat(of: Int32(pid)), !stat.isZombie { names[pid] = printable(stat.comm) }
            }
            semaphoreSets[UInt32(set.number)] = SemaphoreSet(
                key: set.key, values: values, changers: changers, names: names,
                rights: SemaphoreSet.Rights(
                    owner: set.owner, creator: set.creator, group: set.group, creatorGroup: set.creatorGroup, mode: set.mode))
        }
    }

    private mutating func probeMessageQueues(of image: CheckpointImage) {
        if image.messageQueues.isEmpty { return }
        messageQueues.mayChooseNumbers = Kernel.MessageQueues.mayChooseNumber()
        let limits = Kernel.MessageQueues.limits()
        messageQueues.longestMessage = limits.message
        messageQueues.largestQueue = limits.queue
        for queue in (try? MessageQueueState.all()) ?? [] { messageQueues.keys[UInt32(bitPattern: queue.number)] = queue.key }
    }

    /// The terminal that takes the place of one outside of the tree.
    private mutating func probeTerminal() {
        if let number = (Int32(0)...2).first(where: { Terminal.isTerminal($0) }) {
            terminal = UInt32(number)
            terminalOpensAnew = Terminal.opensAnew(number)
        } else if let controlling = try? Descriptor.open("/dev/tty", Int32(OpenFlag.O_RDWR | OpenFlag.O_NOCTTY)) {
            terminal = 3
            terminalOpensAnew = Terminal.opensAnew(controlling.number)
        }
    }

    private mutating func probeProcessor() {
        xsaveLayout = HostCPU.layout
        cpu = HostCPU.offer
        if let found = (try? Vdso.current()) ?? nil { vdso = ImageVdso(found, code: found.codeBytes()) }
    }

    /// What this kernel gives to 32-bit programs. Asked only where it matters: it takes a child.
    private mutating func probe32Bit(for image: CheckpointImage) {
        guard image.holds32BitTasks, let found = CompatVdso.current, let offset = found.callOffset else { return }
        compatVdso = ImageVdso(found)
        compatCallOffset = offset
    }

    /// What a task of ours starts with.
    private mutating func probeSelf() {
        let maps = (try? MemoryMap.plain(of: Processes.ownPid)) ?? []
        ownMappings = maps.map { Range(start: $0.start, end: $0.end) }.filter { $0.start < 0x7fff_ffff_f000 }
        vdsoParts = maps.filter { map in
            let name = String(decoding: map.path, as: UTF8.self)
            return name == "[vvar]" || name == "[vvar_vclock]" || name == "[vdso]"
        }.map { Range(start: $0.start, end: $0.end) }
        ownRseq = Processes.ownRestartableSequence
        mostDescriptors = DescriptorTable.mostNumbers
        hardLimits = Processes.resourceLimits().map(\.hard)
        ownOomScoreAdjustment = (try? memoryKillAdjustment(of: Processes.ownPid)) ?? 0
        ownTimerSlack = TaskAttributes.ownTimerSlack
        ownSpeculation = TaskAttributes.ownSpeculation
        mayFaultProcessorID = TaskAttributes.mayFaultProcessorID
        memoryBarriers = TaskAttributes.memoryBarriers
        if let login = TaskAttributes.loginUser(of: Processes.ownPid) {
            hasLoginUsers = true
            ownLoginUser = login &+ 1
            // Who has none may take one; to change it, or to have none again, takes CAP_AUDIT_CONTROL.
            mayChangeLoginUser = ownLoginUser == 0 || Capabilities.currentEffective & 1 << 30 != 0
        }
        if let status = try? TaskStatus(of: Processes.ownPid) {
            ownCredentials = ImageCredentials(status)
            ownCredentials.secureBits = Processes.secureBits
        }
        ownMemory.coreFilter = try? coreDumpFilter(of: Processes.ownPid)
        ownMemory.hugePagesDisabled = Processes.hugePagesDisabled
        ownMemory.mergesPages = Processes.mergesPages
        ownMemory.knowsGuards = MemoryCalls.knowsGuards
        ownMemory.knowsSeals = MemoryCalls.knowsSeals
        ownMemory.mostMappings = MemoryCalls.mostMappings
        ownMemory.hugePageSize = MemoryCalls.hugePageSize
        ownMemory.givesMemoryBack = MemoryCalls.givesMemoryBack
        if let scheduling = try? ImageScheduling(of: 0) { ownScheduling = scheduling }
    }
}
