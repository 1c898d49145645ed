import CheckpointImage
import PidControl
import StepProgram

extension PlanBuilder {
    /// What tasks wait for while the tree unfolds, each a word of the launchpad's data of its own: nobody is woken
    /// for what others wait for.
    enum Meeting: Hashable {
        /// A group exists.
        case made(group: UInt32)
        /// How many have joined it.
        case joined(group: UInt32)
        /// A task adopts.
        case adopting(UInt32)
        /// How many placeholders have died for it.
        case adopted(UInt32)
        /// How many adopters below it are done.
        case innerDone(UInt32)
        /// How many of those who share an object are done with it as it was at birth.
        case ready(SharedOwners.Object)
        case memoryIsLoaded(SharedOwners.Object)
        /// How many others with this file table have joined the tree's clocks.
        case joinedClocks(SharedOwners.Object)
        /// How many others with this file table have made their threads.
        case madeThreads(SharedOwners.Object)
        /// How many others with this memory have their credentials.
        case settled(SharedOwners.Object)
        /// A process has taken its job-control stop.
        case stopped(UInt32)
        /// A pid namespace has its init.
        case namespace(Int)
    }

    mutating func word(_ meeting: Meeting) -> UInt64 {
        if let known = meetings[meeting] { return known }
        let address = room(8)
        meetings[meeting] = address
        return address
    }

    /// Creates children, and takes its session and group: what the creation plan says, in its order.
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
            case .enterNamespace(let namespace): enterNamespace(&program, namespace, of: pid)
            case .leadGroup:
                if !leadsSession { program.call(.setpgid, [0, 0], "lead process group \(pid)") }
                if joiners(of: pid) > 0 { program.advance(word(.made(group: pid)), "process group \(pid) exists") }
            case .joinGroup(let group):
                program.wait(for: word(.made(group: group)), toReach: 1, "until process group \(group) exists")
                program.call(.setpgid, [0, .number(seen(group))], "join process group \(group)")
                if valid.creation.heldGroups.contains(group) { program.advance(word(.joined(group: group)), "joined") }
            case .awaitMembers(let group):
                if joiners(of: group) > 0 {
                    program.wait(
                        for: word(.joined(group: group)), toReach: joiners(of: group), "until all are in process group \(group)")
                }
            case .adopt(let adoption): adopt(&program, pid, adoption)
            case .awaitAdopter(let adopter):
                program.wait(for: word(.adopting(adopter)), toReach: 1, "until \(adopter) adopts")
            case .reap(let child):
                program.call(
                    .wait4, [.number(seen(child)), 0, .value(0x4000_0000), 0], check: .equals(Int64(seen(child))), "until it is gone")
            case .reportAdoption(let adopter):
                program.advance(word(.adopted(adopter)), "\(adopter) has adopted its children")
            case .unshare(let objects): unshare(&program, objects)
            case .makeDiskContext:
                program.call(.ioprio_set, [1, 0, 0], "a disk context that can be shared")
            }
        }
        letGo(&program, valid.creation.task(pid)?.carriesToItsEnd ?? CloneObjectIDs())
    }

    private func joiners(of group: UInt32) -> UInt32 { UInt32(valid.creation.joiners[group] ?? 0) }

    /// Orphans go to the nearest subreaper above: for a while, that is this task. What it is in the end comes last.
    private mutating func adopt(_ program: inout Program, _ pid: UInt32, _ adoption: CreationPlan.Adoption) {
        let subreaper: Step.Argument = 36
        if adoption.inner > 0 {
            program.wait(for: word(.innerDone(pid)), toReach: UInt32(adoption.inner), "until those below have adopted")
        }
        program.call(.prctl, [subreaper, 1, 0, 0, 0], "adopt orphans from here on")
        program.advance(word(.adopting(pid)), "placeholders may die")
        program.wait(for: word(.adopted(pid)), toReach: UInt32(adoption.placeholders), "until they have")
        program.call(.prctl, [subreaper, 0, 0, 0, 0], "adopt no more")
        if let outer = adoption.outer { program.advance(word(.innerDone(outer)), "\(outer) may adopt") }
    }

    private mutating func fork(_ program: inout Program, _ child: UInt32, of creator: UInt32, isSibling: Bool) {
        guard let task = valid.creation.task(child), let seen = valid.creation.number(of: child, seenBy: creator) else { return }
        let namespace = valid.creation.isInit(task) ? Self.newPidNamespace : 0
        let parent: UInt64 = 0x8000  // CLONE_PARENT: the signal is the creator's own
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
    }

    /// A ghost or placeholder: it does what it is there for, and ends.
    mutating func helperProgram(_ helper: RestorePlan.Helper) -> Program {
        var program = Program(title: helper.title)
        program.call(.prctl, [15, path(Array(helper.name.utf8))], "name \(helper.name)")
        makeRoom(&program, helper.pid, isRoot: false)
        makeShared(&program, helper.pid)
        loadSharedPages(&program, helper.pid)
        arrange(&program, helper.pid)
        program.call(.exit_group, [0], "has done its work")
        return program
    }

    /// Deaths and stops that were planned left their signals behind. Who ignores its children's ends does so from
    /// here on only: the kernel would not keep their statuses.
    mutating func afterPlannedChanges(_ program: inout Program, _ process: ImageProcess) {
        var signals: Set<UInt32> = []
        for child in image.children(of: process.pid) where child.state == .zombie && child.exitSignal != 0 {
            signals.insert(child.exitSignal)
        }
        for case .reap(let child) in valid.creation.task(process.pid)?.actions ?? [] {
            signals.insert(image.process(child)?.exitSignal ?? CreationPlan.childSignal)
        }
        if awaitStops(&program, of: process) { signals.insert(CreationPlan.childSignal) }
        for signal in signals.sorted() {
            let set = data([UInt8](repeating: 0, count: 8).settingBit(Int(signal) - 1))
            program.call(
                .rt_sigtimedwait, [set, 0, .value(zeroTime), 8], check: .none, "take back signal \(signal) of what was planned")
        }
        guard owners.owns(.actions, process) else { return }
        for action in process.actions where action.signal == CreationPlan.childSignal {
            signalAction(&program, action, of: process)
        }
    }

    /// The address space that a process begins with a copy of; nil: that of crrestart, which only members change.
    func birthSpace(of pid: UInt32) -> ImageAddressSpace? {
        var creator = valid.creation.task(pid)?.creator
        while let number = creator {
            if let process = memoryOwner(atBirthOf: number) { return image.addressSpace(process.addressSpace) }
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
