internal import ArchState
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import RestorePlan

/// The checked plan, and what is to be said about it.
extension Restart {
    /// - Parameters:
    ///   - waits: for numbers of processes that have ended, as long as the user wants.
    ///   - isPrinted: whether its steps are printed; else they are put into words if one fails.
    func makePlan(for source: any PageSource, waits: Bool = true, isPrinted: Bool = false) throws(RestoreError) -> RestorePlan {
        var image = try moved(source.image)
        var choice = options.plan
        do throws(ImageError) { image = try options.plan.addresses.applied(to: image) } catch {
            throw RestoreError("cannot give the sockets other addresses: \(error) (look at --address)", exitStatus: 3)
        }
        do throws(ImageError) { (image, choice.given) = try ChosenDescriptors.applied(options.descriptors, to: image) } catch {
            throw RestoreError("cannot put something in the place of these descriptors (--fd): \(error) (what belongs together is replaced together, or not at all)", exitStatus: 3)
        }
        try GivenDescriptors.requireMeaning(choice.given)
        choice.delivery = source.delivery
        choice.imageIsStandardInput = source.number == 0
        var facts = HostFacts.probe(for: image, options: choice)
        facts.ownDescriptors = options.ownDescriptors.union(source.parentNumbers)
        // The leader of a session in the tree needs a terminal that controls no session.
        if facts.terminal != nil, !options.detaches, image.terminals.contains(where: { $0.outside && $0.session != 0 }) {
            (facts.terminalIsFresh, facts.terminalOpensAnew) = (true, true)
        }
        if waits { try awaitReaping(image, choice, &facts) }
        if CarriedCopies.isNeeded(in: image) {
            do throws(ImageError) { image = try CarriedCopies.chosen(in: image, facts, choice.files) } catch {
                throw RestoreError("cannot use the files that the image carries: \(error)", exitStatus: 2)
            }
        }
        func validated(_ image: CheckpointImage) throws(RestoreError) -> ValidImage {
            do throws(ValidImage.Refusal) { return try ValidImage(image, on: facts, options: choice) } catch {
                throw RestoreError(error)
            }
        }
        let valid = try validated(image)
        // What is found is told by the numbers of the image: they are translated when there is nothing to tell.
        guard !choice.keepsPids, let renumbering = Renumbering(of: image, fresh: facts.freshNumbers) else {
            return RestorePlan(for: valid, hasNotes: isPrinted)
        }
        let renumbered: CheckpointImage
        do throws(ImageError) { renumbered = try renumbering.applied(to: image) } catch {
            throw RestoreError("cannot give the tree fresh numbers: \(error) (a defect of crrestart)", exitStatus: 70)
        }
        return RestorePlan(for: try validated(renumbered), renumbering: renumbering, hasNotes: isPrinted)
    }

    /// The image with the paths that its files have here.
    private func moved(_ image: CheckpointImage) throws(RestoreError) -> CheckpointImage {
        do throws(ImageError) { return try options.plan.files.moves.applied(to: image) } catch {
            throw RestoreError("cannot give the files other paths: \(error) (look at --path and --root)", exitStatus: 3)
        }
    }

    /// Waits until the numbers that the tree needs are free, where all who have them have ended: the parents that have to reap them may be slow.
    /// Where a pid namespace will do as well, there is no wait.
    private func awaitReaping(
        _ image: CheckpointImage, _ choice: RestartOptions, _ facts: inout HostFacts
    ) throws(RestoreError) {
        guard choice.newPidNamespace == false else { return }
        let deadline = SystemClock.monotonic.now() + Int64(options.patienceForPids) * 1_000_000_000
        var isTold = false
        while let first = facts.dyingPids.min(by: { $0.key < $1.key }), facts.dyingPids.count == facts.takenPids.count,
            SystemClock.monotonic.now() < deadline
        {
            if !isTold {
                let more = facts.dyingPids.count > 1 ? ", and \(facts.dyingPids.count - 1) more" : ""
                tell("waiting for pid \(first.key): \(first.value)\(more) (--wait-for-pids: \(options.patienceForPids) s at most)")
                isTold = true
            }
            try watch.check()
            // Looks again and again for a second.
            facts.probeNumbers(of: image, options: choice)
        }
    }

    /// For a while: a process that has got one of the numbers may be gone soon.
    func makePlanAgain(for source: any PageSource) throws(RestoreError) -> RestorePlan {
        for _ in 0..<Self.mostAttempts {
            do throws(RestoreError) { return try makePlan(for: source, waits: false) } catch {
                if error.exitStatus != 3 { throw error }
            }
            try watch.check()
            Waiting.pause(atMost: 50_000_000)
        }
        return try makePlan(for: source)
    }

    /// Root trusts the one who wrote the image.
    func warn(about source: any PageSource) throws(RestoreError) {
        guard Processes.isRoot else { return }
        let status: FileStatus
        do throws(SystemError) { status = try FileStatus(ofNumber: source.number) } catch {
            throw RestoreError(cannot: "look at image \(source.name)", error)
        }
        guard [.regular, .pipe].contains(status.kind) else { return }
        // A pipe without a name has no writers but those that opened it.
        if status.kind == .pipe && source.number == 0 { return }
        let trust = ImageTrust(owner: status.owner, group: status.group, mode: status.mode)
        if let warning = trust.warning(about: source.name, holding: source.image) { tell(warning) }
        // What its parents hold becomes the memory of the same tasks.
        for number in source.parentNumbers.sorted() {
            guard let status = try? FileStatus(ofNumber: Int32(bitPattern: number)) else { continue }
            let trust = ImageTrust(owner: status.owner, group: status.group, mode: status.mode)
            let name = (try? readLink("/proc/self/fd/\(number)")).map(printable) ?? "of a parent"
            if let warning = trust.warning(about: name, holding: source.image) { tell(warning) }
        }
    }

    func notices(_ image: CheckpointImage, _ valid: ValidImage) -> [String] {
        var notices = valid.objectNotices + valid.attributeNotices + valid.cgroups.notices
        if valid.facts.numbers.isUnderFilter {
            notices.append("crrestart is under a seccomp filter, and so is the tree from now on")
        }
        if valid.facts.isInOwnUserNamespace {
            notices.append("the tree runs in a user namespace of its own, because crrestart has no privilege: programs in it cannot become another user (su, sudo)")
        }
        if case .mayHaveChosen = valid.cpu.verdict { notices += valid.cpu.sentences }
        if valid.time.model == .relative && !valid.time.usesNamespace {
            notices.append(
                "no time namespace can be made here (CAP_SYS_ADMIN): sleeps and timers keep what they had left, but the tree's monotonic clock jumps, and deadlines that it holds in its own memory come too early"
            )
            notices += valid.waitsUntilOwnDeadline.map { "thread \($0) waits for such a deadline" }
        }
        return notices
    }
}
