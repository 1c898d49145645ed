package import ArchState
package import CheckpointImage
internal import PidControl

/// An image that this host can run: every question has been asked, and nothing has been created yet.
///
/// Pure: image and host facts in; all findings at once out.
package struct ValidImage: Sendable {
    package let image: CheckpointImage
    package let facts: HostFacts
    package let options: RestartOptions
    /// Whether the tree gets a pid namespace of its own, with an init of ours. A root that is an init brings its own.
    package let newPidNamespace: Bool
    /// The checked processor state of each thread, in the image's order.
    package let states: [CPUState]
    /// What has to be done about the image's semaphore sets.
    package let semaphores: [SemaphorePlan]
    let creation: CreationPlan
    /// Whether this kernel's vdso is another one than the source kernel's, which is kept beside it.
    package let usesVdsoProxy: Bool
    package let time: TimePlan
    package let cgroups: CgroupPlacement
    /// What the threads use, and what the source host and this one offer.
    package let cpu: CPUCompatibility
    /// Where the launchpad goes.
    let hole: CommonHole

    /// Why not.
    package struct Refusal: Error, Sendable {
        package var findings: [HostFinding]
    }

    package init(_ image: CheckpointImage, on facts: HostFacts, options: RestartOptions) throws(Refusal) {
        var findings: [HostFinding] = []
        func find(_ object: String, _ reason: String, help: String = "") {
            let finding = HostFinding(object: object, reason: reason, help: help)
            if !findings.contains(finding) { findings.append(finding) }
        }
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
            find("memory", "there is no place below 4 GiB that no task uses", help: "a tree with 32-bit programs needs \(CommonHole.leastBelow4GiB >> 20) MiB there")
        }
        // An init makes the namespace itself.
        let namespace = !header.rootIsNamespaceInit && (options.newPidNamespace ?? Self.choosesNamespace(image, facts, options))
        Self.checkNumbers(image, facts, options, newNamespace: namespace, find)
        Self.checkFiles(image, facts, find)
        Self.checkTimerFiles(image, facts, find)
        Self.checkEpolls(image, facts, find)
        Self.checkPosixTimers(image, facts, find)
        cgroups = CgroupPlacement(image, facts.cgroups, options.cgroups, find)
        semaphores = image.semaphoreSets.compactMap { SemaphorePlan($0, facts, find) }
        var states: [CPUState?] = []
        var users: [CPUCompatibility.Thread] = []
        for thread in image.threads {
            do throws(ArchStateError) {
                // Nothing runs any more in a thread that has exited: a state that nobody asks for keeps the numbering.
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
            let lacking = thread.credentials.permitted & ~facts.ownCredentials.permitted
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
            header, model: options.time, bootID: facts.bootID, mayMakeNamespace: facts.mayMakeTimeNamespace)
        Self.checkNamespaces(image, facts, options: options, find)
        let highest = image.fileTables.compactMap { $0.descriptors.last?.number }.max() ?? 0
        let needed = UInt64(highest) + UInt64(image.openFiles.count + image.memoryObjects.count) + 64
            + UInt64(image.processes.count - image.fileTables.count > 0 ? image.processes.count : 0)
        if facts.hardLimits.count > 7, needed > facts.hardLimits[7] {
            find("descriptors", "\(needed) are needed, \(facts.hardLimits[7]) are allowed here", help: "raise the hard limit: ulimit -Hn \(needed)")
        }
        guard findings.isEmpty, let hole = found else { throw Refusal(findings: findings) }
        self.image = image
        self.hole = hole
        self.facts = facts
        self.options = options
        self.states = states.compactMap { $0 }
        newPidNamespace = namespace
    }

    /// Kinds and clocks that this tool does not know, and processor time of nobody.
    private static func checkRestartBlock(
        of thread: ImageThread, in image: CheckpointImage, _ find: (String, String, String) -> Void
    ) {
        let whom = "thread \(thread.tid)"
        let clock = Int32(bitPattern: thread.restartBlock.clock)
        switch thread.restartBlock.kind {
        case .poll, .futex: break
        case .nanosleep:
            // Real time, monotonic, boot time, their alarms, atomic time.
            if ![0, 1, 7, 8, 9, 11].contains(clock) { find(whom, "sleeps on clock \(clock), which is not known", "") }
        case .cpuNanosleep:
            // Bits 0 and 1: which time; bit 2: of a thread; above: the pid, inverted.
            let task = UInt32(bitPattern: ~(clock >> 3))
            if clock >= 0 || clock & 3 == 3 {
                find(whom, "sleeps on processor clock \(clock), which is not known", "")
            } else if task != 0
                && !image.holds(task, isThread: clock & 4 != 0, in: image.process(thread.process)?.pidNamespace ?? 0)
            {
                find(whom, "sleeps on the processor time of \(task), which is not in the image", "")
            }
        case .unknown, .UNRECOGNIZED:
            find(whom, "waits in a system call that cannot be taken up again", "")
        }
    }

    /// Files that are missing, or are not what they were.
    private static func checkFiles(
        _ image: CheckpointImage, _ facts: HostFacts, _ find: (String, String, String) -> Void
    ) {
        func check(_ identity: ImageFileIdentity, mapped: Bool, by whom: String) {
            let path = identity.path.asText
            guard let known = facts.files[path] else { return }
            switch known {
            case .failure(let missing):
                find(path, "\(missing.errno), needed by \(whom)", missing.help)
            case .success(let file):
                if file.mode & 0o170000 != identity.mode & 0o170000 {
                    find(path, "is another kind of file than at the checkpoint", "needed by \(whom)")
                } else if mapped {
                    let sameBuild = !identity.buildID.isEmpty && identity.buildID.asBytes == file.buildID
                    let same = file.size == identity.size && file.modified == identity.modified
                    if !same && !(sameBuild && file.size == identity.size) {
                        find(path, "has changed since the checkpoint, and \(whom) has it mapped", "put the old file back")
                    }
                } else if identity.mode & 0o170000 == 0o100000 && file.size < identity.size {
                    find(path, "is shorter than at the checkpoint (\(file.size) of \(identity.size) bytes), needed by \(whom)", "put the old file back")
                }
            }
        }
        var seen: Set<String> = []
        for process in image.processes where process.state != .zombie {
            let whom = "\(process.pid) \(process.command.asText)"
            check(process.executable, mapped: true, by: whom)
            for mapping in image.addressSpace(process.addressSpace)?.mappings ?? [] where mapping.kind == .file {
                if seen.insert(mapping.file.path.asText).inserted {
                    // A shared mapping is a view of a file that lives on: it may grow and change.
                    check(mapping.file, mapped: !mapping.shared, by: whom)
                }
            }
            for path in [process.workingDirectory.asText, process.rootDirectory.asText] {
                if case .failure(let missing)? = facts.files[path] {
                    find(path, "\(missing.errno), the directory that \(whom) is in", missing.isRefusal ? missing.help : "make it again")
                }
            }
        }
        for thread in image.threads where thread.hasOwnDirectories {
            let path = thread.ownDirectories.workingDirectory.asText
            if case .failure(let missing)? = facts.files[path] {
                find(path, "\(missing.errno), the directory that thread \(thread.tid) is in", "make it again")
            }
        }
        for file in image.openFiles where file.kind == .path {
            let number = image.fileTables.lazy.flatMap(\.descriptors).first { $0.file == file.id }?.number
            check(file.identity, mapped: false, by: "fd \(number ?? 0)")
        }
    }
}
