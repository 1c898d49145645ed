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

    /// Whether an image that is being written to a file can be read: first its metadata, as a reader would, and once it is written the
    /// file. Its chain of parents is read anew.
    ///
    /// - Parameters:
    ///   - metadata: the image up to its first page description.
    ///   - records: what they were made of, for which ``plan(_:)`` gives the verdict.
    ///   - isWritten: waits until the whole image is in the file; false: it will not be.
    func verdict(of metadata: [UInt8], madeOf records: ImageRecords, in path: String, name: String, isWritten: () -> Bool) -> Verdict {
        let known: KnownMetadata
        do throws(ImageError) { known = try KnownMetadata(metadata) } catch { return .defect(error.cause) }
        let planned = known.image.records == records ? Verdict.restartable : plan(known.image.records)
        guard isWritten() else { return .unreadable("image \(name) was not written") }
        let read = reading { () throws(ImageError) in try otherImage(than: known, path, name) }
        return read == .restartable ? planned : read
    }

    /// Reads the image that was written, once the images that it needs have been found and read.
    ///
    /// - Returns: nil: it has the metadata that were planned.
    private func otherImage(than known: KnownMetadata, _ path: String, _ name: String) throws(ImageError) -> CheckpointImage? {
        let input: ImageInput
        do throws(ImageInputError) { input = try ImageInput(path, keys) } catch {
            throw ImageError(.source("\(name) cannot be opened to check it: \(error.cause.name)"))
        }
        let image: CheckpointImage
        switch input {
        case .file(let file):
            let same = try CheckpointImage(reading: file, after: known)
            if let same { image = same } else { image = try CheckpointImage(reading: file) }
            _ = try ParentSearch(directory: parentDirectory).parent(of: image, beside: nil)
            if same != nil { return nil }
        case .stream(let stream) where keys.areGiven:
            var reader = SequentialImageReader(stream)
            image = try reader.readMetadata()
            _ = try ParentSearch(directory: parentDirectory).parent(of: image, beside: nil)
            if image.records == known.image.records { return nil }
        case .stream: throw ImageError(.empty)
        }
        return image
    }

    /// Of the records of an image that is being written: what does not depend on its bytes.
    func plan(_ records: ImageRecords) -> Verdict {
        var image: CheckpointImage
        do throws(ImageError) { image = try CheckpointImage(validating: records) } catch { return .defect(error.cause) }
        // What is planned for the pages takes room, wherever they will be.
        let owners =
            image.addressSpaces.map { (PageOwner(.addressSpace, $0.id), $0.runLength) }
            + image.memoryObjects.map { (PageOwner(.memoryObject, $0.id), $0.runLength) }
            + image.sharedPages.map { (PageOwner(.sharedPages, $0.id), $0.runLength) }
        for (owner, runs) in owners where !runs.isEmpty {
            image.add(PageSection(owner: owner, pages: runs.reduce(0, +), offset: 0, checksums: []))
        }
        return verdict(of: image)
    }

    /// Of records that have not been written, or that another process reads.
    func verdict(of records: ImageRecords) -> Verdict {
        reading { () throws(ImageError) in
            var reader = SequentialImageReader(ByteSource(try ImageOutput.bytes(of: records)))
            return try reader.readMetadata()
        }
    }

    /// - Parameter read: gives the image that is to be planned; nil: none is.
    private func reading(_ read: () throws(ImageError) -> CheckpointImage?) -> Verdict {
        do throws(ImageError) {
            let image = try read()
            do throws(SystemError) { try FaultPoint.ownReader.pass("a fault point") } catch { return .defect("\(error)") }
            return image.map { verdict(of: $0) } ?? .restartable
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
    final class Asked {
        private let question: ForkedQuestion?
        private let here: () -> Verdict

        init(_ answer: @escaping () -> Verdict) {
            question = try? ForkedQuestion(at: .forkCheck) { answer().bytes }
            here = answer
        }

        /// - Parameter answer: is given what waits for ``goOn()``.
        init(inTwoParts answer: @escaping (_ awaitWord: () -> Bool) -> Verdict) {
            question = try? ForkedQuestion(at: .forkCheck, inTwoParts: { awaitWord in answer(awaitWord).bytes })
            here = { answer { true } }
        }

        /// Lets the second part begin.
        func goOn() { question?.goOn() }

        /// - Parameter deadline: on the monotonic clock.
        func verdict(until deadline: Int64) -> Verdict {
            guard let question else { return here() }
            question.goOn()
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
