import ArchState
import Testing

@Suite struct CompatibilityTests {
    /// Leaves 1, 7 and 0x80000001 of the recorded Zen 5 host.
    static let zen5 =
        RecordedHost.zen5 + [
            CPUIDLeaf(leaf: 1, subleaf: 0, eax: 0xb00f21, ebx: 0x20800, ecx: 0xfffa_3203, edx: 0x178b_fbff),
            CPUIDLeaf(leaf: 7, subleaf: 0, eax: 1, ebx: 0xf1bf_07ab, ecx: 0x40_5fc6, edx: 0x110),
            CPUIDLeaf(leaf: 7, subleaf: 1, eax: 0x30),
            CPUIDLeaf(leaf: 0x8000_0001, subleaf: 0, eax: 0xb00f21, ebx: 0x4000_0000, ecx: 0x40_03f3, edx: 0x2fd3_fbff),
        ]
    /// Haswell: AVX2 and BMI, no AVX-512.
    static let haswell =
        RecordedHost.haswell + [
            CPUIDLeaf(leaf: 1, subleaf: 0, ecx: 0x7ffa_fbff, edx: 0xbfeb_fbff),
            CPUIDLeaf(leaf: 7, subleaf: 0, ebx: 0x27ab),
            CPUIDLeaf(leaf: 0x8000_0001, subleaf: 0, ecx: 0x21, edx: 0x2c10_0800),
        ]

    @Test func instructionSetsOfARecordedHost() {
        let names = X86InstructionSets(leaves: Self.zen5).names
        for name in ["avx2", "avx512f", "avx512vl", "sha_ni", "gfni", "avx_vnni", "avx512_bf16", "sse4a", "fsrm"] {
            #expect(names.contains(name))
        }
        for name in ["ospke", "rtm", "amx_tile", "waitpkg", "xop"] { #expect(!names.contains(name)) }
        #expect(X86InstructionSets(leaves: []).isEmpty)
        #expect(X86InstructionSets(rawValue: .max).names.count == 64)
    }

    @Test func sameHostWillRun() throws {
        let offer = try CPUOffer(leaves: Self.zen5)
        let report = CPUCompatibility(inUse: offer.features, offeredThere: offer, offeredHere: offer)
        #expect(report.verdict == .willRun)
        #expect(!report.isRefused(strict: true))
        #expect(report.sentences == ["will run"])
    }

    @Test func unusedFeaturesOnlyWarn() throws {
        let report = CPUCompatibility(
            inUse: CPUFeatureSet([.x86General, .x86Bases, .sse, .avx]),
            offeredThere: try CPUOffer(leaves: Self.zen5), offeredHere: try CPUOffer(leaves: Self.haswell))
        guard case .mayHaveChosen(let names) = report.verdict else {
            Issue.record("\(report.verdict)")
            return
        }
        #expect(names.contains("AVX-512 opmask"))
        #expect(names.contains("avx512f"))
        #expect(!names.contains("avx2"))
        #expect(!report.isRefused(strict: false))
        #expect(report.isRefused(strict: true))
        #expect(
            report.sentences[0].hasPrefix("will run, but the program may have chosen instructions this host lacks: "))
    }

    @Test func stateInUseRefusesByThreadAndFeature() throws {
        let report = CPUCompatibility(
            inUse: CPUFeatureSet([.x86General, .avx512High]),
            offeredThere: try CPUOffer(leaves: Self.zen5), offeredHere: try CPUOffer(leaves: Self.haswell),
            threads: [
                .init(name: "4711 python3", features: CPUFeatureSet([.x86General])),
                .init(name: "4712 python3", features: CPUFeatureSet([.x86General, .avx512High])),
            ])
        #expect(report.verdict == .cannotRun([.init(feature: .avx512High, threads: ["4712 python3"])]))
        #expect(report.isRefused(strict: false))
        #expect(report.sentences == ["cannot run: thread 4712 python3 uses AVX-512 Hi16_ZMM"])
        let row = report.lines.first { $0.name == "AVX-512 Hi16_ZMM" }
        #expect(row == .init(name: "AVX-512 Hi16_ZMM", inUse: true, offeredThere: true, offeredHere: false))
        #expect(report.table.contains("AVX-512 Hi16_ZMM"))
    }

    @Test func moreInstructionsHereAreNoFinding() throws {
        let report = CPUCompatibility(
            inUse: CPUFeatureSet([.x86General, .avx]),
            offeredThere: try CPUOffer(leaves: Self.haswell), offeredHere: try CPUOffer(leaves: Self.zen5))
        #expect(report.verdict == .willRun)
        #expect(report.lines.contains(.init(name: "avx512f", inUse: nil, offeredThere: false, offeredHere: true)))
    }

    @Test func anotherArchitectureCannotRun() throws {
        let report = CPUCompatibility(
            inUse: CPUFeatureSet([.powerGeneral]), offeredThere: CPUOffer(features: CPUFeatureSet([.powerGeneral])),
            offeredHere: try CPUOffer(leaves: Self.haswell))
        #expect(report.sentences == ["cannot run: powerpc general registers is in use"])
    }
}
