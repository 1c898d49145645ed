import CheckpointImage
import LinuxABI
import Testing

@testable import RestorePlan

/// Operations that are undone at the end of a task (SEM_UNDO).
@Suite struct SemaphoreUndoTests {
    /// The kernel's own arithmetic: no value leaves 0...SEMVMX, the value is the same at the end, and what is undone adds up.
    @Test(arguments: [(1, 0), (-7, 7), (20000, 30000), (-20000, 30000), (32767, 0), (32767, 32767), (-32768, 0), (-32768, 16000), (1, 32767), (-1, 32767)])
    func pairs(adjustment: Int, value: Int) {
        var (now, undone) = (value, 0)
        for operation in SemaphoreUndoPlan.operations(3, adjustment: adjustment, value: value) {
            now += Int(operation.change)
            #expect((0...32767).contains(now) && operation.index == 3)
            if operation.isUndone { undone -= Int(operation.change) }
            #expect((-32768...32767).contains(undone))
        }
        #expect(now == value && undone == adjustment)
    }

    @Test func bytesOfAnOperation() {
        let operation = SemaphoreUndoPlan.Operation(index: 0x102, change: -2, isUndone: true)
        #expect(operation.bytes == [0x02, 0x01, 0xfe, 0xff, 0x00, 0x18])
        #expect(SemaphoreUndoPlan.Operation(index: 0, change: 1, isUndone: false).bytes == [0, 0, 1, 0, 0, 0x08])
    }

    /// A call holds as many operations as every kernel takes.
    @Test func calls() {
        var undo = ImageSemaphoreUndo()
        undo.thread = 5
        undo.adjustments = [Int32](repeating: 1, count: 40)
        let plan = SemaphoreUndoPlan(undo, values: [UInt32](repeating: 1, count: 40))
        #expect(plan.thread == 5 && plan.calls.map(\.count) == [192, 192, 96])
        #expect(plan.calls.allSatisfy { $0.count <= SemaphoreUndoPlan.room })
    }

    /// A set of two semaphores, the first of which the root would give back; here it is `values`.
    private func sample(_ values: [UInt32]?, changers: [UInt32] = [4711, 0]) -> Sample {
        var sample = Sample()
        var set = ImageSemaphoreSet()
        (set.id, set.number, set.key, set.mode) = (1, 5, 0x77, 0o600)
        (set.values, set.users) = ([0, 2], [4711])
        var undo = ImageSemaphoreUndo()
        (undo.thread, undo.adjustments) = (sample.records.threads[0].tid, [1, 0])
        set.undo = [undo]
        sample.records.semaphoreSets = [set]
        if let values { sample.facts.semaphoreSets[5] = HostFacts.SemaphoreSet(key: 0x77, values: values, changers: changers) }
        return sample
    }

    @Test func setThatIsGoneAndSetThatTheEndOfTheTreeChanged() throws {
        let made = try sample(nil).valid().semaphores[0]
        #expect(made.isMade && made.undo.map(\.calls.count) == [1])
        let used = try sample([1, 2]).valid().semaphores[0]
        #expect(!used.isMade && used.changes == [0])
        #expect(RestorePlan(for: try sample([1, 2]).valid()).undoRoom != 0)
    }

    /// A restart that failed has set the value back; another process has not.
    @Test func changedByARestartThatFailed() throws {
        #expect(try sample([1, 2], changers: [9, 0]).valid().semaphores[0].changes == [0])
        #expect(try sample([5, 2], changers: [9, 0]).findings().contains { $0.contains("semaphore 0 was 0 and is 5: changed by 9, which has ended") })
    }

    /// Two trees would give back what was taken once.
    @Test func treeThatHasNotEnded() throws {
        #expect(try sample([0, 2]).findings().contains { $0.contains("semaphore 0 is 0, as at the checkpoint: a task of the tree has operations to undo on it (SEM_UNDO), and has not ended") })
        var (values, changers): ([UInt32], [UInt32]) = ([0, 2], [0, 0])
        SemaphorePlan.foresee(endOf: sample(nil).records.semaphoreSets[0], &values, &changers)
        #expect(values == [1, 2] && changers == [4711, 0])
    }

    @Test func taskThatMayNotChangeTheSetAnyMore() throws {
        var sample = sample(nil)
        sample.facts.ownCredentials.permitted = .max
        sample.records.threads[0].credentials.effective = 0
        sample.records.threads[0].credentials.effectiveUser = 1000
        sample.records.threads[0].credentials.effectiveGroup = 1000
        #expect(try sample.findings().contains { $0.contains("has operations to undo on it (SEM_UNDO), and may not change it any more") })
    }
}
