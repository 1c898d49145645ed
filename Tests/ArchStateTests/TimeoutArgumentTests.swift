import Testing

@testable import ArchState

@Suite struct TimeoutArgumentTests {
    @Test(arguments: [
        (232 as UInt64, TimeoutArgument.Register.r10, TimeoutArgument.Form.milliseconds), (281, .r10, .milliseconds),
        (441, .r10, .timespec), (220, .r10, .timespec), (128, .rdx, .timespec), (208, .r8, .timespec),
        (333, .r8, .timespec), (23, .r8, .timeval), (270, .r8, .timespec), (271, .rdx, .timespec),
    ])
    func whereItIs(number: UInt64, register: TimeoutArgument.Register, form: TimeoutArgument.Form) throws {
        let argument = try #require(TimeoutArgument(ofCall: number))
        #expect(argument.register == register && argument.form == form)
    }

    /// Restart blocks keep theirs; semop and read have none.
    @Test(arguments: [UInt64(0), 7, 35, 65, 202, 230, .max])
    func callsWithout(number: UInt64) {
        #expect(TimeoutArgument(ofCall: number) == nil)
    }

    @Test func bytesRoundUp() throws {
        let exact = try #require(TimeoutArgument(ofCall: 441))
        #expect(exact.bytes(nanoseconds: 2_000_000_003) == [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
        let micro = try #require(TimeoutArgument(ofCall: 23))
        #expect(micro.bytes(nanoseconds: 1_000_002_001) == [1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
        #expect(TimeoutArgument.milliseconds(nanoseconds: 0) == 0)
        #expect(TimeoutArgument.milliseconds(nanoseconds: 1_000_001) == 2)
        #expect(TimeoutArgument.milliseconds(nanoseconds: .max) == 0x7fff_ffff)
    }

    @Test func structuresThatTheKernelRefuses() throws {
        let exact = try #require(TimeoutArgument(ofCall: 441))
        #expect(exact.nanoseconds(of: exact.bytes(nanoseconds: 5_000_000_007)) == 5_000_000_007)
        #expect(exact.nanoseconds(of: [UInt8](repeating: 0xff, count: 16)) == nil)
        #expect(exact.nanoseconds(of: []) == nil)
        let micro = try #require(TimeoutArgument(ofCall: 23))
        #expect(micro.nanoseconds(of: micro.bytes(nanoseconds: 7_000)) == 7_000)
    }

    @Test func onlyCallsThatAreMadeAgain() {
        var registers = X86GeneralRegisters()
        registers.originalRAX = 232
        registers.r10 = 1000
        registers.rax = UInt64(bitPattern: -4)
        #expect(registers.timeoutOfRepeatedCall() == nil)
        let mended = registers.mended()
        #expect(mended.timeoutOfRepeatedCall() != nil)
        // Without end.
        var endless = mended
        endless.r10 = UInt64(UInt32.max)
        #expect(endless.timeoutOfRepeatedCall() == nil)
        var without = mended
        without.originalRAX = 441
        without.r10 = 0
        #expect(without.timeoutOfRepeatedCall() == nil)
    }

    /// select whose time cannot be written, and fallocate, answer EINTR like the others.
    @Test(arguments: [UInt64(23), 270, 271, 285, 232, 65])
    func stopsThatAreNotSeen(number: UInt64) {
        var registers = X86GeneralRegisters()
        registers.originalRAX = number
        registers.rax = UInt64(bitPattern: -4)
        #expect(registers.mended().interruptedCall == .restartNoHand)
        registers.originalRAX = 45  // recvfrom: only on a socket with a timeout
        #expect(registers.mended() == registers)
        #expect(registers.mended(onTimedSocket: true).interruptedCall == .restartNoHand)
    }

    /// By i386 numbers: where, and of which width.
    @Test(arguments: [
        (256, TimeoutArgument.Register.rsi, TimeoutArgument.Form.milliseconds), (319, .rsi, .milliseconds),
        (441, .rsi, .paddedTimespec), (177, .rdx, .timespec32), (421, .rdx, .paddedTimespec),
        (420, .rsi, .paddedTimespec),
        (247, .rdi, .timespec32), (385, .rdi, .timespec32), (416, .rdi, .paddedTimespec), (142, .rdi, .timeval32),
        (308, .rdi, .timespec32), (413, .rdi, .paddedTimespec), (309, .rdx, .timespec32),
        (414, .rdx, .paddedTimespec),
    ])
    func whereItIsInCompatCalls(number: Int, register: TimeoutArgument.Register, form: TimeoutArgument.Form) throws {
        let call = X86GeneralRegisters().call(number, is32Bit: true)
        let argument = try #require(TimeoutArgument(of: call))
        #expect(argument.register == register && argument.form == form)
    }

    /// select of old passes all by address; nanosleep, poll and futex have restart blocks; semop has none.
    @Test(arguments: [82, 162, 168, 240, 422, 267, 407, 3, 232])
    func compatCallsWithout(number: Int) {
        #expect(TimeoutArgument(of: X86GeneralRegisters().call(number, is32Bit: true)) == nil)
    }

    @Test func semaphoresByIPC() throws {
        var registers = X86GeneralRegisters()
        registers.cs = .userCode32
        registers.originalRAX = 117
        registers.rcx = 0x1_0000_0007  // what is above 32 bits does not count
        registers.rbp = 0x8000
        registers.rax = 0xffff_fffc
        for (operation, waits, hasTime) in [(1, true, false), (4, true, true), (12, false, false)] as [(UInt64, Bool, Bool)] {
            registers.rbx = operation
            #expect(registers.systemCall()?.semaphoreSet == (waits ? 7 : nil))
            let mended = registers.mended()
            #expect((mended.interruptedCall == .restartNoHand) == waits)
            #expect((mended.timeoutOfRepeatedCall() == TimeoutArgument(of: mended.systemCall()!)) == true)
            #expect((mended.timeoutOfRepeatedCall()?.register == .rbp) == hasTime)
        }
    }

    @Test func narrowStructures() throws {
        let narrow = try #require(TimeoutArgument(of: X86GeneralRegisters().call(308, is32Bit: true)))
        #expect(narrow.bytes(nanoseconds: 2_000_000_003) == [2, 0, 0, 0, 3, 0, 0, 0])
        #expect(narrow.nanoseconds(of: [2, 0, 0, 0, 3, 0, 0, 0]) == 2_000_000_003)
        #expect(narrow.nanoseconds(of: [0xff, 0xff, 0xff, 0xff, 3, 0, 0, 0]) == nil)
        let padded = TimeoutArgument.Form.paddedTimespec
        #expect(padded.bytes(nanoseconds: 2_000_000_003) == [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0])
        #expect(padded.nanoseconds(of: [2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef]) == 2_000_000_003)
        let micro = try #require(TimeoutArgument(of: X86GeneralRegisters().call(142, is32Bit: true)))
        #expect(micro.bytes(nanoseconds: 1_000_002_001) == [1, 0, 0, 0, 3, 0, 0, 0])
    }

    /// 64-bit code in a call that it made by `int $0x80`.
    @Test func bothTablesInOneThread() {
        var registers = X86GeneralRegisters()
        registers.originalRAX = 256  // epoll_wait there, migrate_pages here
        registers.rax = UInt64(bitPattern: -4)
        registers.rsi = 1000
        #expect(registers.mended() == registers)
        let mended = registers.mended(callIs32Bit: true)
        #expect(mended.interruptedCall == .restartNoHand)
        #expect(mended.timeoutOfRepeatedCall(is32Bit: true)?.register == .rsi)
        #expect(mended.timeoutOfRepeatedCall() == nil)
    }

    /// Calls whose end only the kernel's stack tells, by the number and the arguments of either table.
    @Test(arguments: [
        ("epoll_wait", 232, [3, 0x1000, 8, 5000, 0, 0], true), ("epoll_wait, ended", 232, [3, 0x1000, 8, 0, 0, 0], true),
        ("epoll_wait, endless", 232, [3, 0x1000, 8, UInt64(UInt32.max), 0, 0], false),
        ("epoll_pwait2", 441, [3, 0x1000, 8, 0x2000, 0, 8], true), ("epoll_pwait2, endless", 441, [3, 0x1000, 8, 0, 0, 8], false),
        ("rt_sigtimedwait", 128, [0x1000, 0, 0x2000, 8, 0, 0], true), ("rt_sigtimedwait, endless", 128, [0x1000, 0, 0, 8, 0, 0], false),
        ("semtimedop", 220, [1, 0x1000, 1, 0x2000, 0, 0], true), ("semop", 65, [1, 0x1000, 1, 0x2000, 0, 0], false),
        ("io_getevents", 208, [1, 1, 1, 0x1000, 0x2000, 0], true),
        ("epoll_wait of i386", 256, [3, 0x1000, 8, 5000, 0, 0], true), ("semtimedop of i386", 117, [4, 1, 1, 0, 0x1000, 0x2000], true),
        // These keep it in a restart block.
        ("nanosleep", 35, [0x1000, 0, 0, 0, 0, 0], false), ("poll", 7, [0x1000, 1, 5000, 0, 0, 0], false),
        ("futex", 202, [0x1000, 128, 0, 0x2000, 0, 0], false),
        ("ppoll, endless", 271, [0x1000, 1, 0, 0, 8, 0], false), ("select, endless", 23, [1, 0x1000, 0, 0, 0, 0], false), ("read", 0, [0, 0x1000, 5000, 1, 1, 1], false),
        ("restart_syscall", 219, [0x1000, 1, 5000, 0, 0, 0], false),
    ] as [(String, UInt64, [UInt64], Bool)])
    func callsThatLoseTheirTimer(name: String, number: UInt64, arguments: [UInt64], loses: Bool) {
        #expect(X86Call.timerLoss(number, arguments) == (loses ? .always : .never))
        if loses { #expect(X86Call.numbersThatMayLoseTimers.contains(Int(number))) }
    }

    /// The kernel writes what is left of these to the structure, if it can.
    @Test(arguments: [
        ("ppoll", 271, [0x1000, 1, 0x2000, 0, 8, 0]), ("select", 23, [1, 0x1000, 0, 0, 0x2000, 0]), ("pselect6", 270, [1, 0x1000, 0, 0, 0x2000, 0]),
        ("_newselect of i386", 142, [1, 0x1000, 0, 0, 0x2000, 0]), ("ppoll of i386", 309, [0x1000, 1, 0x2000, 0, 8, 0]),
        ("pselect6_time64 of i386", 413, [1, 0x1000, 0, 0, 0x2000, 0]),
    ] as [(String, UInt64, [UInt64])])
    func callsWhoseTimeIsWrittenBack(name: String, number: UInt64, arguments: [UInt64]) {
        #expect(X86Call.timerLoss(number, arguments) == .unlessWritten(at: 0x2000))
        #expect(X86Call.numbersThatMayLoseTimers.contains(Int(number)))
    }

    @Test func fewCallsMayLoseTheirTimer() {
        let numbers = X86Call.numbersThatMayLoseTimers
        #expect(numbers.contains(232) && numbers.contains(117) && !numbers.contains(35) && numbers.contains(271) && numbers.count < 32)
    }

    /// ``X86Call/timerLoss(_:_:)`` takes a number as one of both tables.
    @Test func numbersWithTimeoutsInBothTablesAreOfOneCall() {
        for number in X86Call.numbersThatMayLoseTimers {
            let calls = [false, true].map { X86Call(is32Bit: $0, number: number, arguments: [4, 0, 0, 0, 0, 0]) }
                .filter { $0.isNeverRestarted && TimeoutArgument(of: $0) != nil }
            guard calls.count == 2 else { continue }
            let places = zip(calls, [false, true]).map { TimeoutArgument(of: $0)?.register.place(is32Bit: $1) }
            #expect(calls[0].name == calls[1].name && places[0] == places[1], "\(number)")
        }
    }

    @Test func unknownCallMayLoseItsTimer() {
        #expect(X86Call.timerLoss(.max, [0, 0, 0, 0, 0, 0]) == .always)
        #expect(X86Call.timerLoss(35, []) == .always)
    }

    /// What a register holds need not be a number of a call.
    @Test(arguments: [-1, -514, Int(Int32.min), Int(Int32.max)], [false, true])
    func numbersOfNoCall(number: Int, is32Bit: Bool) {
        let call = X86GeneralRegisters().call(number, is32Bit: is32Bit)
        #expect(TimeoutArgument(of: call) == nil && call.name == nil && call.socket == nil && call.semaphoreSet == nil)
        #expect(!call.isRestart && !call.isNeverRestarted)
    }

    @Test func socketsByEitherTable() {
        var registers = X86GeneralRegisters()
        registers.rbx = 10  // recv
        registers.rcx = 0x1000
        #expect(registers.call(102, is32Bit: true).socket == .address(0x1000))
        #expect(registers.call(371, is32Bit: true).socket == .descriptor(10))
        #expect(registers.call(45, is32Bit: false).socket == .descriptor(0))
        registers.rbx = 2  // bind
        #expect(registers.call(102, is32Bit: true).socket == nil)
    }
}
