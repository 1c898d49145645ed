import CheckpointImage
import LinuxABI
import PidControl
import StepProgram

extension PlanBuilder {
    /// Something that tasks wait for while the tree is created. Each has its own word in the launchpad's data, so that a
    /// change wakes only the tasks that wait for it.
    enum Meeting: Hashable {
        /// A group exists.
        case made(group: UInt32)
        /// The number of processes that have joined a group.
        case joined(group: UInt32)
        /// A task is a subreaper.
        case adopting(UInt32)
        /// The number of reaped placeholders whose children a task has adopted.
        case adopted(UInt32)
        /// The number of adopters directly below a task that have stopped being subreapers.
        case innerDone(UInt32)
        /// The number of processes that share an object and do not need it as it was at their creation any more.
        case ready(SharedOwners.Object)
        case memoryIsLoaded(SharedOwners.Object)
        /// The number of processes with this file table, without the owner, that have joined the tree's clocks.
        case joinedClocks(SharedOwners.Object)
        /// The number of processes with this file table, without the owner, that have created their threads.
        case madeThreads(SharedOwners.Object)
        /// The number of processes with this memory, without the owner, that have their credentials.
        case settled(SharedOwners.Object)
        /// A process has taken its job-control stop.
        case stopped(UInt32)
        /// A process has been created that a late file waits for.
        case exists(UInt32)
        /// A late file is open in the process that makes it.
        case opened(UInt32)
        /// The number of processes that have got a late file from there.
        case fetched(UInt32)
        /// A pid namespace has its init.
        case namespace(Int)
    }

    mutating func word(_ meeting: Meeting) -> UInt64 {
        if let known = meetings[meeting] { return known }
        let address = room(8)
        meetings[meeting] = address
        return address
    }

    /// Does the actions of the creation plan: a task creates its children, and gets its session and group.
    mutating func arrange(_ program: inout Program, _ pid: UInt32) {
        var leadsSession = false
        func seen(_ number: UInt32) -> UInt32 { valid.creation.number(of: number, seenBy: pid) ?? 0 }
        announceNamespace(&program, pid)
        for action in valid.creation.task(pid)?.actions ?? [] {
            switch action {
            case .create(let child): fork(&program, child, of: pid, isSibling: false)
            case .createSibling(let child): fork(&program, child, of: pid, isSibling: true)
            case .setsid:
                leadsSession = true
                program.call(.setsid, check: .equals(Int64(seen(pid))))
                takeTerminal(&program, session: pid)
            case .enterNamespace(let namespace): enterNamespace(&program, namespace, of: pid)
            case .leadGroup:
                if !leadsSession { program.call(.setpgid, [0, 0], "lead process group \(pid)") }
                if joiners(of: pid) > 0 || becomesForeground(pid) { program.advance(word(.made(group: pid)), "process group \(pid) exists") }
            case .joinGroup(let group):
                program.wait(for: word(.made(group: group)), toReach: 1, "until process group \(group) exists")
                program.call(.setpgid, [0, .number(seen(group))], "join process group \(group)")
                if valid.creation.heldGroups.contains(group) { program.advance(word(.joined(group: group)), "joined") }
            case .awaitMembers(let group):
                if joiners(of: group) > 0 {
                    program.wait(
                        for: word(.joined(group: group)), toReach: joiners(of: group),
                        "until all its members are in process group \(group)")
                }
            case .adopt(let adoption): adopt(&program, pid, adoption)
            case .awaitAdopter(let adopter):
                program.wait(for: word(.adopting(adopter)), toReach: 1, "until \(adopter) adopts orphans")
            case .reap(let child):
                program.call(
                    .wait4, [.number(seen(child)), 0, .value(WaitOption.__WALL), 0], check: .equals(Int64(seen(child))),
                    "wait for the end of \(child)")
            case .reportAdoption(let adopter):
                program.advance(word(.adopted(adopter)), "\(adopter) has adopted the children of a placeholder")
            case .unshare(let objects): unshare(&program, objects)
            case .makeDiskContext:
                program.call(.ioprio_set, [1, 0, 0], "an io context that can be shared")
            }
        }
        setForeground(&program, session: pid)
        letGo(&program, valid.creation.task(pid)?.carriesToItsEnd ?? CloneObjectIDs())
    }

    private func joiners(of group: UInt32) -> UInt32 { UInt32(valid.creation.joiners[group] ?? 0) }

    /// Makes this task a subreaper for a while, so that it gets the orphans of placeholders below. Whether it was one at the
    /// checkpoint is set at the end.
    private mutating func adopt(_ program: inout Program, _ pid: UInt32, _ adoption: CreationPlan.Adoption) {
        let subreaper = Step.Argument.value(Prctl.PR_SET_CHILD_SUBREAPER)
        if adoption.inner > 0 {
            program.wait(for: word(.innerDone(pid)), toReach: UInt32(adoption.inner), "until subreapers below have stopped")
        }
        program.call(.prctl, [subreaper, 1, 0, 0, 0], "begin to adopt orphans")
        program.advance(word(.adopting(pid)), "placeholders can end")
        program.wait(for: word(.adopted(pid)), toReach: UInt32(adoption.placeholders), "until they have ended")
        program.call(.prctl, [subreaper, 0, 0, 0, 0], "stop adopting orphans")
        if let outer = adoption.outer { program.advance(word(.innerDone(outer)), "\(outer) can adopt orphans") }
    }

    private mutating func fork(_ program: inout Program, _ child: UInt32, of creator: UInt32, isSibling: Bool) {
        guard let task = valid.creation.task(child), let seen = valid.creation.number(of: child, seenBy: creator) else { return }
        let namespace = valid.creation.isInit(task) ? Self.newPidNamespace : 0
        let parent = CloneFlag.CLONE_PARENT  // The signal is the creator's own.
        let signal = UInt64(image.process(child)?.exitSignal ?? CreationPlan.childSignal)
        let shared = valid.creation.task(child)?.sharesAtBirth ?? []
        let sharing = shared.kinds.map { ", shares \($0)" }.joined()
        if let index = leaderIndex[child] {
            clone(
                &program, index, numbers: task.numbers, seenAs: seen,
                tasks[index].title + (isSibling ? ", as a sibling" : "") + sharing,
                flags: shared.cloneFlags | namespace | (isSibling ? parent : 0), exitSignal: isSibling ? 0 : signal)
        } else if let index = helperIndex[child] {
            clone(
                &program, tasks.count + index, numbers: task.numbers, seenAs: seen, helpers[index].title + sharing,
                flags: shared.cloneFlags | namespace,
                exitSignal: signal)
        }
        if graph.awaited.contains(child) { program.advance(word(.exists(child)), "\(child) exists") }
    }

    /// The program of a ghost or placeholder: the actions of the creation plan, then its end.
    mutating func helperProgram(_ helper: RestorePlan.Helper) -> Program {
        var program = Program(title: helper.title, hasNotes: hasNotes)
        program.call(.prctl, [.value(Prctl.PR_SET_NAME), path(Array(helper.name.utf8))], "name \(helper.name)")
        makeRoom(&program, helper.pid, isRoot: false)
        makeShared(&program, helper.pid)
        loadSharedPages(&program, helper.pid)
        arrange(&program, helper.pid)
        program.call(.exit_group, [0], "is not needed any more")
        return program
    }

    /// Takes back the signals that planned ends and stops of children have left pending. Sets the action of SIGCHLD only
    /// now: had it been SIG_IGN before, the kernel would not have kept the statuses of these children.
    mutating func afterPlannedChanges(_ program: inout Program, _ process: ImageProcess) {
        var signals: Set<UInt32> = []
        for child in image.children(of: process.pid) where child.state == .zombie { signals.insert(child.exitSignal) }
        for case .reap(let child) in valid.creation.task(process.pid)?.actions ?? [] {
            signals.insert(image.process(child)?.exitSignal ?? CreationPlan.childSignal)
        }
        if awaitStops(&program, of: process) { signals.insert(CreationPlan.childSignal) }
        // Above 64 there is none: no signal tells of such an end.
        for signal in signals.sorted() where (1...64).contains(signal) {
            let set = data([UInt8](repeating: 0, count: 8).settingBit(Int(signal) - 1))
            program.call(
                .rt_sigtimedwait, [set, 0, .value(zeroTime), 8], check: .none,
                "take back signal \(signal) of planned ends and stops")
        }
        guard owners.owns(.actions, process) else { return }
        for action in image.actions(of: process) where action.signal == CreationPlan.childSignal {
            signalAction(&program, action, of: process)
        }
    }

    /// The address space of which a process gets a copy at its creation. Nil: that of crrestart, because no creator above
    /// has an address space of the image.
    func birthSpace(of pid: UInt32) -> ImageAddressSpace? {
        var creator = valid.creation.task(pid)?.creator
        while let number = creator {
            if let process = memoryOwner(atBirthOf: number) { return image.addressSpace(of: process) }
            creator = valid.creation.task(number)?.creator
        }
        return nil
    }
}

extension [UInt8] {
    /// A signal set with one more signal in it, for instance.
    func settingBit(_ bit: Int) -> [UInt8] {
        var bytes = self
        bytes[bit / 8] |= 1 << UInt8(bit % 8)
        return bytes
    }
}
