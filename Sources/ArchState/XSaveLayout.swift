/// One answer of the `cpuid` instruction, as a program sees it.
package struct CPUIDLeaf: Equatable, Hashable, Sendable {
    package var leaf: UInt32
    package var subleaf: UInt32
    package var eax: UInt32
    package var ebx: UInt32
    package var ecx: UInt32
    package var edx: UInt32

    package init(
        leaf: UInt32, subleaf: UInt32, eax: UInt32 = 0, ebx: UInt32 = 0, ecx: UInt32 = 0, edx: UInt32 = 0
    ) {
        self.leaf = leaf
        self.subleaf = subleaf
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }
}

/// Where this processor puts each component of its extended state, from `cpuid` leaf 0xD.
///
/// Component numbers are bits of XCR0: 0 x87, 1 SSE (both in the 512-byte legacy area), 2 AVX, 5 opmask,
/// 6 ZMM_Hi256, 7 Hi16_ZMM, 9 PKRU, 17 TILECFG, 18 TILEDATA, 19 APX. Their offsets differ between
/// processors, which is why no image holds them.
/// Source: Intel SDM volume 1, chapter 13; AMD APM volume 2, 11.5.
package struct XSaveLayout: Equatable, Sendable {
    package struct Component: Equatable, Sendable {
        package var number: Int
        /// Offset in the standard format.
        package var offset: Int
        package var size: Int
        /// In the compacted format it begins on a multiple of 64.
        package var isAligned: Bool
    }

    /// Components beyond the legacy area, by number.
    package var components: [Component]
    /// Bits of XCR0 that are enabled.
    package var enabled: UInt64
    /// Bytes of a whole area in the standard format.
    package var size: Int

    /// What to ask `cpuid` for: (leaf, subleaf).
    package static let leavesNeeded: [(leaf: UInt32, subleaf: UInt32)] = (0..<32).map { (0xd, $0) }

    static let legacySize = 512
    static let headerSize = 64
    static let firstComponentOffset = 576
    /// Bounds the sizes that a recorded or emulated `cpuid` can claim; those of real processors are far below.
    static let largestSize = 1 << 16

    /// - Parameter enabled: XCR0, or what `enabledComponents(inRegisterSet:)` says; without it everything
    ///   that the processor supports counts as enabled.
    package init(leaves: [CPUIDLeaf], enabled: UInt64? = nil) throws(ArchStateError) {
        guard let main = leaves.first(where: { $0.leaf == 0xd && $0.subleaf == 0 }) else {
            throw ArchStateError(.layoutMissing, detail: "no leaf 0xd")
        }
        let supported = UInt64(main.edx) << 32 | UInt64(main.eax)
        self.enabled = supported & (enabled ?? .max)
        guard self.enabled & 1 != 0 else {
            throw ArchStateError(.layoutMissing, detail: "x87 is not enabled")
        }
        components = []
        size = Self.firstComponentOffset
        for number in 2..<63 where self.enabled & 1 << UInt64(number) != 0 {
            guard let leaf = leaves.first(where: { $0.leaf == 0xd && $0.subleaf == UInt32(number) }) else {
                throw ArchStateError(.layoutMissing, detail: "no leaf 0xd for component \(number)")
            }
            let component = Component(
                number: number, offset: Int(leaf.ebx), size: Int(leaf.eax), isAligned: leaf.ecx & 2 != 0)
            let end = component.offset + component.size
            guard leaf.ecx & 1 == 0, component.size > 0, component.offset >= Self.firstComponentOffset,
                end <= Self.largestSize,
                !components.contains(where: { $0.offset < end && component.offset < $0.offset + $0.size })
            else {
                throw ArchStateError(
                    .layoutInconsistent,
                    detail: "component \(number) of \(component.size) bytes at \(component.offset)")
            }
            if let feature = X86ExtendedState.feature(ofComponent: number),
                component.size != X86ExtendedState.blockSize[feature]
            {
                throw ArchStateError(.layoutInconsistent, in: feature, detail: "\(component.size) bytes")
            }
            components.append(component)
            size = Swift.max(size, end)
        }
    }

    /// The component of a feature; nil where this processor lacks it or has it off.
    func component(of feature: CPUFeature) -> Component? {
        guard let number = X86ExtendedState.component(of: feature) else { return nil }
        return components.first { $0.number == number }
    }

    /// The vector features that a thread can have state in here.
    package var features: CPUFeatureSet {
        var features = CPUFeatureSet()
        for (number, feature) in X86ExtendedState.componentFeatures where enabled & 1 << UInt64(number) != 0 {
            features.insert(feature)
        }
        return features
    }

    /// Offsets in the compacted format of an area with this XCOMP_BV.
    ///
    /// Components follow each other by number from 576, some on multiples of 64.
    /// Source: Intel SDM volume 1, 13.4.3.
    func compactedOffsets(_ compaction: UInt64) throws(ArchStateError) -> [Int: Int] {
        var offsets: [Int: Int] = [:]
        var next = Self.firstComponentOffset
        for number in 2..<63 where compaction & 1 << UInt64(number) != 0 {
            guard let component = components.first(where: { $0.number == number }) else {
                throw ArchStateError(.registerSetHeader, detail: "XCOMP_BV has component \(number), unknown here")
            }
            if component.isAligned { next = (next + 63) & ~63 }
            offsets[number] = next
            next += component.size
        }
        return offsets
    }

    /// XCR0 as the kernel states it in a register set: the first u64 of the software-reserved area.
    ///
    /// Source: arch/x86/include/asm/user.h, `xstate_fx_sw_bytes`.
    package static func enabledComponents(inRegisterSet bytes: [UInt8]) -> UInt64? {
        bytes.count >= legacySize ? bytes.u64(at: X86ExtendedState.softwareReserved) : nil
    }
}
