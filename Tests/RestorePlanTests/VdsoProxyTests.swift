import StepProgram
import Testing

@testable import RestorePlan

/// A vdso of another kernel at its old address.
@Suite struct VdsoProxyTests {
    @Test(arguments: [true, false]) func functionsHandOver(hash: Bool) throws {
        let old = SampleVdso.bytes([("__vdso_clock_gettime", 2048, 64), ("__vdso_time", 2112, 16)], hash: hash)
        let new = SampleVdso.bytes([("__vdso_time", 3072, 32), ("__vdso_clock_gettime", 3104, 32)], hash: hash)
        let proxy = try #require(VdsoProxy(old: old, new: new, at: 0x7fff_1234_5000))
        #expect(proxy.code.count == old.count)
        // movabs $0x7fff12345c20, %rax; jmp *%rax
        #expect(proxy.code[2048..<2060] == [0x48, 0xb8, 0x20, 0x5c, 0x34, 0x12, 0xff, 0x7f, 0, 0, 0xff, 0xe0])
        #expect(proxy.code[2112..<2124] == [0x48, 0xb8, 0x00, 0x5c, 0x34, 0x12, 0xff, 0x7f, 0, 0, 0xff, 0xe0])
        var rest = proxy.code
        rest.replaceSubrange(2048..<2060, with: old[2048..<2060])
        rest.replaceSubrange(2112..<2124, with: old[2112..<2124])
        #expect(rest == old)
    }

    @Test func aFunctionThatIsGoneMakesTheCall() throws {
        let old = SampleVdso.bytes([("__vdso_getrandom", 2048, 8)])
        let proxy = try #require(VdsoProxy(old: old, new: SampleVdso.bytes([("__vdso_time", 2048, 16)]), at: 0x1000))
        // mov $318, %eax; syscall; ret
        #expect(proxy.code[2048..<2056] == [0xb8, 0x3e, 0x01, 0, 0, 0x0f, 0x05, 0xc3])
    }

    /// The plain name is an alias; what no kernel before us had is answered as an old kernel would.
    @Test func aliasesAndUnknownFunctions() throws {
        let old = SampleVdso.bytes([("getcpu", 2048, 16), ("__vdso_tomorrow", 2064, 16)])
        let proxy = try #require(VdsoProxy(old: old, new: SampleVdso.bytes([("__vdso_time", 2048, 16)]), at: 0x1000))
        // mov $309, %eax; syscall; ret
        #expect(proxy.code[2048..<2056] == [0xb8, 0x35, 0x01, 0, 0, 0x0f, 0x05, 0xc3])
        // mov $-ENOSYS, %eax; ret
        #expect(proxy.code[2064..<2070] == [0xb8, 0xda, 0xff, 0xff, 0xff, 0xc3])
    }

    @Test func aFunctionTooShortIsRefused() {
        let short = SampleVdso.bytes([("__vdso_time", 2048, 11)])
        #expect(VdsoProxy(old: short, new: SampleVdso.bytes([("__vdso_time", 2048, 16)]), at: 0x1000) == nil)
    }

    @Test func aFunctionOutsideIsRefused() {
        #expect(VdsoSymbols(SampleVdso.bytes([("__vdso_time", 4090, 16)])) == nil)
        #expect(VdsoSymbols(SampleVdso.bytes([("__vdso_time", 1 << 40, 16)])) == nil)
    }

    @Test func bytesThatAreNoVdsoAreRefused() {
        #expect(VdsoSymbols([]) == nil)
        #expect(VdsoSymbols([UInt8](repeating: 0, count: 8192)) == nil)
        #expect(VdsoSymbols(Array(SampleVdso.bytes([("__vdso_time", 2048, 16)])[..<100])) == nil)
    }

    /// Whatever the bytes are, nothing outside of them is read.
    @Test func damagedBytesNeverTrap() {
        var numbers = SystemRandomNumberGenerator()
        let good = SampleVdso.bytes([("__vdso_clock_gettime", 2048, 64), ("__vdso_time", 2112, 16)])
        for _ in 0..<5000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...8, using: &numbers) {
                bytes[Int.random(in: 0..<1100, using: &numbers)] = UInt8.random(in: 0...255, using: &numbers)
            }
            let proxy = VdsoProxy(old: bytes, new: good, at: 0x1000)
            #expect(proxy == nil || proxy?.code.count == bytes.count)
        }
    }
}
