import ArchState
import CheckpointImage
import Testing

@testable import RestorePlan

/// What a restarted tree's clocks show and what is left of its deadlines.
@Suite struct TimePlanTests {
    private static let second: Int64 = 1_000_000_000

    /// Stopped at real time 1000 s, monotonic 100 s, boot time 200 s of its host.
    private func header(bootID: String = "here") -> ImageHeader {
        var header = ImageHeader()
        header.bootID = bootID
        header.begin.realtime = 1000 * Self.second
        header.begin.monotonic = 100 * Self.second
        header.begin.boottime = 200 * Self.second
        return header
    }

    private func plan(
        _ model: TimeModel, _ header: ImageHeader, offsets: (monotonic: Int64, boottime: Int64) = (0, 0), mayMakeNamespace: Bool = true
    ) -> TimePlan {
        TimePlan(header, offsets: offsets, model: model, bootID: "here", mayMakeNamespace: mayMakeNamespace)
    }

    /// 30 s later, of which the machine slept 5.
    private let later = TimePlan.Instant(realtime: 1030 * second, monotonic: 125 * second, boottime: 230 * second)

    @Test func relativeTimeGoesOnWhereItWas() {
        let plan = plan(.relative, header())
        #expect(plan.usesNamespace)
        let offsets = plan.offsets(at: later)
        #expect(offsets.monotonic == -25 * Self.second)
        #expect(offsets.boottime == -30 * Self.second)
        #expect(plan.remaining(of: 7, clock: 1, at: later) == 7)
        #expect(plan.deadline(left: 7, clock: 1) == 100 * Self.second + 7)
        #expect(plan.deadline(left: 7, clock: 7) == 200 * Self.second + 7)
        #expect(plan.deadline(left: 7, clock: 0) == nil)
    }

    @Test func absoluteTimeOnTheSameBootLeavesTheClocksAlone() {
        let plan = plan(.absolute, header())
        #expect(!plan.usesNamespace)
        #expect(plan.offsets(at: later) == (0, 0))
        let minute = UInt64(60 * Self.second)
        #expect(plan.remaining(of: minute, clock: 0, at: later) == UInt64(30 * Self.second))
        #expect(plan.remaining(of: minute, clock: 1, at: later) == UInt64(35 * Self.second))
        #expect(plan.remaining(of: minute, clock: 7, at: later) == UInt64(30 * Self.second))
        #expect(plan.remaining(of: 5, clock: 1, at: later) == 0)
        // CPU time does not go by.
        #expect(plan.remaining(of: 5, clock: 2, at: later) == 5)
    }

    @Test func absoluteTimeAfterARebootCountsRealTime() {
        let plan = plan(.absolute, header(bootID: "another"))
        #expect(plan.usesNamespace)
        let rebooted = TimePlan.Instant(realtime: 1030 * Self.second, monotonic: 4 * Self.second, boottime: 4 * Self.second)
        let offsets = plan.offsets(at: rebooted)
        #expect(rebooted.monotonic + offsets.monotonic == 130 * Self.second)
        #expect(rebooted.boottime + offsets.boottime == 230 * Self.second)
    }

    @Test func absoluteTimeKeepsANamespaceThatTheTreeHad() {
        let plan = plan(.absolute, header(), offsets: (3, 4))
        #expect(plan.usesNamespace)
        #expect(plan.offsets(at: later) == (3, 4))
    }

    @Test func relativeTimeOfATreeThatHadANamespace() {
        let plan = plan(.relative, header(), offsets: (-50 * Self.second, 0))
        #expect(plan.offsets(at: later).monotonic == -75 * Self.second)
        #expect(plan.deadline(left: 1, clock: 1) == 50 * Self.second + 1)
    }

    @Test func withoutANamespaceDeadlinesAreTheHosts() {
        let plan = plan(.relative, header(), mayMakeNamespace: false)
        #expect(!plan.usesNamespace)
        #expect(plan.deadline(left: 7, clock: 1) == nil)
        #expect(plan.remaining(of: 7, clock: 1, at: later) == 7)
    }

    @Test func aClockThatWasSetBackTakesNothingAway() {
        let plan = plan(.absolute, header(bootID: "another"))
        let earlier = TimePlan.Instant(realtime: 990 * Self.second, monotonic: 1, boottime: 1)
        #expect(plan.remaining(of: 9, clock: 1, at: earlier) == 9)
    }

    @Test func timesOfTimersAreNeverZero() {
        let plan = plan(.absolute, header())
        let micros = ReleaseTime(address: 0, unit: .microseconds, left: 5, clock: 1)
        #expect(micros.words(plan, at: later, untilRelease: 0) == [0, 1])
        #expect(micros.words(plan, at: later, untilRelease: 1_500_000_000) == [1, 500_000])
        let nanos = ReleaseTime(address: 0, unit: .nanoseconds, left: 26 * UInt64(Self.second) + 7, clock: 1)
        #expect(nanos.words(plan, at: later, untilRelease: 1) == [1, 8])
    }

    /// Points in time that lie in the program's memory: only a time namespace keeps their distance.
    @Test func callsUntilTheirOwnDeadline() throws {
        func found(_ number: UInt64, result: Int64 = -514, _ change: (inout X86GeneralRegisters) -> Void) throws -> [String] {
            var registers = X86GeneralRegisters()
            registers.rip = 0x40_0000
            registers.originalRAX = number
            registers.rax = UInt64(bitPattern: result)
            change(&registers)
            var sample = Sample()
            sample.records.threads[1].name = [UInt8]("worker".utf8).asData
            sample.records.threads[1].cpu = CPUState(generalRegisters: registers).records.map {
                var record = ImageCpuRecord()
                record.feature = $0.feature
                record.body = $0.body.asData
                return record
            }
            return try sample.valid().waitsUntilOwnDeadline
        }
        // clock_nanosleep(clock, TIMER_ABSTIME, ...)
        #expect(try found(230) { ($0.rdi, $0.rsi) = (1, 1) } == ["101 worker (clock_nanosleep)"])
        #expect(try found(230) { ($0.rdi, $0.rsi) = (7, 1) } == ["101 worker (clock_nanosleep)"])
        #expect(try found(230) { ($0.rdi, $0.rsi) = (0, 1) } == [])
        #expect(try found(230, result: -516) { ($0.rdi, $0.rsi) = (1, 0) } == [])
        #expect(try found(230, result: 0) { ($0.rdi, $0.rsi) = (1, 1) } == [])
        // futex(word, FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG, 0, time): FUTEX_LOCK_PI is on the real-time clock.
        #expect(try found(202, result: -513) { ($0.rsi, $0.r10) = (141, 0x5000) } == ["101 worker (futex)"])
        #expect(try found(202, result: -513) { ($0.rsi, $0.r10) = (134, 0x5000) } == [])
        #expect(try found(202, result: -513) { ($0.rsi, $0.r10) = (141, 0) } == [])
        // futex_waitv(waiters, count, 0, time, clock), futex_wait(word, value, mask, flags, time, clock)
        #expect(try found(449, result: -512) { ($0.r10, $0.r8) = (0x5000, 1) } == ["101 worker (futex_waitv)"])
        #expect(try found(449, result: -512) { ($0.r10, $0.r8) = (0x5000, 0) } == [])
        #expect(try found(455, result: -512) { ($0.r8, $0.r9) = (0x5000, 1) } == ["101 worker (futex_wait)"])
        #expect(try found(455, result: -512) { ($0.r8, $0.r9) = (0, 1) } == [])
    }
}
