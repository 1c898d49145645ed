import CheckpointImage
import Kernel
import Testing

@testable import TreeCapture

/// Attributes, timers and message queues, from what was seen and answered to the records.
@Suite struct AttributeTests {
    @Test func attributesOfAThread() throws {
        var recording = try Recordings.pipeline()
        recording.answers?.threads[0].own.attributes = AttributeAnswers(
            timeStampFaults: true, processorIDFaults: true, memoryFailure: 1, speculation: [5, 3, 0])
        recording.answers?.processes[0].memoryBarriers = 16
        recording.answers?.processes[0].permittedStates = 1 << 18 | 0xe7
        recording.sight.processes[0].loginUser = 1000
        recording.sight.processes[1].loginUser = .max
        let records = recording.recorded().records
        let attributes = records.threads[0].attributes
        #expect(attributes.timeStampFaults && attributes.processorIDFaults && !attributes.flushesIo)
        #expect(attributes.memoryFailure == 2 && attributes.storeBypass == 5 && attributes.indirectBranch == 3)
        #expect(records.threads[1].attributes == ImageAttributes())
        #expect(records.processes.map(\.memoryBarriers).prefix(2) == [16, 0])
        #expect(records.processes.map(\.tileData).prefix(2) == [true, false])
        #expect(Set(records.processes.map(\.loginUser)) == [1001, 0])
    }

    @Test func usualAnswersLeaveNoTrace() {
        #expect(AttributeAnswers().memoryFailure == 2)
    }

    /// The kernel tells the niceness of a real-time thread in `stat` only, and who flushes in its flags.
    @Test func whatStatTells() throws {
        let text = "7 (a b) S 1 7 7 0 -1 1572864 0 0 0 0 0 0 0 0 20 5 1 0 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
        let stat = try ProcessStat(parsing: Array(text.utf8))
        #expect(stat.flushesIO && stat.memoryFailureBits == 0 && stat.nice == 5)
        let policy = try Recordings.pipeline().sight.processes[0].threads[0].scheduling
        #expect(Recorder.record(policy, nice: stat.nice, usualSlice: 0).nice == 5)
        #expect(Recorder.record(AttributeAnswers(), stat).flushesIo)
    }

    /// The kernel sends nothing to a thread that has ended.
    @Test func timerOfAThreadThatHasEnded() throws {
        var recording = try Recordings.pipeline()
        recording.sight.processes[0].posixTimers = try Seen(
            Array("ID: 4\nsignal: 10/0000000000000001\nnotify: signal/tid.99\nClockID: 1\n".utf8))
        let recorded = recording.recorded()
        let timers = recorded.records.processes.flatMap(\.posixTimers)
        #expect(recorded.findings.isEmpty && timers.map(\.notify) == [.none] && timers.map(\.signal) == [10])
    }

    @Test func messageQueue() throws {
        var recording = try Recordings.pipeline()
        recording.sight.messageQueues = [
            MessageQueueSight(
                number: 3, key: 7, mode: 0o640, owner: 5, group: 6, limit: 100, messages: [.init(type: 2, text: "one"), .init(type: 1, text: "")],
                user: recording.sight.root)
        ]
        let queue = try #require(recording.recorded().records.messageQueues.first)
        #expect(queue.number == 3 && queue.key == 7 && queue.mode == 0o640 && queue.owner == 5 && queue.group == 6 && queue.limit == 100)
        #expect(queue.messages.map(\.type) == [2, 1] && queue.messages.map(\.text.count) == [3, 0])
    }

    /// The rules of the reader are those of the recorder.
    @Test func recordsThatNoReaderTakesAreAFinding() throws {
        for recording in [try Recordings.pipeline(), try Recordings.files(), try Recordings.namespace()] {
            try recording.recorded().requireReadable(recording.sight.root, "sh")
        }
        var recorded = try Recordings.pipeline().recorded()
        recorded.records.processes[0].dumpable = 7
        let error = #expect(throws: CaptureError.self) { try recorded.requireReadable(HostPid(7), "sh") }
        #expect(error?.exitStatus == 4 && error?.findings.first?.reason.contains("the dumpable state is out of range") == true)
    }
}
