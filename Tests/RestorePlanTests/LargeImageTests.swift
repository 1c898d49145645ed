import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// Reading and planning take time by the size of an image, not by its square: a quadratic loop would take these tests minutes.
@Suite struct LargeImageTests {
    private static let count: UInt32 = 30_000

    private func plan(_ sample: Sample) throws -> RestorePlan {
        var sample = sample
        sample.options.newPidNamespace = true
        return RestorePlan(for: try sample.valid())
    }

    @Test func aChainOfProcesses() throws {
        var sample = Sample()
        for pid in 1...Self.count { sample.addProcess(1000 + pid, parent: pid == 1 ? 101 : 999 + pid) }
        #expect(try plan(sample).processCount == Int(Self.count) + 2)
    }

    @Test func manyZombies() throws {
        var sample = Sample()
        for pid in 1...Self.count {
            var zombie = ImageProcess()
            zombie.pid = 1000 + pid
            zombie.parent = 101
            zombie.group = 100
            zombie.session = 100
            zombie.state = .zombie
            zombie.exitSignal = 17
            zombie.pidNamespace = 1
            sample.records.processes.append(zombie)
        }
        #expect(try plan(sample).zombieCount == Int(Self.count))
    }

    @Test func manyTimersWithSignals() throws {
        var sample = Sample()
        // Appending to a field of a message would copy the list each time.
        sample.records.processes[0].posixTimers = (0..<Self.count).map(Sample.timer)
        sample.records.processes[0].pending = (0..<Self.count).map(Sample.timerSignal)
        let steps = try plan(sample).launchpad.programs[0].steps
        #expect(steps.count { $0.name == "timer_settime" } == Int(Self.count))
    }
}
