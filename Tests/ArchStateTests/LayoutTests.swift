import ArchState
import Testing

/// Layouts of the extended state of processors in the field, as pure functions over what `cpuid` leaf 0xD
/// says: every component lies where the manuals' tables put it, in the standard and in the compacted format.
///
/// Sizes of components are architectural (Intel SDM volume 1, table 13-1 and chapter 13.5). Offsets in the
/// standard format are the processor's choice. Intel's have been the same since MPX took 960...1087:
/// opmask 1088, ZMM_Hi256 1152, Hi16_ZMM 1664, PKRU 2688, TILECFG 2752, TILEDATA 2816. AMD's follow each
/// other without that hole. Zen 5 was recorded (under a hypervisor that hides PKRU); the others are made
/// after those tables and `/proc/cpuinfo` of their kind.
@Suite struct LayoutTests {
    struct Host: Sendable, CustomTestStringConvertible {
        var name: String
        var leaves: [CPUIDLeaf]
        /// Bytes of a register set.
        var size: Int
        /// Component number to offset: as `cpuid` has it, and in the compacted format with all components.
        var standard: [Int: Int]
        var compacted: [Int: Int]

        var testDescription: String { name }
    }

    static let hosts = [
        Host(
            name: "Intel client without AVX-512 (Haswell)", leaves: RecordedHost.haswell, size: 832,
            standard: [2: 576], compacted: [2: 576]),
        Host(
            name: "Intel client with PKRU (Alder Lake)",
            leaves: RecordedHost.leaves(xcr0: 0x207, size: 2696, [(2, 256, 576, 0), (9, 8, 2688, 0)]), size: 2696,
            standard: [2: 576, 9: 2688], compacted: [2: 576, 9: 832]),
        Host(
            name: "Intel server with AVX-512 (Ice Lake)", leaves: RecordedHost.iceLake, size: 2696,
            standard: [2: 576, 5: 1088, 6: 1152, 7: 1664, 9: 2688],
            compacted: [2: 576, 5: 832, 6: 896, 7: 1408, 9: 2432]),
        Host(
            name: "Intel server with AMX (Sapphire Rapids)", leaves: RecordedHost.sapphireRapids, size: 11008,
            standard: [2: 576, 5: 1088, 6: 1152, 7: 1664, 9: 2688, 17: 2752, 18: 2816],
            // TILECFG and TILEDATA begin on multiples of 64: 2440 -> 2496.
            compacted: [2: 576, 5: 832, 6: 896, 7: 1408, 9: 2432, 17: 2496, 18: 2560]),
        Host(
            name: "AMD without AVX-512 (Zen 3)", leaves: RecordedHost.zen3, size: 2440,
            standard: [2: 576, 9: 2432], compacted: [2: 576, 9: 832]),
        Host(
            name: "AMD with AVX-512 and PKRU (Zen 4)",
            leaves: RecordedHost.leaves(
                xcr0: 0x2e7, size: 2440,
                [
                    (2, 256, 576, 0), (5, 64, 832, 0), (6, 512, 896, 0), (7, 1024, 1408, 0), (9, 8, 2432, 0),
                    (11, 16, 0, 1), (12, 24, 0, 1),
                ]), size: 2440,
            standard: [2: 576, 5: 832, 6: 896, 7: 1408, 9: 2432],
            compacted: [2: 576, 5: 832, 6: 896, 7: 1408, 9: 2432]),
        Host(
            name: "AMD under a hypervisor without PKRU (Zen 5)", leaves: RecordedHost.zen5, size: 2432,
            standard: [2: 576, 5: 832, 6: 896, 7: 1408], compacted: [2: 576, 5: 832, 6: 896, 7: 1408]),
    ]

    static let features: [Int: CPUFeature] = [
        2: .avx, 5: .avx512Mask, 6: .avx512Upper, 7: .avx512High, 9: .protectionKeys, 17: .amxConfiguration,
        18: .amxData,
    ]

    @Test(arguments: hosts) func bytesLandInTheStandardFormat(_ host: Host) throws {
        let layout = try XSaveLayout(leaves: host.leaves)
        #expect(layout.size == host.size)
        let state = fullState(layout.features)
        let bytes = try state.registerSet(layout: layout, size: host.size)
        // Everything that is not a component, the legacy area or the header is zero.
        var rest = bytes
        for (number, offset) in host.standard {
            let block = try #require(state.blocks[Self.features[number]!])
            #expect(Array(bytes[offset..<offset + block.count]) == block, "component \(number)")
            rest.replaceSubrange(offset..<offset + block.count, with: Array(repeating: 0, count: block.count))
        }
        #expect(rest[576...].allSatisfy { $0 == 0 })
        #expect(littleU64(bytes, 512) == host.standard.keys.reduce(3) { $0 | 1 << UInt64($1) })
        #expect(littleU64(bytes, 520) == 0)
        #expect(try X86ExtendedState(registerSet: bytes, layout: layout) == state)
    }

    /// An area as `XSAVEC` writes it, each component put where the table says, with rubbish in between.
    @Test(arguments: hosts) func bytesAreFoundInTheCompactedFormat(_ host: Host) throws {
        let layout = try XSaveLayout(leaves: host.leaves)
        let state = fullState(layout.features)
        let standard = try state.registerSet(layout: layout, size: host.size)
        var bytes = Array(standard[..<576])
        bytes.replaceSubrange(520..<528, with: little(littleU64(standard, 512) | 1 << 63))
        bytes += Array(repeating: 0xee, count: 16384)
        for (number, offset) in host.compacted {
            let block = try #require(state.blocks[Self.features[number]!])
            bytes.replaceSubrange(offset..<offset + block.count, with: block)
        }
        #expect(try X86ExtendedState(registerSet: bytes, layout: layout) == state)
    }

    /// Records hold no offset: what one host saved lies at the other's places, if it has them.
    @Test(arguments: hosts) func stateMovesToEveryHostThatHasItsFeatures(_ source: Host) throws {
        let state = fullState(try XSaveLayout(leaves: source.leaves).features)
        let general = CPUState(generalRegisters: sampleRegisters(), extendedState: state)
        let saved = try CPUState(records: general.records)
        for target in Self.hosts {
            let layout = try XSaveLayout(leaves: target.leaves)
            let missing = state.features.features.filter { !layout.features.contains($0) }
            if let first = missing.first {
                expectRule(.notOffered, first) {
                    try saved.extended.registerSet(layout: layout, size: target.size)
                }
                continue
            }
            let bytes = try saved.extended.registerSet(layout: layout, size: target.size)
            for (number, offset) in target.standard {
                if let block = state.blocks[Self.features[number]!] {
                    #expect(Array(bytes[offset..<offset + block.count]) == block, "\(target.name), component \(number)")
                }
            }
            #expect(try X86ExtendedState(registerSet: bytes, layout: layout).blocks.filter { $0.key != .protectionKeys }
                == state.blocks.filter { $0.key != .protectionKeys })
        }
    }

    /// One feature at a time: only a host without that one refuses.
    @Test func eachFeatureIsAskedForByName() throws {
        for feature in Self.features.values {
            var state = X86ExtendedState()
            state.blocks[feature] = fullState(CPUFeatureSet([feature])).blocks[feature]
            for host in Self.hosts {
                let layout = try XSaveLayout(leaves: host.leaves)
                if layout.features.contains(feature) {
                    #expect(throws: Never.self) { try state.registerSet(layout: layout, size: host.size) }
                } else {
                    expectRule(.notOffered, feature) { try state.registerSet(layout: layout, size: host.size) }
                }
            }
        }
    }
}
