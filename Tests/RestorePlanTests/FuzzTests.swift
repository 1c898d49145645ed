import ArchState
import CheckpointImage
import Foundation
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// Images of real trees with something changed, as an enemy would: read, validated and planned. What comes of it is an error, findings or a
/// plan, never a trap, and no memory beyond what the file's size allows.
///
/// `scripts/fuzz SECONDS` runs it for longer: TREERESTORE_FUZZ_SECONDS, _SEED, and _DIRECTORY, where the current input lies (after a crash, the
/// one that did it) and some of those that were taken.
@Suite struct FuzzTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Corpus")

    static func corpus() throws -> [(name: String, image: RawImageFile)] {
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".image") }.sorted()
        return try names.map { name in
            (name, try #require(RawImageFile([UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))), "\(name) is no image without pages"))
        }
    }

    enum Outcome: String, CaseIterable { case damaged, refused, planned }

    /// As crrestart goes on with it until the first process exists.
    private static func outcome(of bytes: [UInt8], _ turn: Int) -> Outcome {
        guard let image = try? CheckpointImage(reading: ByteSource(bytes)) else { return .damaged }
        for thread in image.threads { _ = ThreadActivity(of: thread).description }
        for file in image.openFiles { _ = file.summary(in: image) }
        let facts = facts(for: image)
        var options = RestartOptions()
        options.newPidNamespace = [nil, true, false][turn % 3]
        options.keepsPids = turn % 4 != 3 || options.newPidNamespace == true
        if turn % 5 == 0 { options.time = .absolute }
        options.files.changed = .accept
        options.given.isAssumed = true
        guard let valid = try? ValidImage(image, on: facts, options: options) else { return .refused }
        let plan = RestorePlan(for: valid)
        if turn % 7 == 0 { _ = plan.lines() }
        for task in plan.tasks { if let number = task.thread { _ = plan.confinement(ofThread: number) } }
        _ = plan.launchpad.encoded(numbering: .x86_64)
        guard !options.keepsPids, let renumbering = Renumbering(of: image, fresh: facts.freshNumbers),
            let renumbered = try? renumbering.applied(to: image), let again = try? ValidImage(renumbered, on: facts, options: options)
        else { return .planned }
        _ = RestorePlan(for: again, renumbering: renumbering)
        return .planned
    }

    /// A host on which every file is as the image says.
    private static func facts(for image: CheckpointImage) -> HostFacts {
        var facts = Sample().facts
        facts.architecture = "x86_64"
        facts.vdso = image.header.vdso
        facts.cpu = CPUOffer(image.header)
        facts.freshNumbers = Array(7000..<7200)
        facts.spareNumbers = Array(8000..<8200)
        facts.ownCredentials.permitted = .max
        facts.ownCredentials.effective = .max
        facts.ownCredentials.bounding = .max
        facts.mayRaiseLimits = true
        facts.terminal = 0
        func add(_ identity: ImageFileIdentity) {
            var file = HostFacts.File(size: identity.size, modified: identity.modified, mode: identity.mode, buildID: identity.buildID.asBytes)
            (file.device, file.inode) = (identity.device, identity.inode)
            if identity.hasContents { file.contents = identity.contents }
            facts.files[identity.path.asBytes] = .success(file)
        }
        for process in image.processes { add(process.executable) }
        for space in image.addressSpaces { for mapping in space.mappings where mapping.kind == .file { add(mapping.file) } }
        for directories in image.directories {
            add(directories.working)
            add(directories.root)
        }
        for file in image.openFiles { if let identity = file.saved?.namedFile { add(identity) } }
        return facts
    }

    private static func setting(_ name: String) -> String? { ProcessInfo.processInfo.environment["TREERESTORE_FUZZ_\(name)"] }

    @Test func corpusIsPlanned() throws {
        let corpus = try Self.corpus()
        #expect(corpus.count >= 6)
        for (name, image) in corpus {
            let bytes = image.bytes
            #expect(RawImageFile(bytes)?.records == image.records, "\(name)")
            #expect(Self.outcome(of: bytes, 1) == .planned, "\(name): \(Self.findings(bytes))")
        }
    }

    private static func findings(_ bytes: [UInt8]) -> [String] {
        do {
            let image = try CheckpointImage(reading: ByteSource(bytes))
            _ = try ValidImage(image, on: facts(for: image), options: RestartOptions())
            return []
        } catch let refusal as ValidImage.Refusal { return refusal.findings.map(\.line) } catch { return ["\(error)"] }
    }

    /// Of this process, in KiB.
    private static func peakMemory() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
        return line.split(whereSeparator: { " \t".contains($0) }).dropFirst().first.flatMap { Int($0) } ?? 0
    }

    @Test func changedImages() throws {
        let corpus = try Self.corpus()
        let seconds = Self.setting("SECONDS").flatMap(Double.init) ?? 10
        let seed = Self.setting("SEED").flatMap { UInt64($0) } ?? 1
        let directory = Self.setting("DIRECTORY").map { URL(fileURLWithPath: $0) }
        var mutator = WireMutator(seed: seed)
        var counts: [Outcome: Int] = [:]
        var slowest = 0.0
        var slowestTurn = 0
        var largest = 0
        let begin = Date()
        // A first round of all inputs, so that what the process itself needs is not counted.
        for (_, image) in corpus { _ = Self.outcome(of: image.bytes, 1) }
        let memory = Self.peakMemory()
        var turn = 0
        while Date().timeIntervalSince(begin) < seconds || turn < corpus.count * 20 {
            let bytes = mutator.mutated(corpus[turn % corpus.count].image, with: corpus.map(\.image)).bytes
            largest = max(largest, bytes.count)
            if let directory { try Data(bytes).write(to: directory.appendingPathComponent("current")) }
            let start = Date()
            let outcome = Self.outcome(of: bytes, turn)
            if Date().timeIntervalSince(start) > slowest { (slowest, slowestTurn) = (Date().timeIntervalSince(start), turn) }
            counts[outcome, default: 0] += 1
            if let directory, outcome != .damaged, counts[outcome, default: 0] % 200 == 1 {
                try Data(bytes).write(to: directory.appendingPathComponent("\(outcome.rawValue)-\(turn)"))
            }
            turn += 1
        }
        let grown = Self.peakMemory() - memory
        let words = Outcome.allCases.map { "\(counts[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", ")
        print(
            "fuzz: \(turn) images (seed \(seed)): \(words); slowest \(Int(slowest * 1000)) ms (number \(slowestTurn)), largest \(largest >> 10) KiB, peak memory grew by \(grown >> 10) MiB")
        for outcome in Outcome.allCases { #expect(counts[outcome] ?? 0 > 0, "no image was \(outcome.rawValue)") }
        // Other tests of this process may run beside it: a bound for what no length or count of an image may ask for.
        #expect(grown < 2 << 20, "\(grown) KiB")
    }
}
