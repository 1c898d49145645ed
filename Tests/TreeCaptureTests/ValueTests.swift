import CheckpointImage
import Kernel
import StepProgram
import Testing

@testable import TreeCapture

/// The values themselves: what is written is read again, and what is pure needs no host.
@Suite struct ValueTests {
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
