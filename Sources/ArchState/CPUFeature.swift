/// One kind of state that a thread can have in its processor.
///
/// The raw value is the number of the record in the image *and* the bit in the 64-bit feature mask;
/// it is part of the format and never changes meaning. Number 0 is never used, so that a record of
/// zeros is refused. 1...31 belong to x86, 32...47 to aarch64, 48...63 to powerpc.
package enum CPUFeature: UInt8, CaseIterable, Sendable, Hashable {
    // x86
    case x86General = 1
    case x87 = 2
    case sse = 3
    case avx = 4
    case avx512Mask = 5
    case avx512Upper = 6
    case avx512High = 7
    case protectionKeys = 8
    case amxConfiguration = 9
    case amxData = 10
    case x86Debug = 11
    case x86Segments = 12
    case x86Bases = 13
    case x86ShadowStack = 14
    case apx = 15

    // aarch64
    case armGeneral = 32
    case armVector = 33
    case sve = 34
    case armThreadPointer = 35
    case armDebug = 36

    // powerpc
    case powerGeneral = 48
    case powerFloat = 49
    case altivec = 50
    case vsx = 51
    case spe = 52
    case powerDebug = 53

    /// The name as the processor's manual has it.
    package var name: String {
        switch self {
        case .x86General: "x86 general registers"
        case .x87: "x87"
        case .sse: "SSE"
        case .avx: "AVX"
        case .avx512Mask: "AVX-512 opmask"
        case .avx512Upper: "AVX-512 ZMM_Hi256"
        case .avx512High: "AVX-512 Hi16_ZMM"
        case .protectionKeys: "PKRU"
        case .amxConfiguration: "AMX TILECFG"
        case .amxData: "AMX TILEDATA"
        case .x86Debug: "x86 debug registers"
        case .x86Segments: "TLS descriptors"
        case .x86Bases: "FS/GS base"
        case .x86ShadowStack: "shadow stack (CET_U)"
        case .apx: "APX registers"
        case .armGeneral: "aarch64 general registers"
        case .armVector: "aarch64 FP/SIMD"
        case .sve: "SVE"
        case .armThreadPointer: "aarch64 TLS registers"
        case .armDebug: "aarch64 debug registers"
        case .powerGeneral: "powerpc general registers"
        case .powerFloat: "powerpc FP registers"
        case .altivec: "Altivec"
        case .vsx: "VSX"
        case .spe: "SPE"
        case .powerDebug: "powerpc debug registers"
        }
    }

    /// The processor family whose records may hold it.
    package var architecture: Architecture {
        switch rawValue {
        case ..<32: .x86
        case ..<48: .arm64
        default: .powerpc
        }
    }
}

extension CPUFeature: Comparable {
    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

extension CPUFeature: CustomStringConvertible {
    package var description: String { name }
}

/// A processor family with records in the format.
package enum Architecture: String, CaseIterable, Sendable {
    case x86 = "x86_64"
    case arm64 = "aarch64"
    case powerpc = "powerpc"
}

/// The 64-bit mask of features: bit N stands for feature number N.
package struct CPUFeatureSet: OptionSet, Hashable, Sendable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package init(_ features: some Sequence<CPUFeature>) {
        rawValue = 0
        for feature in features { insert(feature) }
    }

    /// A mask from an image; a bit without a feature is refused by its number.
    package init(untrusted mask: UInt64) throws(ArchStateError) {
        let unknown = mask & ~Self.all.rawValue
        if unknown != 0 {
            throw ArchStateError(.unknownFeature, detail: "feature number \(unknown.trailingZeroBitCount)")
        }
        rawValue = mask
    }

    /// Every feature that this version knows.
    package static let all = CPUFeatureSet(CPUFeature.allCases)

    package mutating func insert(_ feature: CPUFeature) { rawValue |= 1 << UInt64(feature.rawValue) }
    package mutating func remove(_ feature: CPUFeature) { rawValue &= ~(1 << UInt64(feature.rawValue)) }
    package func contains(_ feature: CPUFeature) -> Bool { rawValue & (1 << UInt64(feature.rawValue)) != 0 }

    /// The features, by number.
    package var features: [CPUFeature] { CPUFeature.allCases.filter { contains($0) } }
}

extension CPUFeatureSet: CustomStringConvertible {
    package var description: String {
        isEmpty ? "none" : features.map(\.name).joined(separator: ", ")
    }
}
