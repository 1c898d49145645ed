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

    /// A socket whose peer has a name that leads there from everywhere.
    @Test func socketThatCanBeConnectedAnew() throws {
        func found(_ details: [String: RawText]) throws -> (finding: String, object: ImageExternalFile, notices: [String]) {
            var recording = try Recordings.files()
            let index = try recording.file(3)
            recording.sight.files[index].target = "socket:[5]"
            recording.sight.files[index].status.mode = FileMode.S_IFSOCK | 0o777
            recording.sight.files[index].details = ["kind": "unix datagram socket", "type": "2", "peerInode": "77"].merging(details) { $1 }
            let finding = try #require(recording.recorded().findings.first { $0.object == "fd 3" })
            recording.sight.external = ["socket:[5]"]
            let recorded = recording.recorded()
            guard case .external(let object) = try recorded.object(3) else { throw Unexpected() }
            return (finding.line, object, recorded.notices)
        }
        let named = try found(["connectedName": "/run/log", "message0": "12345", "message1": "6", "sent": "99", "shutdown": "2"])
        #expect(named.finding.contains("crrestart --fd 3=null, or --reconnect 'socket:[5]'"), "\(named.finding)")
        #expect(named.object.connection.address.asText == "/run/log" && named.object.connection.type == 2)
        #expect(named.object.connection.waiting == 6 && named.object.connection.sent == 99 && named.object.connection.shutdown == 2)
        #expect(
            named.notices.contains {
                $0.hasSuffix("; crrestart --reconnect 'socket:[5]' connects it again with /run/log, without the 6 bytes that it has not received and without what its peer has not received")
            }, "\(named.notices)")
        #expect(try found(["connectedName": RawText([0, 1])]).object.hasConnection)
        for details in [[:], ["connectedName": "log"], ["connectedName": "/run/log", "address": "/run/own"], ["connectedName": "/run/log", "type": "1", "peerInode": "0"]] as [[String: RawText]] {
            #expect(try !found(details).object.hasConnection)
        }
    }
}
