import ArchState
import Testing

/// A repeatable source of random numbers (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
    mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &self) == 0 }
}

/// `count` bytes that differ from place to place.
func pattern(_ count: Int, from first: UInt8 = 1) -> [UInt8] {
    (0..<count).map { first &+ UInt8(truncatingIfNeeded: $0 &* 7) }
}

func little(_ value: some FixedWidthInteger) -> [UInt8] {
    (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}

func littleU64(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (UInt64($1) * 8) }
}

/// The error that `body` throws, which must be of this rule.
func expectRule<T>(
    _ rule: ArchStateError.Rule, _ feature: CPUFeature? = nil,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws -> T
) {
    do {
        _ = try body()
        Issue.record("nothing was refused", sourceLocation: sourceLocation)
    } catch let error as ArchStateError {
        #expect(error.rule == rule, "\(error)", sourceLocation: sourceLocation)
        if let feature { #expect(error.feature == feature, sourceLocation: sourceLocation) }
    } catch {
        Issue.record("unexpected error \(error)", sourceLocation: sourceLocation)
    }
}

/// `cpuid` leaf 0xD of processors in the field.
enum RecordedHost {
    static func leaves(
        xcr0: UInt64, size: UInt32, _ components: [(number: UInt32, size: UInt32, offset: UInt32, flags: UInt32)]
    ) -> [CPUIDLeaf] {
        [
            CPUIDLeaf(
                leaf: 0xd, subleaf: 0, eax: UInt32(truncatingIfNeeded: xcr0), ebx: size, ecx: size,
                edx: UInt32(xcr0 >> 32)),
            CPUIDLeaf(leaf: 0xd, subleaf: 1, eax: 0xf),
        ]
            + components.map {
                CPUIDLeaf(leaf: 0xd, subleaf: $0.number, eax: $0.size, ebx: $0.offset, ecx: $0.flags)
            }
    }

    /// AVX only (Haswell).
    static let haswell = leaves(xcr0: 0x7, size: 832, [(2, 256, 576, 0)])
    /// AVX-512 and PKRU behind the hole that MPX left (Ice Lake).
    static let iceLake = leaves(
        xcr0: 0x2e7, size: 2696,
        [(2, 256, 576, 0), (5, 64, 1088, 0), (6, 512, 1152, 0), (7, 1024, 1664, 0), (9, 8, 2688, 0)])
    /// The same with AMX (Sapphire Rapids).
    static let sapphireRapids = leaves(
        xcr0: 0x602e7, size: 11008,
        [
            (2, 256, 576, 0), (5, 64, 1088, 0), (6, 512, 1152, 0), (7, 1024, 1664, 0), (9, 8, 2688, 0),
            (17, 64, 2752, 2), (18, 8192, 2816, 6),
        ])
    /// AVX-512 without the hole and without PKRU (Zen 5 under a hypervisor).
    static let zen5 = leaves(
        xcr0: 0xe7, size: 2432,
        [(2, 256, 576, 0), (5, 64, 832, 0), (6, 512, 896, 0), (7, 1024, 1408, 0), (11, 16, 0, 1), (12, 24, 0, 1)])
    /// AVX and PKRU (Zen 3).
    static let zen3 = leaves(xcr0: 0x207, size: 2440, [(2, 256, 576, 0), (9, 8, 2432, 0)])

    static let all = [haswell, iceLake, sapphireRapids, zen5, zen3]
}

/// General registers of a thread in user space, every field different.
func sampleRegisters() -> X86GeneralRegisters {
    var registers = X86GeneralRegisters()
    registers.rax = 0x1111
    registers.rbx = 0x2222
    registers.rcx = 0x3333
    registers.rdx = 0x4444
    registers.rsi = 0x5555
    registers.rdi = 0x6666
    registers.rbp = 0x7777
    registers.rsp = 0x7fff_0000_8888
    registers.r8 = 8
    registers.r9 = 9
    registers.r10 = 10
    registers.r11 = 11
    registers.r12 = 12
    registers.r13 = 13
    registers.r14 = 14
    registers.r15 = 15
    registers.rip = 0x5555_5555_4000
    registers.flags = 0x246
    registers.fsBase = 0x7f00_1122_3340
    registers.gsBase = 0x1000
    return registers
}
