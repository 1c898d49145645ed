internal import CKernel
internal import Glibc

/// The vdso that this kernel gives to 32-bit programs.
package struct CompatVdso: Equatable, Sendable {
    /// Bytes of the data before it.
    package var dataSize: UInt64
    /// The code as the kernel made it: an ELF file of 32 bits.
    package var code: [UInt8]

    package init(dataSize: UInt64, code: [UInt8]) {
        self.dataSize = dataSize
        self.code = code
    }

    /// Where in the code an `int $0x80` is. Two bytes with these values can be executed as one wherever they lie.
    package var callOffset: UInt64? {
        (0..<max(0, code.count - 1)).first { code[$0] == 0xcd && code[$0 + 1] == 0x80 }.map { UInt64($0) }
    }

    /// Of the running kernel, asked once: see ``probe()``.
    package static let current = probe()

    /// Of the running kernel; nil where it runs no 32-bit programs. A child is made for it, which maps it in
    /// place of its own: about a millisecond. Ask only where a 32-bit task is met.
    ///
    /// - Source: arch_prctl(2), ARCH_MAP_VDSO_32; arch/x86/entry/vdso/vma.c.
    @inline(never)
    package static func probe() -> CompatVdso? {
        guard let maps = try? MemoryMap.plain(of: getpid()) else { return nil }
        var parts: [(UInt64, UInt64)] = []
        for map in maps {
            let name = String(decoding: map.path, as: UTF8.self)
            if name == "[vdso]" || name.hasPrefix("[vvar") { parts.append((map.start, map.end)) }
        }
        var dataSize: UInt32 = 0
        var result = 0
        let capacity = 1 << 16
        let code = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            result = unsafe parts.withUnsafeBufferPointer { parts in
                // Pairs of words, as the C function wants them.
                unsafe UnsafeRawPointer(parts.baseAddress).map { start in
                    unsafe ckernel_probe_vdso32(
                        start.assumingMemoryBound(to: (UInt64, UInt64).self), parts.count, buffer.baseAddress,
                        capacity, &dataSize)
                } ?? -Int(ENOSYS)
            }
            filled = max(0, result)
        }
        return result > 0 ? CompatVdso(dataSize: UInt64(dataSize), code: code) : nil
    }
}

extension Vdso {
    /// What runs on a vdso: its ELF header says it.
    package enum Kind: Equatable, Sendable {
        case native
        /// i386.
        case compat
        /// x32, or none that is known.
        case other
    }

    /// By the first bytes of the code.
    ///
    /// - Source: elf(5): e_ident[EI_CLASS], e_machine (EM_386 3, EM_X86_64 62, EM_AARCH64 183).
    package static func kind(ofHeader bytes: [UInt8]) -> Kind {
        guard bytes.count >= 20, bytes[0..<4].elementsEqual([0x7f, 0x45, 0x4c, 0x46]) else { return .other }
        switch (bytes[4], UInt16(bytes[18]) | UInt16(bytes[19]) << 8) {
        case (1, 3): return .compat
        case (2, _): return .native
        default: return .other
        }
    }
}
