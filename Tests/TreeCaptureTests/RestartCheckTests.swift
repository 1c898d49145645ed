import CheckpointImage
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
    }

    /// The recorded tree had files that this host does not have.
    @Test func whatThisHostLacksIsAReason() throws {
        var records = try Recordings.pipeline().recorded().records
        records.processes[0].executable.path = Array("/no/such/program".utf8).asData
        guard case .refused(let findings) = check.verdict(of: records) else {
            Issue.record("\(check.verdict(of: records))")
            return
        }
        #expect(findings.contains { $0.object == "/no/such/program" && $0.reason.contains("ENOENT") }, "\(findings)")
        #expect(check.plan(records) == .refused(findings))
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
