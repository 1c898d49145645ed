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
        #expect(registers.timeoutOfRepeatedCall == nil)
        let mended = registers.mended()
        #expect(mended.timeoutOfRepeatedCall != nil)
        // Without end.
        var endless = mended
        endless.r10 = UInt64(UInt32.max)
        #expect(endless.timeoutOfRepeatedCall == nil)
        var without = mended
        without.originalRAX = 441
        without.r10 = 0
        #expect(without.timeoutOfRepeatedCall == nil)
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
}
