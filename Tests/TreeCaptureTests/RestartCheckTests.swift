import CheckpointImage
import Foundation
import RestorePlan
import Testing

@testable import HostProbe
@testable import TreeCapture

/// Whether an image could be restarted here, before its tree is ended.
@Suite struct RestartCheckTests {
    private let check = RestartCheck(tree: LivingTree(tasks: []))

    @Test(arguments: [
        RestartCheck.Verdict.restartable, .defect("thread 7: a \"rule\""), .unreadable(""),
        .refused([HostFinding(object: "pid 7", reason: "taken", help: ""), HostFinding(object: "", reason: "größer", help: "x")]),
    ])
    func verdictsComeBack(_ verdict: RestartCheck.Verdict) { #expect(RestartCheck.Verdict(bytes: verdict.bytes) == verdict) }

    @Test func nonsenseIsNoVerdict() {
        for bytes in [[], [0], Array("x".utf8), Array("f".utf8), Array("fa\0b\0".utf8), Array("d".utf8)] {
            #expect(RestartCheck.Verdict(bytes: bytes) == nil)
        }
    }

    @Test func whatTheReaderRefusesIsADefect() throws {
        var records = try Recordings.pipeline().recorded().records
        records.processes[0].group = 5_000_000
        guard case .defect(let reason) = check.verdict(of: records) else {
            Issue.record("\(check.verdict(of: records))")
            return
        }
        #expect(reason.contains("process \(records.processes[0].pid)"), "\(reason)")
        #expect(check.plan(records) == .defect(reason))
        #expect(try verdict(of: records, in: "/none") == .defect(reason))
    }

    /// The recorded tree had files that this host does not have.
    @Test func whatThisHostLacksIsAReason() throws {
        var records = try Self.pageless()
        records.processes[0].executable.path = Array("/no/such/program".utf8).asData
        guard case .refused(let findings) = check.verdict(of: records) else {
            Issue.record("\(check.verdict(of: records))")
            return
        }
        #expect(findings.contains { $0.object == "/no/such/program" && $0.reason.contains("ENOENT") }, "\(findings)")
        let file = try Self.file(records)
        defer { try? FileManager.default.removeItem(atPath: file) }
        #expect(check.plan(records) == .refused(findings))
        #expect(try verdict(of: records, in: file) == .restartable, "it can be read")
    }

    /// What counts is the file: one with other records, one that ends early, one that is not there, and one that was never written.
    @Test func theFileIsReadBack() throws {
        let planned = try Self.pageless()
        var others = planned
        others.processes[0].executable.path = Array("/no/other/program".utf8).asData
        let file = try Self.file(others)
        defer { try? FileManager.default.removeItem(atPath: file) }
        guard case .refused(let findings) = try verdict(of: planned, in: file) else {
            Issue.record("the file was not planned")
            return
        }
        #expect(findings.contains { $0.object == "/no/other/program" }, "\(findings)")
        // What was encoded is not what was planned: it is planned itself.
        #expect(try check.verdict(of: Self.metadata(others), madeOf: planned, in: file, name: file) { true } == .refused(findings))
        let bytes = try ImageOutput.bytes(of: others)
        for cut in [bytes.count - 1, bytes.count / 2, 10] {
            try Data(bytes[..<cut]).write(to: URL(fileURLWithPath: file))
            let verdict = try verdict(of: others, in: file)
            guard case .defect = verdict else {
                Issue.record("\(cut) of \(bytes.count): \(verdict)")
                continue
            }
        }
        for (path, isWritten) in [("/none", true), (file, false)] {
            guard case .unreadable(let sentence) = try verdict(of: planned, in: path, isWritten: isWritten) else {
                Issue.record("\(path) was read")
                continue
            }
            #expect(sentence.contains(path), "\(sentence)")
        }
    }

    private func verdict(of records: ImageRecords, in path: String, isWritten: Bool = true) throws -> RestartCheck.Verdict {
        check.verdict(of: try Self.metadata(records), madeOf: records, in: path, name: path) { isWritten }
    }

    private static func pageless() throws -> ImageRecords {
        var records = try Recordings.pipeline().recorded().records
        for index in records.addressSpaces.indices { (records.addressSpaces[index].runPage, records.addressSpaces[index].runLength) = ([], []) }
        for index in records.memoryObjects.indices { (records.memoryObjects[index].runPage, records.memoryObjects[index].runLength) = ([], []) }
        records.sharedPages = []
        return records
    }

    private static func metadata(_ records: ImageRecords) throws -> [UInt8] {
        var encoder = ImageEncoder()
        return try encoder.metadata(records)
    }

    /// An image without pages.
    private static func file(_ records: ImageRecords) throws -> String {
        let path = FileManager.default.temporaryDirectory.path + "/treerestore-\(UUID().uuidString)"
        try Data(ImageOutput.bytes(of: records)).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test func plainAnswersPassTheReader() throws {
        let recording = try Recordings.pipeline()
        let records = Recorder.records(recording.sight, Answers(plainFor: recording.sight), recording.memory).records
        #expect(throws: Never.self) { _ = try CheckpointImage(validating: records) }
    }

    @Test(arguments: [
        ("/proc/4711/maps", true), ("/proc/4711", true), ("/proc/4712/maps", false), ("/proc/self/maps", false), ("/home/4711/x", false),
        ("/", false), ("/proc", false), ("/proc/4711x/maps", false),
    ])
    func pathsOfATree(path: String, isShown: Bool) {
        #expect(LivingTree(tasks: [4711]).shows(Array(path.utf8)) == isShown)
    }
}
