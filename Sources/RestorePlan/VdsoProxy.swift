import StepProgram

/// The vdso of another kernel, kept at its old address, with functions that call those of this kernel's vdso.
///
/// Programs look up the vdso's functions once and keep their addresses. If this kernel has another vdso than the source
/// kernel, the old code is mapped at its old address as plain memory, with each exported function replaced by a jump to this
/// kernel's function of the same name, or by the system call if there is no such function. The old data pages are not
/// mapped: old code that still reads them ends by SIGSEGV instead of giving a wrong time.
///
/// - Source: vdso(7); elf(5).
struct VdsoProxy {
    /// The old code with its functions replaced: as many bytes as it had.
    let code: [UInt8]

    /// The system call that does the same as a function with the same arguments, by the function's name without prefix.
    private static let calls: [String: UInt32] = [
        "clock_gettime": 228, "gettimeofday": 96, "time": 201, "clock_getres": 229, "getcpu": 309, "getrandom": 318,
    ]
    /// The prefix of each function's name; most have an alias without it.
    private static let prefix = "__vdso_"

    /// - Parameters:
    ///   - old: the code of the source kernel's vdso.
    ///   - new: this kernel's, which lies at `start`.
    /// - Returns: nil where the old vdso cannot be parsed, or has a function that is too short to be replaced.
    init?(old: [UInt8], new: [UInt8], at start: UInt64) {
        guard let functions = VdsoSymbols(old), let successors = VdsoSymbols(new) else { return nil }
        var code = old
        for (name, function) in functions.functions {
            let patch: [UInt8]
            if let successor = successors.functions[name] {
                // movabs $successor, %rax; jmp *%rax
                var bytes: [UInt8] = [0x48, 0xb8]
                bytes.append(littleEndian: start &+ successor.offset)
                patch = bytes + [0xff, 0xe0]
            } else if let number = Self.calls[name.hasPrefix(Self.prefix) ? String(name.dropFirst(Self.prefix.count)) : name] {
                // mov $number, %eax; syscall; ret
                var bytes: [UInt8] = [0xb8]
                bytes.append(littleEndian32: number)
                patch = bytes + [0x0f, 0x05, 0xc3]
            } else {
                // mov $-38, %eax; ret: ENOSYS, as from a kernel without this call
                patch = [0xb8, 0xda, 0xff, 0xff, 0xff, 0xc3]
            }
            guard function.size >= UInt64(patch.count) else { return nil }
            let place = Int(function.offset)
            code.replaceSubrange(place..<place + patch.count, with: patch)
        }
        self.code = code
    }
}

/// The functions that a vdso exports, from its own ELF tables. The bytes can be anything, also no ELF file.
struct VdsoSymbols {
    struct Function: Equatable {
        var offset: UInt64
        var size: UInt64
    }

    private(set) var functions: [String: Function] = [:]
    private static let mostSymbols = 256

    /// Nil where the tables are wrong or missing.
    init?(_ bytes: [UInt8]) {
        func word(_ offset: UInt64, _ count: Int) -> UInt64? {
            guard offset <= UInt64(bytes.count), UInt64(bytes.count) - offset >= UInt64(count) else { return nil }
            return (0..<count).reduce(UInt64(0)) { $0 | UInt64(bytes[Int(offset) + $1]) << UInt64($1 * 8) }
        }
        // Elf64_Ehdr: e_phoff at 32, e_phnum at 56. Elf64_Phdr: 56 bytes, p_type at 0, p_offset at 8.
        guard bytes.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]), let headers = word(32, 8), headers < 4096,
            let count = word(56, 2)
        else { return nil }
        var dynamic: UInt64?
        for index in 0..<min(count, 16) where word(headers + index * 56, 4) == 2 {  // PT_DYNAMIC
            dynamic = word(headers + index * 56 + 8, 8)
        }
        guard let dynamic, dynamic < UInt64(bytes.count) else { return nil }
        // Elf64_Dyn: tag, value; addresses are offsets, as the vdso is linked at 0.
        var tables: [UInt64: UInt64] = [:]
        for index in 0..<UInt64(64) {
            guard let tag = word(dynamic + index * 16, 8), tag != 0, let value = word(dynamic + index * 16 + 8, 8) else {
                break
            }
            tables[tag] = value
        }
        let end = UInt64(bytes.count)
        guard let strings = tables[5], let symbols = tables[6], strings < end, symbols < end else { return nil }
        // Elf64_Sym: 24 bytes: st_name at 0, st_info at 4, st_shndx at 6, st_value at 8, st_size at 16. The hash table has
        // the number of symbols; without a hash table they end at the string table.
        let known = tables[4].flatMap { $0 < end ? word($0 + 4, 4) : nil } ?? (strings > symbols ? (strings - symbols) / 24 : 0)
        for index in 0..<min(known, UInt64(Self.mostSymbols)) {
            let symbol = symbols + index * 24
            guard let name = word(symbol, 4), let info = word(symbol + 4, 1), let section = word(symbol + 6, 2),
                let offset = word(symbol + 8, 8), let size = word(symbol + 16, 8)
            else { return nil }
            guard info & 0xf == 2, section != 0, strings + name < end else { continue }  // STT_FUNC, defined
            guard offset < end, size <= end - offset else { return nil }
            let text = bytes[Int(strings + name)...].prefix { $0 != 0 }
            functions[String(decoding: text, as: UTF8.self)] = Function(offset: offset, size: size)
        }
        if functions.isEmpty { return nil }
    }
}
