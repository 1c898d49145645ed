internal import ArchState
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import RestorePlan

/// The checked plan, and what is to be said about it.
extension Restart {
    func makePlan(for source: any PageSource) throws(RestoreError) -> RestorePlan {
        let image = source.image
        var choice = options.plan
        choice.delivery = source.delivery
        choice.imageIsStandardInput = source.number == 0
        let facts = HostFacts.probe(for: image, options: choice)
        func validated(_ image: CheckpointImage) throws(RestoreError) -> ValidImage {
            do throws(ValidImage.Refusal) { return try ValidImage(image, on: facts, options: choice) } catch {
                throw RestoreError(error)
            }
        }
        let valid = try validated(image)
        // What is found is told by the numbers of the image: they are translated when there is nothing to tell.
        guard !choice.keepsPids, let renumbering = Renumbering(of: image, fresh: facts.freshNumbers) else {
            return RestorePlan(for: valid)
        }
        let renumbered: CheckpointImage
        do throws(ImageError) { renumbered = try renumbering.applied(to: image) } catch {
            throw RestoreError("cannot give the tree fresh numbers: \(error) (a defect of crrestart)", exitStatus: 70)
        }
        return RestorePlan(for: try validated(renumbered), renumbering: renumbering)
    }

    /// For a while: a process that has got one of the numbers may be gone soon.
    func makePlanAgain(for source: any PageSource) throws(RestoreError) -> RestorePlan {
        for _ in 0..<Self.mostAttempts {
            do throws(RestoreError) { return try makePlan(for: source) } catch {
                if error.exitStatus != 3 { throw error }
            }
            try watch.check()
            Waiting.pause(atMost: 50_000_000)
        }
        return try makePlan(for: source)
    }

    func notices(_ image: CheckpointImage, _ valid: ValidImage) -> [String] {
        var notices = valid.objectNotices
        if valid.facts.numbers.isUnderFilter {
            notices.append("crrestart is under a seccomp filter, and so is the tree from now on")
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
