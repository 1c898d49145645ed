import CheckpointImage
import Kernel
import StepProgram
import Testing

@testable import TreeCapture

/// The values themselves: what is written is read again, and what is pure needs no host.
@Suite struct ValueTests {
    /// Of a few tasks only those whose timer would be lost; of many, all: one run of a program looks at them together.
    @Test func timersAreLookedForWhereTheyAreNeeded() {
        let calls: [Int32: [UInt64]?] = [
            1: [35, 0x1000, 0, 0, 0, 0, 0, 0x400000, 0x7ffd0000],  // nanosleep
            2: [232, 3, 0x1000, 8, 5000, 0, 0, 0x400000, 0x7ffd0000],  // epoll_wait with an end
            3: [232, 3, 0x1000, 8, UInt64(UInt32.max), 0, 0, 0x400000, 0x7ffd0000],
            4: [],  // runs
            5: nil,  // cannot be told
            6: [23, 1, 0x2000, 0, 0, 0x3000, 0, 0x400000, 0x7ffd0000],  // select, whose time will be written back
            7: [23, 1, 0x2000, 0, 0, 0x4000, 0, 0x400000, 0x7ffd0000],  // the same with a constant
        ]
        func timed(_ tids: [Int32]) -> [Int32] {
            TimedCalls.timed(among: tids) { calls[$0]! } isWrittenBack: { _, address in address == 0x3000 }
        }
        #expect(timed([1, 2, 3, 4, 5, 6, 7]) == [2, 5, 7])
        #expect(timed([1, 3, 4, 6]) == [])
        let many = Array<Int32>(1...9)
        let all = TimedCalls.timed(among: many) { _ in Issue.record("asked one by one"); return nil } isWrittenBack: { _, _ in true }
        #expect(all == many)
    }

    /// Every private mapping is asked about once, with its own kind; no question goes over a mapping of another kind.
    @Test func questionsAboutPages() throws {
        for recording in [try Recordings.pipeline(), try Recordings.files(), try Recordings.namespace()] {
            let names = NameTable(recording.sight.names)
            for space in recording.sight.spaces {
                let table = MappingTable(space, space.maps.value.maps, names)
                let questions = SpaceLook.questions(table)
                #expect(zip(questions, questions.dropFirst()).allSatisfy { $0.end <= $1.start })
                #expect(questions.count < table.all.count)
                for mapping in table.all {
                    let over = questions.filter { $0.start < mapping.map.end && mapping.map.start < $0.end }
                    let kind: SpaceLook.Question.Kind?
                    switch mapping.nature {
                    case .kernel, .vdsoData, .vdsoCode, .other: kind = nil
                    case .anonymous: kind = mapping.map.isShared ? .guards : mapping.map.flags.contains(.droppable) ? nil : .anonymous
                    case .file, .object: kind = mapping.map.isShared ? .guards : .file
                    }
                    #expect(over.map(\.kind) == (kind.map { [$0] } ?? []), "\(mapping.map)")
                    #expect(over.allSatisfy { $0.start <= mapping.map.start && mapping.map.end <= $0.end })
                }
            }
        }
    }

    /// A connection with a mounted file system, by what the kernel says of it or by what is mounted.
    @Test func serversOfFileSystems() throws {
        func isMounted(_ info: String, _ mounts: String?) throws -> Bool {
            TreeLook.isMounted(try DescriptorInfo(parsing: Array(info.utf8)), mounts: { mounts.map { Array($0.utf8) } })
        }
        let plain = "pos:\t0\nflags:\t0100002\nmnt_id:\t24\nino:\t90\n"
        let root = "21 1 254:0 / / rw - ext4 /dev/root rw\n"
        #expect(try isMounted(plain + "fuse_connection:\t39\n", root))
        #expect(try !isMounted(plain, root + "30 21 0:40 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n"))
        #expect(try !isMounted(plain, nil))
        for type in ["fuse", "fuse.sshfs", "fuseblk"] {
            #expect(try isMounted(plain, root + "31 21 0:41 / /mnt rw shared:1 - \(type) server rw\n"), "\(type)")
        }
        #expect(TreeLook.isConnection(Array("/dev/fuse".utf8)) && !TreeLook.isConnection(Array("/tmp/dev/fuse".utf8)))
    }

    @Test(arguments: ["", "plain", "a\\b \u{1b}[0m\ttab", "two\nlines\n", "Grüße\u{202e}", "\u{0}\u{7f}"])
    func rawText(text: String) throws { try expectSame(RawText(text)) }

    @Test func rawTextOfAnyBytes() throws { try expectSame(RawText(Array(0...255))) }

    private func expectSame(_ text: RawText) throws {
        var recording = try Recordings.pipeline()
        recording.sight.files[0].details["text"] = text
        let again = try Recording(json: recording.json())
        #expect(again.sight.files[0].details["text"] == text)
    }

    @Test func recordingIsReadAsItWasWritten() throws {
        for recording in [try Recordings.pipeline(), try Recordings.files(), try Recordings.namespace()] {
            let json = try recording.json()
            let read = try Recording(json: json)
            let written = try read.json()
            #expect(written == json)
            let again = read.recorded()
            let first = recording.recorded()
            #expect(again.findings == first.findings && again.records.processes == first.records.processes)
            #expect(again.records.threads == first.records.threads && again.records.addressSpaces == first.records.addressSpaces)
        }
    }

    @Test func placeOfTheStub() throws {
        let sight = try Recordings.pipeline().sight
        let space = sight.spaces[0]
        let place = try InjectionPlace(in: space, on: sight.host)
        let vdso = try #require(space.maps.value.maps.first { $0.path.elementsEqual("[vdso]".utf8) })
        #expect(place.vdsoEnd == vdso.end && !place.is32Bit)
        #expect(place.isInStub(place.stubAddress) && !place.isInStub(vdso.start) && !place.isInStub(vdso.end))
        #expect(!space.maps.value.maps.contains { $0.end > place.memory && $0.start < place.memory + InjectionPlace.memorySize })
    }

    @Test func noPlaceForTheStub() throws {
        var sight = try Recordings.pipeline().sight
        sight.host.vdso?.slack = 100
        #expect(throws: InjectionObstacle.self) { try InjectionPlace(in: sight.spaces[0], on: sight.host) }
    }

    @Test func questionsOfAProcess() throws {
        let sight = try Recordings.files().sight
        let questions = ThreadQuestions(at: 0x1000, process: sight.processes[0], hasChildren: true, is32Bit: false)
        // SIGINT, SIGQUIT, SIGUSR2, SIGPIPE, SIGCHLD, SIGXFSZ and one of the C library's.
        #expect(questions.program.steps.filter { $0.operation == .call(.rt_sigaction) }.count == 7)
        #expect(questions.dataSize == 160 + 7 * 32 + 8 + 8 + 16 + 128)
        let short = ThreadQuestions(at: 0x1000, process: nil, is32Bit: false)
        #expect(short.program.steps.count == 11 && short.dataSize == 64)
    }

    @Test func childrenAsTheirParentsSeeThem() throws {
        let sight = try Recordings.namespace().sight
        let children = ReportQuestions.livingChildren(sight)
        #expect(children[sight.root]?.map(\.number) == [UInt32(sight.processes[1].pid.rawValue)])
        #expect(children[sight.processes[1].pid]?.map(\.number) == [2, 3])
    }
}
