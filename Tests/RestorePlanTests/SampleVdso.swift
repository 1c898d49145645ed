import Testing

/// What a kernel might map.
enum SampleVdso {
    /// A shared object as small as one that the rules of elf(5) allow, 4096 bytes:
    ///
    ///     0     Elf64_Ehdr      64  one Elf64_Phdr (PT_DYNAMIC)
    ///     128   Elf64_Dyn       hash, strings, symbols
    ///     256   hash            two words: buckets, symbols
    ///     512   Elf64_Sym       24 bytes each, the first one empty
    ///     1024  strings
    ///     2048  code, filled with int3
    static func bytes(_ functions: [(name: String, offset: UInt64, size: UInt64)], hash: Bool = true) -> [UInt8] {
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
}
