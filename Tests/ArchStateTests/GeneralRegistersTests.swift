import ArchState
import Testing

@Suite struct GeneralRegistersTests {
    @Test func registerSetIsReadFieldByField() throws {
        // struct user_regs_struct
        let bytes: [UInt8] =
            little(UInt64(15)) + little(UInt64(14)) + little(UInt64(13)) + little(UInt64(12))  // r15 r14 r13 r12
            + little(UInt64(0x7777)) + little(UInt64(0x2222))  // rbp rbx
            + little(UInt64(11)) + little(UInt64(10)) + little(UInt64(9)) + little(UInt64(8))  // r11 r10 r9 r8
            + little(UInt64(0x1111)) + little(UInt64(0x3333)) + little(UInt64(0x4444))  // rax rcx rdx
            + little(UInt64(0x5555)) + little(UInt64(0x6666))  // rsi rdi
            + little(UInt64.max)  // orig_rax
            + little(UInt64(0x5555_5555_4000))  // rip
            + little(UInt64(0x33)) + little(UInt64(0x246))  // cs eflags
            + little(UInt64(0x7fff_0000_8888)) + little(UInt64(0x2b))  // rsp ss
            + little(UInt64(0x7f00_1122_3340)) + little(UInt64(0x1000))  // fs_base gs_base
            + little(UInt64(0)) + little(UInt64(0)) + little(UInt64(0)) + little(UInt64(0))  // ds es fs gs
        #expect(bytes.count == X86GeneralRegisters.registerSetSize)
        let registers = try X86GeneralRegisters(registerSet: bytes)
        #expect(registers == sampleRegisters())
        #expect(registers.registerSet == bytes)
    }

    @Test func recordsHaveTheirLayout() throws {
        let records = CPUState(generalRegisters: sampleRegisters()).records
        #expect(records.map(\.feature) == [1, 13])
        let general: [UInt8] =
            [1, 0, 0, 0]  // version
            + [1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]  // cs ss ds es fs gs
            + little(UInt64(0x1111)) + little(UInt64(0x2222)) + little(UInt64(0x3333))  // rax rbx rcx
            + little(UInt64(0x4444)) + little(UInt64(0x5555)) + little(UInt64(0x6666))  // rdx rsi rdi
            + little(UInt64(0x7777)) + little(UInt64(0x7fff_0000_8888))  // rbp rsp
            + (8...15).flatMap { little(UInt64($0)) }  // r8 ... r15
            + little(UInt64(0x5555_5555_4000)) + little(UInt64(0x246)) + little(UInt64.max)  // rip rflags orig_rax
        #expect(records[0].body == general)
        #expect(
            records[1].body == [1, 0, 0, 0] + little(UInt64(0x7f00_1122_3340)) + little(UInt64(0x1000)))
    }

    @Test func segmentsTranslateBothWays() {
        let all: [X86Segment] =
            [.null, .userCode64, .userCode32, .userData, .tls(0), .tls(1), .tls(2), .ldt(0), .ldt(8191)]
        for segment in all { #expect(X86Segment(selector: segment.selector) == segment) }
        #expect(X86Segment.tls(0).selector == 0x63)
        // Kernel code and data, the per-processor segment, other privilege levels.
        for selector: UInt64 in [0x10, 0x18, 0x7b, 0x28, 0x30, 0x20, 0x1_0007, .max] {
            #expect(X86Segment(selector: selector) == nil)
        }
    }

    @Test func unknownSelectorIsRefused() {
        var bytes = sampleRegisters().registerSet
        bytes[17 * 8] = 0x10
        expectRule(.unknownSelector) { try X86GeneralRegisters(registerSet: bytes) }
    }

    @Test func registerSetOfAnotherSizeIsRefused() {
        expectRule(.registerSetSize) { try X86GeneralRegisters(registerSet: Array(repeating: 0, count: 68)) }
    }
}

@Suite struct InterruptedCallTests {
    @Test(arguments: [
        (-512, InterruptedCall.restartSys), (-513, .restartNoIntr), (-514, .restartNoHand),
        (-516, .restartBlock), (-4, .eintr), (-515, .none), (-11, .none), (0, .none), (512, .none),
    ])
    func resultDecides(_ result: Int, _ expected: InterruptedCall) {
        let rax = UInt64(bitPattern: Int64(result))
        #expect(InterruptedCall(rax: rax, originalRAX: 0) == expected)
        #expect(InterruptedCall(rax: rax, originalRAX: .max) == .none)
        // A 32-bit tracer writes -1 as 32 bits; the kernel reads an int.
        #expect(InterruptedCall(rax: rax, originalRAX: 0xffff_ffff) == .none)
    }

    @Test func thirtyTwoBitResultsHaveOnlyTheirLowHalf() {
        #expect(InterruptedCall(rax: 0xffff_fdfc, originalRAX: 162, is32Bit: true) == .restartBlock)
        #expect(InterruptedCall(rax: 0xffff_fdfc, originalRAX: 35) == .none)
    }

    @Test func interruptedEpollIsMended() {
        var registers = sampleRegisters()
        registers.rax = UInt64(bitPattern: -4)
        for number: UInt64 in [232, 281, 441, 128, 65, 220, 208, 333, 426] {
            registers.originalRAX = number
            var expected = registers
            expected.rax = UInt64(bitPattern: -514)
            #expect(registers.mended() == expected)
        }
        // read, nanosleep, restart_syscall, none
        for number: UInt64 in [0, 35, 219, .max] {
            registers.originalRAX = number
            #expect(registers.mended() == registers)
        }
        // recvfrom, which is of the class only on a socket with a timeout
        registers.originalRAX = 45
        #expect(registers.mended() == registers)
        #expect(registers.mended(onTimedSocket: true).rax == UInt64(bitPattern: -514))
        // i386: epoll_wait is 256, and 232 something else
        registers.cs = .userCode32
        registers.rax = 0xffff_fffc
        registers.originalRAX = 256
        #expect(registers.mended().rax == UInt64(bitPattern: -514))
        registers.originalRAX = 232
        #expect(registers.mended() == registers)
        registers.cs = .userCode64
        registers.rax = 1
        #expect(registers.mended() == registers)
    }

    @Test func registersLeadHome() {
        var registers = sampleRegisters()
        registers.originalRAX = 7
        for (result, rax) in [(-512, 7), (-513, 7), (-514, 7), (-516, 219)] as [(Int64, UInt64)] {
            registers.rax = UInt64(bitPattern: result)
            let home = registers.registersLeadingHome()
            #expect(home.rax == rax)
            #expect(home.rip == registers.rip - 2)
        }
        for result: Int64 in [-4, 0, 5] {
            registers.rax = UInt64(bitPattern: result)
            #expect(registers.registersLeadingHome() == registers)
        }
        registers.rax = UInt64(bitPattern: -516)
        registers.originalRAX = 0x4000_0023
        #expect(registers.registersLeadingHome().rax == 0x4000_00db)
        // 64-bit code in a call that it made by int $0x80.
        registers.originalRAX = 162
        #expect(registers.registersLeadingHome(callIs32Bit: true).rax == 0)
        registers.originalRAX = 7
        registers.cs = .userCode32
        #expect(registers.registersLeadingHome().rax == 0)
        registers.originalRAX = .max
        #expect(registers.registersLeadingHome() == registers)
    }

    @Test func callsHaveNames() {
        #expect(SystemCallNumbers.name(0) == "read")
        #expect(SystemCallNumbers.name(435) == "clone3")
        #expect(SystemCallNumbers.name(462) == "mseal")
        #expect(SystemCallNumbers.number(of: "epoll_pwait2") == 441)
        #expect(SystemCallNumbers.number(of: "") == nil)
        #expect(SystemCallNumbers.name(400) == nil)
        #expect(SystemCallNumbers.name(-1) == nil)
        #expect(SystemCallNumbers.label(4711) == "syscall 4711")
        #expect(SystemCallNumbers.restart_syscall == 219)
        for number in 0..<500 {
            if let name = SystemCallNumbers.name(number) { #expect(SystemCallNumbers.number(of: name) == number) }
        }
    }
}
