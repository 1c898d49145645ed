import Kernel
import Testing

@Suite struct CompatTests {
    @Test func kindOfAVdsoIsInItsHeader() {
        func header(_ word: UInt8, _ machine: UInt8) -> [UInt8] {
            var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, word, 1, 1] + [UInt8](repeating: 0, count: 9)
            bytes += [3, 0, machine, 0]
            return bytes
        }
        #expect(Vdso.kind(ofHeader: header(1, 3)) == .compat)
        #expect(Vdso.kind(ofHeader: header(2, 62)) == .native)
        // x32: 32-bit ELF of x86_64.
        #expect(Vdso.kind(ofHeader: header(1, 62)) == .other)
        #expect(Vdso.kind(ofHeader: []) == .other)
        #expect(Vdso.kind(ofHeader: [UInt8](repeating: 0, count: 20)) == .other)
    }

    /// Of this kernel; another may run no 32-bit programs.
    @Test func vdsoOf32BitProgramsHasRoomForTheStub() throws {
        guard let found = CompatVdso.probe() else { return }
        #expect(Vdso.kind(ofHeader: found.code) == .compat)
        #expect(found.dataSize % 4096 == 0 && found.code.count % 4096 == 0)
        let offset = Int(try #require(found.callOffset))
        #expect(found.code[offset] == 0xcd && found.code[offset + 1] == 0x80)
        let slack = found.code.reversed().prefix { $0 == 0 }.count
        #expect(slack >= CheckpointStub.code().count + 16, "\(slack) bytes")
        // Timeouts of calls lie beside it.
        #expect(TimeSlots(vdsoEnd: 0xf7ff_0000, code: found.code).count >= 4)
        // Asked twice it says the same, and this process has lost nothing.
        #expect(CompatVdso.probe() == found)
        #expect(try Vdso.current() != nil)
    }

    @Test func taskWithoutSegmentsHasEmptyDescriptors() throws {
        // Of no task that is traced: refused, not made up.
        #expect(throws: SystemError.self) { try Trace.threadAreas(of: 1 << 22) }
    }
}
