internal import ArchState
package import CheckpointImage
internal import Kernel
internal import LinuxABI
package import RestorePlan

extension HostFacts {
    /// Asks this host what a restart of `image` needs to know. Creates nothing.
    package static func probe(for image: CheckpointImage, options: RestartOptions) -> HostFacts {
        var facts = HostFacts()
        facts.architecture = KernelIdentity.current().machine
        facts.pageSize = Kernel.pageSize
        facts.probeProcessor()
        facts.probe32Bit(for: image)
        facts.probeFiles(of: image)
        facts.probeSelf()
        facts.mayRaiseLimits = Capabilities.currentEffective & 1 << 24 != 0  // CAP_SYS_RESOURCE
        facts.mayMakeNamespaces = Capabilities.currentEffective & 1 << 21 != 0  // CAP_SYS_ADMIN
        facts.bootID = (try? Kernel.bootID()) ?? ""
        facts.mayMakeTimeNamespace = TimeNamespace.canBeMade
        facts.probeNumbers(of: image, options: options)
        facts.terminals = (0...2).map { Terminal.isTerminal($0) }
        facts.probeObjects(of: image, options: options)
        facts.probeCgroups(of: image, options: options.cgroups)
        return facts
    }

    /// What kernel objects of the image need.
    private mutating func probeObjects(of image: CheckpointImage, options: RestartOptions) {
        watchable = (0...2).map { isWatchable($0) }
        // The image came on standard input: the terminal stands in, or /dev/null, which cannot be watched.
        if options.imageIsStandardInput { watchable[0] = (try? Descriptor.open("/dev/tty", 2)) != nil }
        mayChooseTimerIDs = PosixTimerState.mayChooseID()
        maySetExpirations = TimerFileState.maySetExpirations()
        mayWakeSystem = Capabilities.currentEffective & 1 << 35 != 0  // CAP_WAKE_ALARM
        guard !image.semaphoreSets.isEmpty else { return }
        mayChooseSemaphoreNumbers = SemaphoreSets.mayChooseNumber()
        for var set in (try? SemaphoreSetState.all()) ?? [] {
            let isWanted = image.semaphoreSets.contains { $0.number == UInt32(set.number) }
            if isWanted { try? set.readValues() }
            let changers = set.changers.map { UInt32($0) }
            var names: [UInt32: String] = [:]
            for pid in Set(changers) where pid != 0 {
                if let stat = try? ProcessStat(of: Int32(pid)) { names[pid] = printable(stat.comm) }
            }
            semaphoreSets[UInt32(set.number)] = SemaphoreSet(
                key: set.key, values: set.values, changers: changers, names: names)
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
        hardLimits = Processes.resourceLimits().map(\.hard)
        ownOomScoreAdjustment = (try? memoryKillAdjustment(of: Processes.ownPid)) ?? 0
        if let status = try? TaskStatus(of: Processes.ownPid) {
            ownCredentials = ImageCredentials(status)
            ownCredentials.secureBits = Processes.secureBits
        }
        if let scheduling = try? ImageScheduling(of: 0) { ownScheduling = scheduling }
    }
}
