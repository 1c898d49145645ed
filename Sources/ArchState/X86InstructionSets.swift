/// The instruction sets that a processor offers to programs, as `cpuid` tells them.
///
/// The image records them beside the features in use, because a program may have chosen code paths by them: the C
/// library picks its `memcpy` once, at start. Bit N stands for entry N of the table. New sets are appended to the table;
/// no entry changes its meaning.
package struct X86InstructionSets: OptionSet, Hashable, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Every set that this version knows.
    package static let all = X86InstructionSets(rawValue: UInt64.max >> UInt64(64 - table.count))

    /// From the answers to `leavesNeeded`; a leaf that is missing offers nothing.
    package init(leaves: [CPUIDLeaf]) {
        rawValue = 0
        for (bit, entry) in Self.table.enumerated() {
            guard let leaf = leaves.first(where: { $0.leaf == entry.leaf && $0.subleaf == entry.subleaf }) else {
                continue
            }
            if leaf[keyPath: entry.register] & 1 << entry.bit != 0 { rawValue |= 1 << UInt64(bit) }
        }
    }

    /// What to ask `cpuid` for: (leaf, subleaf). A leaf beyond the processor's last one is left out.
    package static let leavesNeeded: [(leaf: UInt32, subleaf: UInt32)] = [
        (0x1, 0), (0x7, 0), (0x7, 1), (0x8000_0001, 0),
    ]

    /// Names as `/proc/cpuinfo` or the manual spells them.
    package var names: [String] {
        Self.table.enumerated().filter { rawValue & 1 << UInt64($0.offset) != 0 }.map(\.element.name)
    }

    private struct Entry: Sendable {
        var name: String
        var leaf: UInt32
        var subleaf: UInt32
        var register: any KeyPath<CPUIDLeaf, UInt32> & Sendable
        var bit: UInt32

        init(
            _ name: String, _ leaf: UInt32, _ subleaf: UInt32,
            _ register: any KeyPath<CPUIDLeaf, UInt32> & Sendable, _ bit: UInt32
        ) {
            self.name = name
            self.leaf = leaf
            self.subleaf = subleaf
            self.register = register
            self.bit = bit
        }
    }

    /// By bit of the mask. Source: Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E.
    private static let table: [Entry] = [
        Entry("sse3", 0x1, 0, \.ecx, 0),
        Entry("pclmulqdq", 0x1, 0, \.ecx, 1),
        Entry("ssse3", 0x1, 0, \.ecx, 9),
        Entry("fma", 0x1, 0, \.ecx, 12),
        Entry("cx16", 0x1, 0, \.ecx, 13),
        Entry("sse4.1", 0x1, 0, \.ecx, 19),
        Entry("sse4.2", 0x1, 0, \.ecx, 20),
        Entry("movbe", 0x1, 0, \.ecx, 22),
        Entry("popcnt", 0x1, 0, \.ecx, 23),
        Entry("aes", 0x1, 0, \.ecx, 25),
        Entry("osxsave", 0x1, 0, \.ecx, 27),
        Entry("avx", 0x1, 0, \.ecx, 28),
        Entry("f16c", 0x1, 0, \.ecx, 29),
        Entry("rdrand", 0x1, 0, \.ecx, 30),
        Entry("lahf_lm", 0x8000_0001, 0, \.ecx, 0),
        Entry("lzcnt", 0x8000_0001, 0, \.ecx, 5),
        Entry("sse4a", 0x8000_0001, 0, \.ecx, 6),
        Entry("prefetchw", 0x8000_0001, 0, \.ecx, 8),
        Entry("xop", 0x8000_0001, 0, \.ecx, 11),
        Entry("fma4", 0x8000_0001, 0, \.ecx, 16),
        Entry("tbm", 0x8000_0001, 0, \.ecx, 21),
        Entry("rdtscp", 0x8000_0001, 0, \.edx, 27),
        Entry("fsgsbase", 0x7, 0, \.ebx, 0),
        Entry("bmi1", 0x7, 0, \.ebx, 3),
        Entry("hle", 0x7, 0, \.ebx, 4),
        Entry("avx2", 0x7, 0, \.ebx, 5),
        Entry("bmi2", 0x7, 0, \.ebx, 8),
        Entry("erms", 0x7, 0, \.ebx, 9),
        Entry("rtm", 0x7, 0, \.ebx, 11),
        Entry("avx512f", 0x7, 0, \.ebx, 16),
        Entry("avx512dq", 0x7, 0, \.ebx, 17),
        Entry("rdseed", 0x7, 0, \.ebx, 18),
        Entry("adx", 0x7, 0, \.ebx, 19),
        Entry("avx512ifma", 0x7, 0, \.ebx, 21),
        Entry("clflushopt", 0x7, 0, \.ebx, 23),
        Entry("clwb", 0x7, 0, \.ebx, 24),
        Entry("avx512cd", 0x7, 0, \.ebx, 28),
        Entry("sha_ni", 0x7, 0, \.ebx, 29),
        Entry("avx512bw", 0x7, 0, \.ebx, 30),
        Entry("avx512vl", 0x7, 0, \.ebx, 31),
        Entry("avx512vbmi", 0x7, 0, \.ecx, 1),
        Entry("ospke", 0x7, 0, \.ecx, 4),
        Entry("waitpkg", 0x7, 0, \.ecx, 5),
        Entry("avx512_vbmi2", 0x7, 0, \.ecx, 6),
        Entry("gfni", 0x7, 0, \.ecx, 8),
        Entry("vaes", 0x7, 0, \.ecx, 9),
        Entry("vpclmulqdq", 0x7, 0, \.ecx, 10),
        Entry("avx512_vnni", 0x7, 0, \.ecx, 11),
        Entry("avx512_bitalg", 0x7, 0, \.ecx, 12),
        Entry("avx512_vpopcntdq", 0x7, 0, \.ecx, 14),
        Entry("rdpid", 0x7, 0, \.ecx, 22),
        Entry("movdiri", 0x7, 0, \.ecx, 27),
        Entry("movdir64b", 0x7, 0, \.ecx, 28),
        Entry("fsrm", 0x7, 0, \.edx, 4),
        Entry("avx512_vp2intersect", 0x7, 0, \.edx, 8),
        Entry("serialize", 0x7, 0, \.edx, 14),
        Entry("amx_bf16", 0x7, 0, \.edx, 22),
        Entry("avx512_fp16", 0x7, 0, \.edx, 23),
        Entry("amx_tile", 0x7, 0, \.edx, 24),
        Entry("amx_int8", 0x7, 0, \.edx, 25),
        Entry("avx_vnni", 0x7, 1, \.eax, 4),
        Entry("avx512_bf16", 0x7, 1, \.eax, 5),
        Entry("avx_ifma", 0x7, 1, \.eax, 23),
        Entry("avx10", 0x7, 1, \.edx, 19),
    ]
}
