import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// POSIX message queues without a name, and who is told of the next message.
@Suite struct QueueMakerTests {
    private func queue(removed: UInt32 = 0) -> ImageQueueFile {
        var queue = ImageQueueFile()
        queue.name = Array("jobs".utf8).asData
        (queue.mostMessages, queue.longestMessage, queue.mode, queue.removed) = (7, 100, 0o640, removed)
        return queue
    }

    private func steps(_ sample: Sample, of index: Int = 0) throws -> [Step] {
        RestorePlan(for: try sample.valid()).launchpad.programs[index].steps
    }

    /// Made once for both open files, its name gone before anything else is done with it.
    @Test func queueWithoutName() throws {
        var sample = Sample()
        var first = queue(removed: 9)
        var message = ImageQueueMessage()
        (message.priority, message.text) = (5, Array("text".utf8).asData)
        (first.contents, first.messages) = ([message], 1)
        let one = sample.addFile(.queue(first), at: [(0, 7)])
        let two = sample.addFile(.queue(queue(removed: 9)), at: [(0, 8)])
        sample.records.openFiles[one].flags = OpenFlag.O_RDWR
        sample.records.openFiles[two].flags = OpenFlag.O_RDONLY | OpenFlag.O_NONBLOCK
        let steps = try steps(sample)
        let made = try #require(steps.firstIndex { $0.name == "mq_open" })
        #expect(steps[made + 1].name == "mq_unlink" && steps.count { $0.name == "mq_open" } == 1)
        let sent = try #require(steps.first { $0.name == "mq_timedsend" })
        #expect(sent.arguments[2...4] == [4, 5, 0])
        let opened = steps[made...].filter { $0.name == "openat" }.compactMap { step -> UInt64? in if case .value(let flags) = step.arguments[2] { flags } else { nil } }
        #expect(opened.prefix(2).map { UInt32($0) & (OpenFlag.O_ACCMODE | OpenFlag.O_NONBLOCK) } == [OpenFlag.O_RDWR, OpenFlag.O_RDONLY | OpenFlag.O_NONBLOCK])
        #expect(steps.contains { $0.name == "fchmod" && $0.arguments[1] == 0o640 })
        #expect(sample.facts.queueRequests(of: try sample.image()).isEmpty)
    }

    /// The process that is told asks for it itself.
    @Test(arguments: [SignalEvent.SIGEV_SIGNAL, SignalEvent.SIGEV_NONE, SignalEvent.SIGEV_THREAD]) func notification(_ method: UInt32) throws {
        var sample = Sample()
        var one = queue()
        one.notification.process = sample.records.processes[1].pid
        (one.notification.method, one.notification.signal, one.notification.value, one.notification.descriptor) = (method, 35, 77, 6)
        if method == SignalEvent.SIGEV_THREAD { one.notification.cookie = [UInt8](repeating: 1, count: 32).asData }
        let file = sample.addFile(.queue(one), at: [(0, 7), (1, 8)])
        sample.records.openFiles[file].flags = OpenFlag.O_RDWR
        #expect(try !steps(sample).contains { $0.name == "mq_notify" })
        let child = try steps(sample, of: 1)
        let notified = try #require(child.first { $0.name == "mq_notify" })
        #expect(notified.arguments[0] == 8)
    }
}
