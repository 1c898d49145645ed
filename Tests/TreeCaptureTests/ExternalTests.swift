import CheckpointImage
import Kernel
import LinuxABI
import Testing

@testable import TreeCapture

/// Open files that lead out of the tree: what a finding about one prints, and what becomes of those that are let through.
@Suite struct ExternalTests {
    private func leaked() throws -> Recording {
        var recording = try Recordings.files()
        recording.sight.files[try recording.file(9)].details["out"] = "1"
        return recording
    }

    @Test func findingPrintsWhatHelps() throws {
        let recording = try leaked()
        let name = recording.sight.files[try recording.file(9)].target.shown
        #expect(name.hasPrefix("pipe:["))
        let finding = try #require(recording.recorded().findings.first { $0.object == "fd 9" })
        #expect(finding.help.hasSuffix("; or let it through: crcheckpoint --external '\(name)', and crrestart --fd 9=null"), "\(finding.line)")
    }

    /// A path needs no quotes; a file that has been moved leads nowhere else.
    @Test func devicesAndFiles() throws {
        var recording = try Recordings.files()
        let device = try recording.file(5)
        recording.sight.files[device].target = "/dev/fuse"
        recording.sight.files[device].status.specialDevice = deviceNumber(major: 10, minor: 229)
        let moved = try recording.file(3)
        recording.sight.files[moved].target = "/tmp/moved"
        recording.sight.files[moved].isFoundByName = false
        let findings = recording.recorded().findings
        #expect(findings.first { $0.object == "fd 5" }?.help.hasSuffix("; or let it through: crcheckpoint --external /dev/fuse, and crrestart --fd 5=null") == true)
        #expect(findings.first { $0.object == "fd 3" }?.help.contains("--external") == false)
    }

    @Test func letThrough() throws {
        var recording = try leaked()
        let index = try recording.file(9)
        let name = recording.sight.files[index].target.shown
        recording.sight.external = [name, "pipe:[0]"]
        let recorded = recording.recorded()
        #expect(!recorded.findings.contains { $0.object == "fd 9" })
        guard case .external(let external) = try recorded.object(9) else { throw Unexpected() }
        #expect(external.identifier.asText == name && external.description_p.asText == "the read end of a pipe")
        // The other end has the same id.
        guard case .external(let other) = try recorded.object(10) else { throw Unexpected() }
        #expect(other.identifier.asText == name && other.description_p.asText == "the write end of a pipe")
        #expect(recorded.notices.contains("\(name) is not in the image: a restart needs something in its place, for instance crrestart --fd 9=null"))
        #expect(recorded.notices.contains("no descriptor of the tree leads to pipe:[0] (--external)"))
    }

    /// Locks on what is not in the image are told, and not taken on what comes in its place.
    @Test func locksOfWhatIsLetThrough() throws {
        var recording = try Recordings.files()
        let name = recording.sight.files[try recording.file(3)].target.shown
        let place = try #require(recording.sight.tables[0].descriptors.firstIndex { $0.number == 3 })
        recording.sight.tables[0].descriptors[place].locks = ["1: POSIX  ADVISORY  WRITE 1 00:00:1 0 EOF"]
        #expect(recording.recorded().records.fileTables[0].locks.count == 1)
        recording.sight.external = [name]
        let recorded = recording.recorded()
        #expect(recorded.records.fileTables.allSatisfy { $0.locks.isEmpty })
        #expect(recorded.notices.contains("locks on \(name) are not in the image (--external)"))
    }
}
