import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// Steps and refusals of attributes that prctl(2) and its like set, and of message queues.
@Suite struct AttributePlanTests {
    private func notes(_ sample: Sample, of index: Int = 0) throws -> [String] {
        RestorePlan(for: try sample.valid()).launchpad.programs[index].steps.map { "\($0.name) \($0.note)" }
    }

    /// The check before a tree is ended makes no notes; nothing else of the plan is different.
    @Test func planWithoutNotes() throws {
        var sample = Sample()
        sample.shareFile()
        sample.records.threads[0].attributes.timeStampFaults = true
        let valid = try sample.valid()
        let (plan, bare) = (RestorePlan(for: valid), RestorePlan(for: valid, hasNotes: false))
        #expect(bare.launchpad.programs.allSatisfy { $0.steps.allSatisfy(\.note.isEmpty) })
        for (program, other) in zip(plan.launchpad.programs, bare.launchpad.programs) {
            #expect(program.steps.contains { !$0.note.isEmpty })
            var steps = program.steps
            for index in steps.indices { steps[index].note = "" }
            #expect(steps == other.steps && program.title == other.title)
        }
        // In words all the same, when one fails.
        for (index, step) in plan.launchpad.programs[0].steps.enumerated() { #expect(bare.line(of: index, in: 0) == step.line) }
        #expect(plan.launchpad.programs.count == bare.launchpad.programs.count && plan.layout.addresses == bare.layout.addresses)
    }

    @Test func attributesAreSetAfterCredentials() throws {
        var sample = Sample()
        sample.facts.mayRaiseLimits = true
        sample.facts.ownSpeculation = [3, 3, 0]
        sample.records.threads[0].credentials.realUser = 5
        sample.records.threads[0].attributes.timeStampFaults = true
        sample.records.threads[0].attributes.processorIDFaults = true
        sample.records.threads[0].attributes.memoryFailure = 2
        sample.records.threads[0].attributes.flushesIo = true
        sample.records.threads[0].attributes.storeBypass = 5
        sample.records.threads[0].attributes.indirectBranch = 3
        let all = try notes(sample)
        let credentials = try #require(all.firstIndex { $0.hasPrefix("setresuid") })
        let flusher = try #require(all.firstIndex { $0.contains("PR_SET_IO_FLUSHER") })
        #expect(flusher < credentials)
        for note in ["PR_MCE_KILL", "ARCH_SET_CPUID", "PR_SET_TSC"] {
            let place = try #require(all.firstIndex { $0.contains(note) }, "no \(note)")
            #expect(place > credentials)
        }
        #expect(all.count { $0.contains("PR_SET_SPECULATION_CTRL") } == 1)
        #expect(try notes(sample, of: 1).allSatisfy { !$0.contains("PR_SET_TSC") })
    }

    @Test func hostsThatLackAnAttribute() throws {
        var sample = Sample()
        sample.facts.mayFaultProcessorID = false
        sample.facts.ownSpeculation = [2, 0, 0]
        sample.facts.memoryBarriers = 16
        sample.records.threads[0].attributes.processorIDFaults = true
        sample.records.threads[0].attributes.flushesIo = true
        sample.records.threads[1].attributes.storeBypass = 9
        sample.records.processes[0].memoryBarriers = 16 | 64
        let lines = try sample.findings()
        #expect(lines.count == 4)
        for word in ["ARCH_SET_CPUID", "PR_SET_IO_FLUSHER", "PR_SET_SPECULATION_CTRL", "membarrier"] {
            #expect(lines.contains { $0.contains(word) }, "\(word) is not in \(lines)")
        }
    }

    @Test func barriersOfMemory() throws {
        var sample = Sample()
        sample.records.processes[0].memoryBarriers = 4 | 256
        #expect(try notes(sample).count { $0 == "membarrier membarrier registration" } == 2)
    }

    @Test func nicenessUnderAnotherPolicy() throws {
        var sample = Sample()
        sample.records.threads[0].scheduling.policy = 2
        sample.records.threads[0].scheduling.priority = 3
        sample.records.threads[0].scheduling.nice = 7
        let all = try notes(sample)
        let policy = try #require(all.firstIndex { $0.hasPrefix("sched_setattr") })
        #expect(all[policy + 1] == "setpriority nice value")
    }

    @Test func loginUser() throws {
        var sample = Sample()
        sample.facts.hasLoginUsers = true
        sample.records.processes[0].loginUser = 1001
        #expect(try !notes(sample).contains { $0.contains("loginuid") })
        #expect(try sample.valid().attributeNotices.count == 1)
        sample.facts.mayChangeLoginUser = true
        #expect(try notes(sample).contains { $0 == "write loginuid" })
        #expect(try sample.valid().attributeNotices.isEmpty)
    }

    // MARK: Message queues

    private func queue(_ change: (inout HostFacts.MessageQueues) -> Void) -> Sample {
        var sample = Sample()
        var queue = ImageMessageQueue()
        queue.id = 1
        queue.number = 5
        queue.key = 0x77
        queue.limit = 16384
        queue.messages = [ImageQueuedMessage()]
        queue.messages[0].type = 1
        queue.messages[0].text = [UInt8]("text".utf8).asData
        sample.records.messageQueues = [queue]
        change(&sample.facts.messageQueues)
        return sample
    }

    @Test func queueThatStillExistsIsUsed() throws {
        let plan = try queue { $0.keys = [5: 0x77] }.valid().messageQueues
        #expect(plan.map(\.isMade) == [false])
    }

    @Test func queueThatIsGoneIsMade() throws { #expect(try queue { _ in }.valid().messageQueues.map(\.isMade) == [true]) }

    @Test func queuesThatCannotBeMade() throws {
        let cases: [(sample: Sample, reason: String)] = [
            (queue { $0.keys = [5: 0x78] }, "its number belongs to another queue here (ipcrm -q 5 removes that one)"),
            (queue { $0.keys = [9: 0x77] }, "its key belongs to queue 9 here (ipcrm -q 9 removes that one)"),
            (queue { $0.mayChooseNumbers = false }, "is gone, and cannot be made again with its number"),
            (queue { $0.largestQueue = 16383 }, "holds up to 16384 bytes, 16383 are allowed here"),
            (queue { $0.longestMessage = 3 }, "holds a message of 4 bytes, 3 are allowed here"),
        ]
        for (sample, reason) in cases {
            let lines = try sample.findings()
            #expect(lines.count == 1 && lines[0].contains("message queue 5 (key 0x77): \(reason)"), "\(lines)")
        }
    }
}
