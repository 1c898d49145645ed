internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import RestorePlan
internal import StepProgram

/// Could it be restarted? An image is read as any reader would read it, validated, and planned against this host, as the same
/// user, with everything that its tree holds counted as free. Nothing is created.
///
/// It counts as restartable if either of `--pidns` and `--no-pidns` would do: the plan chooses.
struct RestartCheck: Sendable {
    enum Verdict: Equatable, Sendable {
        case restartable
        /// This host or this user could not restart it: every reason.
        case refused([HostFinding])
        /// Our own reader refuses the image, or the planner broke down: why.
        case defect(String)
        /// The image could not be read back.
        case unreadable(String)
    }

    var tree: LivingTree
    /// Control groups will not be restored (`--cgroup ignore`).
    var ignoresCgroups = false
    /// Of a sealed image.
    var keys = SealKeys.none
    /// Where the image is that has what the new one leaves out.
    var parentDirectory: [UInt8]?

    /// Of an image in a file. Its chain of parents is read anew.
    ///
    /// - Parameter planned: records for which ``plan(_:)`` gives the verdict: an image that has just these need only be readable.
    func verdict(of path: String, name: String, planned: ImageRecords) -> Verdict {
        do throws(ImageInputError) {
            switch try ImageInput(path, keys) {
            case .file(let file):
                return verdict(planned: planned) { () throws(ImageError) in try withParents(CheckpointImage(reading: file)) }
            case .stream(let stream) where keys.areGiven:
                return verdict(planned: planned) { () throws(ImageError) in
                    var reader = SequentialImageReader(stream)
                    return try withParents(reader.readMetadata())
                }
            case .stream: return .unreadable("cannot read image \(name): it is empty")
            }
        } catch { return .unreadable("cannot open image \(name) to check it: \(error.cause.name)") }
    }

    /// An image, once the images that it needs have been found and read.
    private func withParents(_ image: CheckpointImage) throws(ImageError) -> CheckpointImage {
        _ = try ParentSearch(directory: parentDirectory).parent(of: image, beside: nil)
        return image
    }

    /// Of the records of an image that is being written: what does not depend on its bytes.
    func plan(_ records: ImageRecords) -> Verdict {
        do throws(ImageError) {
            var image = try CheckpointImage(validating: records)
            // What is planned for the pages takes room, wherever they will be.
            let owners =
                records.addressSpaces.map { (PageOwner(.addressSpace, $0.id), $0.runLength) }
                + records.memoryObjects.map { (PageOwner(.memoryObject, $0.id), $0.runLength) }
                + records.sharedPages.map { (PageOwner(.sharedPages, $0.id), $0.runLength) }
            for (owner, runs) in owners where !runs.isEmpty {
                image.add(PageSection(owner: owner, pages: runs.reduce(0, +), offset: 0, checksums: []))
            }
            return verdict(of: image)
        } catch { return .defect(error.cause) }
    }

    /// Of records that have not been written, or that another process reads.
    func verdict(of records: ImageRecords) -> Verdict {
        verdict { () throws(ImageError) in
            var reader = SequentialImageReader(ByteSource(try ImageOutput.bytes(of: records)))
            return try reader.readMetadata()
        }
    }

    private func verdict(planned: ImageRecords? = nil, reading read: () throws(ImageError) -> CheckpointImage) -> Verdict {
        do throws(ImageError) {
            let image = try read()
            do throws(SystemError) { try FaultPoint.ownReader.pass("a fault point") } catch { return .defect("\(error)") }
            return image.records == planned ? .restartable : verdict(of: image)
        } catch { return error.kind == .unreadable || error.kind == .parent ? .unreadable(error.sentence()) : .defect(error.cause) }
    }

    private func verdict(of image: CheckpointImage) -> Verdict {
        var options = RestartOptions()
        options.cgroups.isIgnored = ignoresCgroups
        options.given.isAssumed = true
        var facts = HostFacts.probe(for: image, options: options, endOf: tree)
        do throws(SystemError) { try FaultPoint.restartHere.pass("a fault point") } catch {
            facts.architecture = "\(error)"
        }
        var refusals: [HostFinding] = []
        for choice in [nil, true] {
            options.newPidNamespace = choice
            do throws(ValidImage.Refusal) {
                let plan = RestorePlan(for: try ValidImage(image, on: facts, options: options), hasNotes: false)
                if plan.hasRoom { return .restartable }
                refusals = [HostFinding(object: "memory", reason: "\(plan.launchpad.size >> 20) MiB do not fit where no task has anything", help: "")]
            } catch { if refusals.isEmpty { refusals = error.findings } }
        }
        return .refused(refusals)
    }
}

extension RestartCheck {
    /// Answers in a process of its own: should it break down (a value that Swift does not compute with), that is an answer, too.
    struct Asked: ~Copyable {
        private let question: ForkedQuestion?
        private let here: Verdict

        init(_ answer: () -> Verdict) {
            question = try? ForkedQuestion(at: .forkCheck) { answer().bytes }
            here = question == nil ? answer() : .restartable
        }

        /// - Parameter deadline: on the monotonic clock.
        consuming func verdict(until deadline: Int64) -> Verdict {
            guard let question else { return here }
            switch question.answer(until: deadline) {
            case .bytes(let bytes): return Verdict(bytes: bytes) ?? .defect("the check gave no answer")
            case .ended(.killed(let signal)): return .defect("the check died of signal \(signal)")
            case .ended: return .defect("the check gave no answer")
            case .late: return .unreadable("cannot check whether the image could be restarted: ETIMEDOUT (it took too long)")
            }
        }
    }
}

extension RestartCheck.Verdict {
    /// A letter, and texts that end in a zero byte each.
    var bytes: [UInt8] {
        switch self {
        case .restartable: Self.pack("r", [])
        case .refused(let findings): Self.pack("f", findings.flatMap { [$0.object, $0.reason, $0.help] })
        case .defect(let reason): Self.pack("d", [reason])
        case .unreadable(let sentence): Self.pack("u", [sentence])
        }
    }

    init?(bytes: [UInt8]) {
        let texts = bytes.dropFirst().split(separator: 0, omittingEmptySubsequences: false).dropLast().map { String(decoding: $0, as: UTF8.self) }
        switch (bytes.first.map { Character(UnicodeScalar($0)) }, texts.count) {
        case ("r", 0): self = .restartable
        case ("d", 1): self = .defect(texts[0])
        case ("u", 1): self = .unreadable(texts[0])
        case ("f", let count) where count > 0 && count % 3 == 0:
            self = .refused(
                stride(from: 0, to: count, by: 3).map { HostFinding(object: texts[$0], reason: texts[$0 + 1], help: texts[$0 + 2]) })
        default: return nil
        }
    }

    private static func pack(_ letter: Character, _ texts: [String]) -> [UInt8] {
        Array(String(letter).utf8) + texts.flatMap { $0.utf8.filter { $0 != 0 } + [0] }
    }
}
