import Foundation
import Testing

@testable import CheckpointImage

/// The table of the kinds of open files, and what each of them tells of itself.
@Suite struct SavedObjectTests {
    /// The cases of `oneof object` in file.proto: message, name of the case, in the order of the file.
    static func kinds() throws -> [(message: String, name: String)] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Protos")
        let text = try String(contentsOf: folder.appendingPathComponent("file.proto"), encoding: .utf8)
        let start = try #require(text.range(of: "oneof object {"))
        let end = try #require(text.range(of: "}", range: start.upperBound..<text.endIndex))
        return text[start.upperBound..<end.lowerBound].split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            return words.count > 3 && words[2] == "=" ? (String(words[0]), String(words[1])) : nil
        }
    }

    /// The sample has a file of each kind, so that every test over the sample's files is one over all kinds.
    @Test func theSampleHasEveryKind() throws {
        let kinds = try Self.kinds()
        #expect(kinds.count >= 9)
        let messages = Sample.files().compactMap { $0.saved.map { "\(type(of: $0))" } }
        #expect(Set(messages) == Set(kinds.map { "Image" + $0.message }))
        #expect(Set(messages).count == messages.count)
    }

    /// Each kind that the format knows is in the table: a file that holds it says something about itself.
    @Test func everyKindIsInTheTable() throws {
        let image = try CheckpointImage(validating: Sample.records())
        for file in image.openFiles {
            #expect(file.saved != nil, "open file \(file.id)")
            #expect(file.summary(in: image) != "open file \(file.id)")
        }
        #expect(ImageOpenFile().saved == nil)
    }

    @Test func whatTheyReferTo() {
        let references = Sample.files().map { $0.saved?.references ?? [] }
        #expect(
            references == [
                [], [], [.pipe(1)], [.memoryObject(1)], [], [], [], [.openFile(5)], [], [], [], [.terminal(1)], [], [], [], [.pipe(2)], [], [], [], [], [],
            ])
        let bundles = Sample.files().map { $0.saved?.bundle }
        #expect(
            bundles == [
                nil, nil, .pipe(1), nil, nil, nil, nil, nil, nil, nil, .unixSockets, .terminal(1), nil, nil, nil, .pipe(2), nil, .tcpSockets, nil, nil, nil,
            ])
        let names = Sample.files().map { $0.saved?.namedFile.map { $0.path.asText } }
        #expect(
            names.map { $0 ?? "" } == [
                "", "/tmp/log", "", "", "", "", "", "", "/dev/null", "", "", "", "", "", "", "/tmp/fifo", "", "", "", "", "",
            ])
    }

    @Test func summaries() throws {
        let image = try CheckpointImage(validating: Sample.records())
        #expect(
            image.openFiles.map { $0.summary(in: image) } == [
                "/dev/pts/3, outside of the tree: becomes fd 0 of crrestart", "/tmp/log", "read end of pipe 1, 9 bytes in flight",
                "memory object 1 /dev/zero", "eventfd, count 3", "signalfd of 10", "timerfd, 5.000 s left", "epoll of 5", "/dev/null",
                "/proc/10/maps", "unix seqpacket socket, its peer is gone, 5 bytes wait", "master of /dev/pts/4, 5 bytes to be read",
                "inotify of /etc", "pidfd of process 10", "POSIX message queue /jobs", "FIFO /tmp/fifo, 2 bytes in flight",
                "pipe:[77], external", "TCP socket 10.0.0.1:80, listens",
                "UDP socket 127.0.0.1:53", "packet socket of protocol 0x800, all devices",
                "netlink socket (route), port 10, groups 1",
            ])
    }

    /// Names are shown, not obeyed, and two that differ look different.
    @Test func hostileNames() throws {
        var records = Sample.records()
        records.openFiles[0].outside.preferred = 3
        records.openFiles[0].outside.terminal = true
        records.openFiles[0].outside.description_p = Data("\u{1b}]0;x".utf8)
        records.openFiles[1].named.identity.path = Data([0x2f, 0x0a, 0xff, 0x5c])
        let image = try CheckpointImage(validating: records)
        #expect(image.openFiles[0].summary(in: image) == "\\e]0;x, outside of the tree: becomes the terminal of crrestart")
        #expect(image.openFiles[1].summary(in: image) == "/\\n\\xff\\\\")
    }

    /// Records that are named are looked for before an object's own rules.
    @Test func missingReferences() {
        #expect(ObjectReference.openFile(1).missing == .noOpenFile)
        #expect(ObjectReference.pipe(1).missing == .noPipe)
        #expect(ObjectReference.memoryObject(1).missing == .noMemoryObject)
    }
}
