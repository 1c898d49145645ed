import StepProgram
import Testing

@testable import RestorePlan

/// A vdso of another kernel at its old address.
@Suite struct VdsoProxyTests {
    /// A shared object as small as one that the rules of elf(5) allow, 4096 bytes:
    ///
    ///     0     Elf64_Ehdr      64  one Elf64_Phdr (PT_DYNAMIC)
    ///     128   Elf64_Dyn       hash, strings, symbols
    ///     256   hash            two words: buckets, symbols
    ///     512   Elf64_Sym       24 bytes each, the first one empty
    ///     1024  strings
    ///     2048  code, filled with int3
    private func object(_ functions: [(name: String, offset: UInt64, size: UInt64)], hash: Bool = true) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        func put(_ value: UInt64, _ count: Int, at offset: Int) {
            for index in 0..<count { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(index * 8)) }
        }
        for (index, byte) in ([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] as [UInt8]).enumerated() { bytes[index] = byte }
        put(64, 8, at: 32)  // e_phoff
        put(1, 2, at: 56)  // e_phnum
        put(2, 4, at: 64)  // p_type
        put(128, 8, at: 72)  // p_offset
        var tables: [(UInt64, UInt64)] = [(5, 1024), (6, 512)]
        if hash { tables.append((4, 256)) }
        for (index, (tag, value)) in tables.enumerated() {
            put(tag, 8, at: 128 + index * 16)
            put(value, 8, at: 136 + index * 16)
        }
        put(UInt64(functions.count + 1), 4, at: 260)
        for index in 2048..<4096 { bytes[index] = 0xcc }
        var name = 1
        for (index, function) in functions.enumerated() {
            let symbol = 512 + (index + 1) * 24
            put(UInt64(name), 4, at: symbol)
            put(0x12, 1, at: symbol + 4)  // STB_GLOBAL, STT_FUNC
            put(1, 2, at: symbol + 6)
            put(function.offset, 8, at: symbol + 8)
            put(function.size, 8, at: symbol + 16)
            for byte in function.name.utf8 {
                bytes[1024 + name] = byte
                name += 1
            }
            name += 1
        }
        return bytes
    }

    @Test(arguments: [true, false]) func functionsHandOver(hash: Bool) throws {
        let old = object([("__vdso_clock_gettime", 2048, 64), ("__vdso_time", 2112, 16)], hash: hash)
        let new = object([("__vdso_time", 3072, 32), ("__vdso_clock_gettime", 3104, 32)], hash: hash)
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
        let old = object([("__vdso_getrandom", 2048, 8)])
        let proxy = try #require(VdsoProxy(old: old, new: object([("__vdso_time", 2048, 16)]), at: 0x1000))
        // mov $318, %eax; syscall; ret
        #expect(proxy.code[2048..<2056] == [0xb8, 0x3e, 0x01, 0, 0, 0x0f, 0x05, 0xc3])
    }

    @Test func aFunctionTooShortIsRefused() {
        let short = object([("__vdso_time", 2048, 11)])
        #expect(VdsoProxy(old: short, new: object([("__vdso_time", 2048, 16)]), at: 0x1000) == nil)
    }

    @Test func aFunctionOutsideIsRefused() {
        #expect(VdsoSymbols(object([("__vdso_time", 4090, 16)])) == nil)
        #expect(VdsoSymbols(object([("__vdso_time", 1 << 40, 16)])) == nil)
    }

    @Test func bytesThatAreNoVdsoAreRefused() {
        #expect(VdsoSymbols([]) == nil)
        #expect(VdsoSymbols([UInt8](repeating: 0, count: 8192)) == nil)
        #expect(VdsoSymbols(Array(object([("__vdso_time", 2048, 16)])[..<100])) == nil)
    }

    /// Whatever the bytes are, nothing outside of them is read.
    @Test func damagedBytesNeverTrap() {
        var numbers = SystemRandomNumberGenerator()
        let good = object([("__vdso_clock_gettime", 2048, 64), ("__vdso_time", 2112, 16)])
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
