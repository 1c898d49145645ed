import ArchState
import Testing

@testable import CheckpointImage

@Suite struct ThreadActivityTests {
    private static func thread(
        result: Int64, number: UInt64, _ change: (inout X86GeneralRegisters, inout ImageThread) -> Void = { _, _ in }
    ) -> ImageThread {
        var registers = X86GeneralRegisters()
        registers.rip = 0x40_1000
        registers.rsp = 0x7000_0000
        registers.rax = UInt64(bitPattern: result)
        registers.originalRAX = number
        var thread = ImageThread()
        change(&registers, &thread)
        thread.cpu = CPUState(generalRegisters: registers).records.map { record in
            var image = ImageCpuRecord()
            image.feature = record.feature
            image.body = record.body.asData
            return image
        }
        return thread
    }

    private static func activity(
        result: Int64, number: UInt64, _ change: (inout X86GeneralRegisters, inout ImageThread) -> Void = { _, _ in }
    ) -> String {
        ThreadActivity(of: thread(result: result, number: number, change)).description
    }

    @Test func running() {
        #expect(Self.activity(result: 17, number: .max) == "running")
        // The call is over.
        #expect(Self.activity(result: 5, number: 0) == "running")
    }

    @Test func restartBlocks() {
        #expect(
            Self.activity(result: -516, number: 35) { _, thread in
                thread.restartBlock.kind = .nanosleep
                thread.restartBlock.hasTimeout_p = true
                thread.restartBlock.remaining = 1_509_999_999
            } == "in nanosleep, 1.50 s left")
        #expect(
            Self.activity(result: -516, number: 7) { _, thread in
                thread.restartBlock.kind = .poll
                thread.restartBlock.count = 2
                thread.restartBlock.hasTimeout_p = true
                thread.restartBlock.remaining = 3_200_000_000
            } == "in poll on 2 descriptors, 3.20 s left")
        #expect(
            Self.activity(result: -516, number: 230) { _, thread in
                thread.restartBlock.kind = .cpuNanosleep
                thread.restartBlock.hasTimeout_p = true
                thread.restartBlock.remaining = 50_000_000
            } == "in clock_nanosleep, 0.05 s of processor time left")
    }

    /// At the second interruption the kernel has forgotten the number.
    @Test func secondInterruption() {
        #expect(
            Self.activity(result: -516, number: 219) { _, thread in
                thread.restartBlock.kind = .poll
                thread.restartBlock.count = 1
            } == "in poll on 1 descriptor")
        #expect(
            Self.activity(result: -516, number: 219) { _, thread in
                thread.restartBlock.kind = .futex
                thread.restartBlock.hasTimeout_p = true
            } == "in futex, 0.00 s left")
    }

    @Test func repeatedCalls() {
        #expect(Self.activity(result: -512, number: 0) { registers, _ in registers.rdi = 3 } == "in read of descriptor 3")
        #expect(Self.activity(result: -514, number: 34) == "in pause")
        #expect(Self.activity(result: -513, number: 202) == "in futex")
        #expect(
            Self.activity(result: -514, number: 232) { registers, thread in
                registers.rdi = 5
                thread.timeout.remaining = 250_000_000
            } == "in epoll_wait of descriptor 5, 0.25 s left")
        #expect(
            Self.activity(result: -514, number: 271) { registers, thread in
                registers.rsi = 4
            } == "in ppoll on 4 descriptors")
        #expect(Self.activity(result: -512, number: 9999) == "in system call 9999")
    }

    /// Numbers of i386, from 32-bit code and from 64-bit code that made the call by `int $0x80`.
    @Test func callsOf32BitTasks() {
        #expect(
            Self.activity(result: -512, number: 3) { registers, _ in
                registers.cs = .userCode32
                registers.rbx = 7
            } == "in read of descriptor 7")
        #expect(
            Self.activity(result: -516, number: 0) { registers, thread in
                registers.cs = .userCode32
                thread.restartBlock.kind = .nanosleep
                thread.restartBlock.hasTimeout_p = true
                thread.restartBlock.remaining = 1_000_000_000
            } == "in nanosleep, 1.00 s left")
        #expect(
            Self.activity(result: -514, number: 256) { registers, thread in
                thread.callIs32Bit = true
                registers.rbx = 5
            } == "in epoll_wait of descriptor 5")
    }

    @Test func otherArchitectures() {
        var thread = ImageThread()
        thread.call = 115
        #expect(ThreadActivity(of: thread).description == "in system call 115")
        var record = ImageCpuRecord()
        record.feature = UInt32(CPUFeature.armGeneral.rawValue)
        thread.cpu = [record]
        #expect(ThreadActivity(of: thread).description == "in clock_nanosleep")
        thread.timeout.remaining = 1_500_000_000
        thread.call = 22
        #expect(ThreadActivity(of: thread).description == "in epoll_pwait, 1.50 s left")
        thread.restartBlock.kind = .futex
        thread.restartBlock.hasTimeout_p = true
        thread.restartBlock.remaining = 20_000_000
        thread.call = 128
        #expect(ThreadActivity(of: thread).description == "in futex, 0.02 s left")
        thread.call = .max
        #expect(ThreadActivity(of: thread).description == "in system call 9223372036854775807, 0.02 s left")
        thread.call = -1
        #expect(ThreadActivity(of: thread).description == "running")
    }
}
