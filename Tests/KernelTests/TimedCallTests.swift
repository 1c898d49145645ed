import Testing

@testable import Kernel

@Suite struct TimedCallTests {
    @Test func callOfASleeper() {
        let text = "232 0x4 0x7ffd00000010 0x1 0x1388 0x0 0x8 0x7ffd00000000 0x7f0000001234\n"
        #expect(
            LastSleep.parseCall(Array(text.utf8))
                == [232, 4, 0x7ffd_0000_0010, 1, 5000, 0, 8, 0x7f00_0000_1234, 0x7ffd_0000_0000])
        for other in ["running\n", "-1 0x7ffd00000000 0x7f0000001234\n", "", "232 0x4\n"] {
            #expect(LastSleep.parseCall(Array(other.utf8)) == nil)
        }
    }

    @Test func timeOfTheLastRun() {
        let text = """
            sleep (123, #threads: 1)
            -------------------------------------------------------------------
            se.exec_start                                :       7107715.484783
            se.vruntime                                  :        178398.399190

            """
        #expect(LastSleep.parseLastRun(Array(text.utf8)) == 7_107_715_484_783)
        #expect(LastSleep.parseLastRun(Array("se.exec_start : 5\n".utf8)) == nil)
        #expect(LastSleep.parseLastRun([]) == nil)
    }

    @Test func processorOfATask() {
        let fields = (3...52).map(String.init).joined(separator: " ")
        #expect(LastSleep.parseProcessor(Array("123 (a) b) \(fields)\n".utf8)) == 39)
        #expect(LastSleep.parseProcessor(Array("123 (a".utf8)) == nil)
    }

    /// A task that has just gone to sleep: not before we looked at it first, not after.
    @Test func lastSleepOfARealTask() throws {
        let before = SystemClock.monotonic.now()
        let pid = try Child.spawn(["/bin/sleep", "5"])
        defer { Child.end(pid) }
        try #require(Child.waitForCall(of: pid, in: [35, 230]))
        var clocks = ProcessorClocks()
        let sleep = try #require(LastSleep(of: pid, &clocks))
        #expect([35, 230].contains(sleep.call[0]) && sleep.sleeps > 0)
        // Generous: the scheduler's clock leaves out what interrupts took.
        let slack: Int64 = 200_000_000
        #expect(sleep.since > before - slack && sleep.since < SystemClock.monotonic.now() + slack)
    }

    @Test func processorTime() throws {
        // CLOCK_PROCESS_CPUTIME_ID of a task as the kernel keeps it: the scheduler's count.
        func clock(of task: Int32) -> Int32 { ~task << 3 | 2 }
        #expect(try ProcessorTime.now(onClock: clock(of: Processes.ownPid)) > 0)
        #expect(throws: SystemError.self) { try ProcessorTime.now(onClock: clock(of: 4_194_303)) }
    }

    @Test func roomInTheSlack() {
        // A page of code of which the last 300 bytes are zero, with a stub of 90 bytes at the end.
        let code = [UInt8](repeating: 0xcc, count: 4096 - 300) + [UInt8](repeating: 0, count: 300)
        let slots = TimeSlots(vdsoEnd: 0x7000_1000, code: code, stubSize: 90)
        #expect(slots.end == 0x7000_1000 - 96 && slots.start == 0x7000_1000 - 288)
        #expect(slots.count == 12)
        #expect(slots.free(besides: []) == slots.start)
        #expect(slots.free(besides: [slots.start, slots.start + 16]) == slots.start + 32)
        #expect(slots.free(besides: Set(stride(from: slots.start, to: slots.end, by: 16))) == nil)
        #expect(slots.contains(slots.start + 16) && !slots.contains(slots.start + 8) && !slots.contains(slots.end))
        // No slack at all.
        let full = TimeSlots(vdsoEnd: 0x7000_1000, code: [UInt8](repeating: 1, count: 4096), stubSize: 90)
        #expect(full.count == 0 && full.free(besides: []) == nil)
    }
}
