import CheckpointImage
import Kernel
import Testing

@testable import TreeCapture

/// Each kind of descriptor, under the numbers that `Sights/files.py` has them.
@Suite struct DescriptorTests {
    private enum Number {
        static let named: UInt32 = 3
        static let directory: UInt32 = 4
        static let device: UInt32 = 5
        static let memory: UInt32 = 6
        static let unlinked: UInt32 = 7
        static let odd: UInt32 = 8
        static let pipeRead: UInt32 = 9
        static let pipeWrite: UInt32 = 10
        static let event: UInt32 = 11
        static let signal: UInt32 = 12
        static let timer: UInt32 = 13
        static let epoll: UInt32 = 14
        static let terminal: UInt32 = 15
    }

    private let recorded: Recorded

    init() throws { recorded = try Recordings.files().recorded() }

    @Test func everyKindIsThere() throws {
        let kinds = Set(recorded.records.openFiles.compactMap { $0.object.map { String("\($0)".prefix { $0 != "(" }) } })
        #expect(kinds == ["named", "nameless", "pipeEnd", "device", "outside", "event", "signal", "timer", "epoll"])
    }

    @Test func filesByName() throws {
        let mount = recorded.records.threads[0].namespaces.mount
        for (number, name) in [(Number.named, "named"), (Number.directory, "")] {
            guard case .named(let file) = try recorded.object(number) else { throw Unexpected() }
            #expect(file.identity.path.asText.hasSuffix(name) && file.identity.inode != 0)
            #expect(file.identity.mountNamespace == mount)
        }
        guard case .device(let null) = try recorded.object(Number.device) else { throw Unexpected() }
        #expect(null.identity.path.asText == "/dev/null")
    }

    /// A name is any bytes, and may end like the names of deleted files.
    @Test func nameOfAnyBytes() throws {
        guard case .named(let file) = try recorded.object(Number.odd) else { throw Unexpected() }
        let name: [UInt8] = Array("/line\nend ".utf8) + [0xff] + Array(" (deleted)".utf8)
        #expect(file.identity.path.asBytes.suffix(name.count).elementsEqual(name))
    }

    @Test func filesWithoutAName() throws {
        for (number, size, isUnlinked) in [(Number.memory, 5000, false), (Number.unlinked, 100, true)] {
            guard case .nameless(let file) = try recorded.object(number) else { throw Unexpected() }
            let object = try #require(recorded.records.memoryObjects.first { $0.id == file.object })
            #expect(object.size == size && object.unlinkedFile == isUnlinked)
        }
    }

    @Test func pipe() throws {
        guard case .pipeEnd(let read) = try recorded.object(Number.pipeRead), case .pipeEnd(let write) = try recorded.object(Number.pipeWrite)
        else { throw Unexpected() }
        #expect(!read.writeEnd && write.writeEnd && read.pipe == write.pipe)
        #expect(recorded.records.pipes.map { $0.contents.map(\.asText) } == [["waiting"]])
    }

    @Test func eventSignalAndTimer() throws {
        guard case .event(let event) = try recorded.object(Number.event), case .signal(let signal) = try recorded.object(Number.signal),
            case .timer(let timer) = try recorded.object(Number.timer)
        else { throw Unexpected() }
        #expect(event.count == 7 && !event.semaphore)
        #expect(signal.mask == 1 << 9)
        #expect(timer.clock == 1 && timer.interval == 0 && (9_000_000_000_000...10_000_000_000_000).contains(timer.remaining))
    }

    @Test func epoll() throws {
        guard case .epoll(let epoll) = try recorded.object(Number.epoll) else { throw Unexpected() }
        let table = recorded.records.fileTables[0].descriptors
        #expect(Set(epoll.registrations.map(\.number)) == [Number.event, Number.pipeRead])
        for one in epoll.registrations { #expect(table.contains { $0.number == one.number && $0.file == one.file }) }
    }

    @Test func terminal() throws {
        guard case .outside(let terminal) = try recorded.object(Number.terminal) else { throw Unexpected() }
        #expect(terminal.preferred == 3 && terminal.terminal && terminal.description_p.asText.hasPrefix("/dev/pts/"))
        #expect(recorded.notices.count == 1 && recorded.notices[0].contains("a restart uses its own terminal instead"))
    }

    /// A pty of the tree: both ends, and what waits in it.
    @Test func masterOfATerminal() throws {
        var recording = try Recordings.files()
        let index = try recording.file(Int32(Number.terminal))
        recording.sight.files[index].status.specialDevice = 5 << 8 | 2
        recording.sight.files[index].details = [
            "terminal": "1", "inside": "1", "device": "34822", "pty": "6", "packets": "1", "locked": "1", "exclusive": "1", "input": "ab",
            "lineEnds": "1 2 2", "output": "cd", "held": "2", "size": RawText([24, 0, 80, 0, 1, 0, 2, 0]), "fileOwner": "5",
            "fileGroup": "6", "fileMode": "400", "settings": RawText([UInt8](repeating: 0, count: 44)),
        ]
        let recorded = recording.recorded()
        guard case .terminal(let end) = try recorded.object(Number.terminal) else { throw Unexpected() }
        let terminal = try #require(recorded.records.terminals.first { $0.id == end.terminal })
        #expect(end.master && !terminal.outside && terminal.number == 6 && terminal.settings.count == 44)
        #expect(terminal.packets && terminal.locked && terminal.exclusive && !terminal.slaveUnused)
        #expect(terminal.input.asBytes == Array("ab".utf8) && terminal.output.asBytes == Array("cd".utf8))
        #expect(terminal.lineEnds == [1, 2, 2] && terminal.held == 2)
        #expect([terminal.rows, terminal.columns, terminal.width, terminal.height] == [24, 80, 1, 2])
        #expect([terminal.owner, terminal.group, terminal.mode] == [5, 6, 400])
    }

    /// Used as a standard stream, too.
    @Test func terminalAsAStandardStream() throws {
        var recording = try Recordings.files()
        let file = try recording.file(Int32(Number.terminal)) + 1
        for index in recording.sight.tables[0].descriptors.indices where [1, 2].contains(recording.sight.tables[0].descriptors[index].number) {
            recording.sight.tables[0].descriptors[index].file = file
        }
        guard case .outside(let terminal) = try recording.recorded().object(Number.terminal) else { throw Unexpected() }
        #expect(terminal.preferred == 1)
    }

    @Test func sharedMemory() throws {
        let mappings = recorded.records.addressSpaces[0].mappings
        let shared = try #require(mappings.first { $0.shared && $0.kind == .object })
        #expect(recorded.records.memoryObjects.contains { $0.id == shared.object && !$0.unlinkedFile })
        #expect(mappings.contains { $0.kind == .vdsoCode } && mappings.contains { $0.kind == .vdsoData })
        #expect(mappings.contains { $0.kind == .file && !$0.file.buildID.isEmpty })
    }

    /// What no other kind claims is the last one's.
    @Test func tableClaimsEverything() throws {
        let files = try Recordings.files().sight.files
        for file in files {
            let isKnown = DescriptorCaptures.kind(of: file) != UnknownFile.self
            #expect(isKnown, "\(file.target.shown)")
        }
        let isLast = DescriptorCaptures.all.last == UnknownFile.self
        #expect(isLast)
    }
}

struct Unexpected: Error {}
