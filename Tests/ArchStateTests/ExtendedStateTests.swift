import ArchState
import Testing

/// A state with every component that a host offers in use.
func fullState(_ features: CPUFeatureSet) -> X86ExtendedState {
    var state = X86ExtendedState()
    var x87 = X86ExtendedState.X87()
    x87.control = 0x27f
    x87.status = 0x3800
    x87.tags = 0x81
    x87.opcode = 0x123
    x87.instruction = 0x1122_3344_5566
    x87.operand = 0x7788
    x87.registers = pattern(80)
    state.x87 = x87
    var sse = X86ExtendedState.SSE()
    sse.control = 0x9fc0
    sse.registers = pattern(256, from: 3)
    state.sse = sse
    for (feature, size) in [
        (.avx, 256), (.avx512Mask, 64), (.avx512Upper, 512), (.avx512High, 1024), (.amxData, 8192), (.apx, 128),
    ] as [(CPUFeature, Int)] where features.contains(feature) {
        state.blocks[feature] = pattern(size, from: feature.rawValue)
    }
    if features.contains(.protectionKeys) { state.blocks[.protectionKeys] = [0x50, 0x55, 0x55, 0x55, 0, 0, 0, 0] }
    if features.contains(.amxConfiguration) {
        var configuration = [UInt8](repeating: 0, count: 64)
        configuration[0] = 1
        configuration[16] = 64
        configuration[48] = 16
        state.blocks[.amxConfiguration] = configuration
    }
    return state
}

/// The same bytes as XSAVEC would write them.
func compacted(_ standard: [UInt8], _ leaves: [CPUIDLeaf], components: UInt64) -> [UInt8] {
    var bytes = Array(standard[0..<576])
    for leaf in leaves where leaf.subleaf >= 2 && components & 1 << UInt64(leaf.subleaf) != 0 && leaf.ecx & 1 == 0 {
        if leaf.ecx & 2 != 0 { while bytes.count % 64 != 0 { bytes.append(0xee) } }
        bytes += standard[Int(leaf.ebx)..<Int(leaf.ebx + leaf.eax)]
    }
    bytes.replaceSubrange(520..<528, with: little(components | 1 << 63))
    return bytes
}

@Suite struct ExtendedStateTests {
    @Test func layoutsOfRecordedHosts() throws {
        let sizes = try RecordedHost.all.map { try XSaveLayout(leaves: $0).size }
        #expect(sizes == [832, 2696, 11008, 2432, 2440])
        #expect(try XSaveLayout(leaves: RecordedHost.haswell).features == CPUFeatureSet([.x87, .sse, .avx]))
        let zen5 = try XSaveLayout(leaves: RecordedHost.zen5)
        #expect(zen5.components.map(\.offset) == [576, 832, 896, 1408])
        let amx = try XSaveLayout(leaves: RecordedHost.sapphireRapids)
        #expect(amx.components.map(\.isAligned) == [false, false, false, false, false, true, true])
        #expect(XSaveLayout.leavesNeeded.contains { $0 == (0xd, 18) })
    }

    @Test func whatIsNotEnabledIsNotOffered() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.sapphireRapids, enabled: 0x2e7)
        #expect(layout.size == 2696)
        #expect(!layout.features.contains(.amxData))
    }

    @Test func layoutWithoutLeavesIsRefused() {
        expectRule(.layoutMissing) { try XSaveLayout(leaves: []) }
        expectRule(.layoutMissing) { try XSaveLayout(leaves: RecordedHost.leaves(xcr0: 7, size: 832, [])) }
    }

    @Test(
        arguments: [
            (2, 256, 512, 0), (2, 256, 0xffff_0000, 0), (2, 0, 576, 0), (2, 128, 576, 0), (2, 256, 576, 1),
        ] as [(UInt32, UInt32, UInt32, UInt32)])
    func inconsistentLayoutIsRefused(_ component: (UInt32, UInt32, UInt32, UInt32)) {
        let leaves = RecordedHost.leaves(
            xcr0: 7, size: 832, [(number: component.0, size: component.1, offset: component.2, flags: component.3)])
        expectRule(.layoutInconsistent) { try XSaveLayout(leaves: leaves) }
    }

    @Test func overlappingComponentsAreRefused() {
        let leaves = RecordedHost.leaves(xcr0: 0x27, size: 896, [(2, 256, 576, 0), (5, 64, 800, 0)])
        expectRule(.layoutInconsistent) { try XSaveLayout(leaves: leaves) }
    }

    @Test func componentsLandAtTheirOffsets() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.iceLake)
        let state = fullState(layout.features)
        let bytes = try state.registerSet(layout: layout, size: 2696)
        #expect(bytes.count == 2696)
        // Legacy area
        #expect(Array(bytes[0..<8]) == [0x7f, 0x02, 0x00, 0x38, 0x81, 0x00, 0x23, 0x01])  // FCW FSW FTW 0 FOP
        #expect(Array(bytes[8..<24]) == little(UInt64(0x1122_3344_5566)) + little(UInt64(0x7788)))  // FIP FDP
        #expect(Array(bytes[24..<28]) == little(UInt32(0x9fc0)))  // MXCSR
        #expect(Array(bytes[32..<48]) == pattern(80)[0..<10] + [0, 0, 0, 0, 0, 0])  // ST0
        #expect(Array(bytes[144..<154]) == Array(pattern(80)[70..<80]))  // ST7
        #expect(Array(bytes[160..<416]) == pattern(256, from: 3))  // XMM0...XMM15
        #expect(littleU64(bytes, 464) == 0x2e7)  // XCR0, as the kernel has it there
        // Header
        #expect(littleU64(bytes, 512) == 0x2e7)  // XSTATE_BV
        #expect(bytes[520..<576].allSatisfy { $0 == 0 })  // XCOMP_BV, reserved
        // Components
        #expect(Array(bytes[576..<832]) == state.blocks[.avx])
        #expect(bytes[832..<1088].allSatisfy { $0 == 0 })  // the hole
        #expect(Array(bytes[1088..<1152]) == state.blocks[.avx512Mask])
        #expect(Array(bytes[1152..<1664]) == state.blocks[.avx512Upper])
        #expect(Array(bytes[1664..<2688]) == state.blocks[.avx512High])
        #expect(Array(bytes[2688..<2696]) == state.blocks[.protectionKeys])
    }

    @Test func initialStateHasNoRecordsAndComesBackInitial() throws {
        for leaves in RecordedHost.all {
            let layout = try XSaveLayout(leaves: leaves)
            let bytes = try X86ExtendedState().registerSet(layout: layout, size: layout.size)
            let withKeys = layout.features.contains(.protectionKeys)
            #expect(littleU64(bytes, 512) == (withKeys ? 0x200 : 0))
            #expect(Array(bytes[0..<2]) == [0x7f, 0x03])
            #expect(Array(bytes[24..<28]) == [0x80, 0x1f, 0, 0])
            let state = try X86ExtendedState(registerSet: bytes, layout: layout)
            #expect(state == X86ExtendedState())
            #expect(state.features.isEmpty)
        }
    }

    @Test func bitsSetOverInitialStateMakeNoRecord() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.zen5)
        var bytes = try X86ExtendedState().registerSet(layout: layout, size: layout.size)
        bytes.replaceSubrange(512..<520, with: little(UInt64(0xe7)))
        #expect(try X86ExtendedState(registerSet: bytes, layout: layout).features.isEmpty)
    }

    @Test func changedMXCSRAloneIsRecorded() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.zen5)
        var bytes = try X86ExtendedState().registerSet(layout: layout, size: layout.size)
        bytes[25] = 0x9f  // flush to zero
        let state = try X86ExtendedState(registerSet: bytes, layout: layout)
        #expect(state.sse?.control == 0x9f80)
        #expect(littleU64(try state.registerSet(layout: layout, size: layout.size), 512) == 2)
    }

    @Test func protectionKeysOfANewProgramNeedNoRecord() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.zen3)
        var bytes = try X86ExtendedState().registerSet(layout: layout, size: layout.size)
        #expect(Array(bytes[2432..<2440]) == [0x54, 0x55, 0x55, 0x55, 0, 0, 0, 0])
        // All access, which is the processor's initial state: bit clear.
        bytes.replaceSubrange(2432..<2440, with: Array(repeating: 0, count: 8))
        bytes.replaceSubrange(512..<520, with: little(UInt64(0)))
        let state = try X86ExtendedState(registerSet: bytes, layout: layout)
        #expect(state.blocks == [.protectionKeys: Array(repeating: 0, count: 8)])
        let again = try state.registerSet(layout: layout, size: layout.size)
        #expect(littleU64(again, 512) == 0x200)
    }

    @Test func everyHostTakesItsOwnStateBack() throws {
        for leaves in RecordedHost.all {
            let layout = try XSaveLayout(leaves: leaves)
            let state = fullState(layout.features)
            let bytes = try state.registerSet(layout: layout, size: layout.size)
            #expect(try X86ExtendedState(registerSet: bytes, layout: layout) == state)
            #expect(state.features == layout.features)
            let packed = compacted(bytes, leaves, components: layout.enabled)
            #expect(try X86ExtendedState(registerSet: packed, layout: layout) == state)
        }
    }

    @Test func compactedComponentsFollowEachOther() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.sapphireRapids)
        var state = fullState(layout.features)
        state.blocks[.avx512Mask] = nil
        state.blocks[.avx512Upper] = nil
        let standard = try state.registerSet(layout: layout, size: layout.size)
        let packed = compacted(standard, RecordedHost.sapphireRapids, components: 0x60287)
        // 576 AVX, 832 Hi16_ZMM, 1856 PKRU, 1864 -> 1920 TILECFG, 1984 TILEDATA
        #expect(packed.count == 1984 + 8192)
        #expect(try X86ExtendedState(registerSet: packed, layout: layout) == state)
    }

    @Test func stateMovesBetweenLayouts() throws {
        let zen5 = try XSaveLayout(leaves: RecordedHost.zen5)
        let iceLake = try XSaveLayout(leaves: RecordedHost.iceLake)
        let state = fullState(zen5.features)
        let bytes = try state.registerSet(layout: iceLake, size: iceLake.size)
        let there = try X86ExtendedState(registerSet: bytes, layout: iceLake)
        #expect(there == state)
        let back = try there.registerSet(layout: zen5, size: zen5.size)
        #expect(back == (try state.registerSet(layout: zen5, size: zen5.size)))
    }

    @Test func onlyWhatIsInUseMustBeOffered() throws {
        let zen5 = try XSaveLayout(leaves: RecordedHost.zen5)
        let haswell = try XSaveLayout(leaves: RecordedHost.haswell)
        var bytes = try X86ExtendedState().registerSet(layout: zen5, size: zen5.size)
        bytes.replaceSubrange(576..<592, with: pattern(16))
        bytes.replaceSubrange(512..<520, with: little(UInt64(0xe7)))
        let light = try X86ExtendedState(registerSet: bytes, layout: zen5)
        #expect(light.features == CPUFeatureSet([.avx]))
        #expect(try light.registerSet(layout: haswell, size: 832).count == 832)
        let heavy = fullState(zen5.features)
        expectRule(.notOffered, .avx512Mask) { try heavy.registerSet(layout: haswell, size: 832) }
    }

    @Test func registerSetTooShortForAComponentIsRefused() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.zen5)
        let state = fullState(layout.features)
        expectRule(.registerSetSize) { try state.registerSet(layout: layout, size: 2431) }
        let bytes = try state.registerSet(layout: layout, size: layout.size)
        for count in [0, 511, 575, 576, 1000, 2431] {
            expectRule(.registerSetSize) {
                try X86ExtendedState(registerSet: Array(bytes[0..<count]), layout: layout)
            }
        }
    }

    @Test func unknownComponentIsRefused() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.haswell)
        var bytes = try X86ExtendedState().registerSet(layout: layout, size: 832)
        bytes[512] = 0x8
        expectRule(.unknownComponent) { try X86ExtendedState(registerSet: bytes, layout: layout) }
    }

    @Test func damagedHeaderIsRefused() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.haswell)
        let good = try X86ExtendedState().registerSet(layout: layout, size: 832)
        for (offset, value) in [(520, 1), (528, 1), (575, 0x80)] as [(Int, UInt8)] {
            var bytes = good
            bytes[offset] = value
            expectRule(.registerSetHeader) { try X86ExtendedState(registerSet: bytes, layout: layout) }
        }
        // Compacted: a component in use that is not present, and one that nobody knows.
        var bytes = good
        bytes[512] = 4
        bytes[527] = 0x80
        expectRule(.registerSetHeader) { try X86ExtendedState(registerSet: bytes, layout: layout) }
        bytes[520] = 0x24
        expectRule(.registerSetHeader) { try X86ExtendedState(registerSet: bytes, layout: layout) }
    }

    @Test func enabledComponentsAreInTheRegisterSet() throws {
        let layout = try XSaveLayout(leaves: RecordedHost.zen5)
        let bytes = try X86ExtendedState().registerSet(layout: layout, size: layout.size)
        #expect(XSaveLayout.enabledComponents(inRegisterSet: bytes) == 0xe7)
        #expect(XSaveLayout.enabledComponents(inRegisterSet: []) == nil)
    }
}
