import CheckpointImage
import Testing

@Suite struct CPUClockTests {
    /// CLOCK_PROCESS_CPUTIME_ID as the kernel keeps it in a restart block: the caller's own, the scheduler's count.
    @Test func otherTasksClocks() throws {
        let own = try #require(CPUClock(-6))
        #expect(own.task == 0 && !own.isOfThread)
        let other = own.of(task: 4711)
        #expect(other.task == 4711 && !other.isOfThread && other.number & 3 == 2)
        #expect(CPUClock(other.number) == other)
    }

    @Test func threadsAndDevices() {
        #expect(CPUClock(~99 << 3 | 6)?.isOfThread == true)
        #expect(CPUClock(~99 << 3 | 3) == nil)
        #expect(CPUClock(1) == nil)
    }
}
