import ArchState
import CheckpointImage
import Testing

@testable import RestorePlan

/// An image from a processor with more than this one has: what decides is what its threads use.
@Suite struct ProcessorTests {
    /// From Ice Lake, restarted on Haswell: no AVX-512, no protection keys.
    private func sample(_ state: X86ExtendedState) throws -> Sample {
        var sample = Sample()
        var general = X86GeneralRegisters()
        general.rip = 0x40_0000
        sample.records.threads[1].cpu = CPUState(generalRegisters: general, extendedState: state).records.map {
            var record = ImageCpuRecord()
            record.feature = $0.feature
            record.body = $0.body.asData
            return record
        }
        let haswell = [
            CPUIDLeaf(leaf: 0xd, subleaf: 0, eax: 7, ebx: 832, ecx: 832),
            CPUIDLeaf(leaf: 0xd, subleaf: 2, eax: 256, ebx: 576),
        ]
        let layout = try XSaveLayout(leaves: haswell)
        sample.facts.xsaveLayout = layout
        sample.facts.cpu = CPUOffer(features: layout.features.union(CPUOffer.everywhere))
        return sample
    }

    /// A register set of Ice Lake with some components in use.
    private func saved(_ components: [Int: (offset: Int, size: Int)]) throws -> X86ExtendedState {
        let sizes: [(UInt32, UInt32, UInt32)] = [
            (2, 256, 576), (5, 64, 1088), (6, 512, 1152), (7, 1024, 1664), (9, 8, 2688),
        ]
        let iceLake = [CPUIDLeaf(leaf: 0xd, subleaf: 0, eax: 0x2e7, ebx: 2696, ecx: 2696)] + sizes.map {
            CPUIDLeaf(leaf: 0xd, subleaf: $0.0, eax: $0.1, ebx: $0.2)
        }
        let layout = try XSaveLayout(leaves: iceLake)
        var bytes = try X86ExtendedState().registerSet(layout: layout, size: 2696)
        // Every component is present, as after any use of AVX-512; most of them are all zero again.
        bytes[512] = 0xe7
        for (_, place) in components {
            bytes.replaceSubrange(place.offset..<place.offset + place.size, with: (0..<place.size).map { UInt8($0 & 0xff) })
        }
        return try X86ExtendedState(registerSet: bytes, layout: layout)
    }

    @Test func stateWithoutAVX512RunsWithoutAVX512() throws {
        let state = try saved([2: (576, 256)])
        #expect(state.features == CPUFeatureSet([.avx]))
        let sample = try sample(state)
        #expect(try sample.findings() == [])
        let valid = try sample.valid()
        let layout = try #require(sample.facts.xsaveLayout)
        let bytes = try valid.states[1].extended.registerSet(layout: layout, size: 832)
        #expect(Array(bytes[576..<832]) == (0..<256).map { UInt8($0) })
    }

    @Test func stateWithAVX512IsRefusedByThreadAndFeature() throws {
        let state = try saved([2: (576, 256), 7: (1664, 1024)])
        let findings = try sample(state).findings()
        #expect(findings.count == 1)
        #expect(findings[0].contains("thread 101"), "\(findings)")
        #expect(findings[0].contains("AVX-512 Hi16_ZMM"), "\(findings)")
    }

    @Test func everyFeatureIsNamed() throws {
        let state = try saved([5: (1088, 64), 6: (1152, 512), 7: (1664, 1024)])
        let findings = try sample(state).findings()
        for feature in ["AVX-512 opmask", "AVX-512 ZMM_Hi256", "AVX-512 Hi16_ZMM"] {
            #expect(findings.contains { $0.contains("thread 101") && $0.contains(feature) }, "\(findings)")
        }
    }

    /// The records of a thread of another processor family are refused as such.
    @Test func stateOfAnotherArchitectureIsRefused() throws {
        var sample = Sample()
        var record = ImageCpuRecord()
        record.feature = 32
        record.body = ARM64State(general: ARM64State.General()).records[0].body.asData
        sample.records.threads[0].cpu = [record]
        #expect(try sample.findings().contains { $0.contains("thread 100") && $0.contains("another architecture") })
    }
}
