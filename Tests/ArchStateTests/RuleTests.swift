import ArchState
import Testing

/// One test for each rule that a crafted record can break.
@Suite struct RuleTests {
    static let layout = try! XSaveLayout(leaves: RecordedHost.sapphireRapids)

    /// A state with a record of every x86 feature.
    static let everything: CPUState = {
        var features = layout.features
        features.insert(.apx)
        return CPUState(
            generalRegisters: sampleRegisters(), extendedState: fullState(features),
            debugRegisters: X86DebugRegisters(addresses: [0x1000, 0, 0, 0], status: 1, control: 0xd0001),
            tlsDescriptors: X86TLSDescriptors([.init(base: 0x1000, limit: 0xfffff, flags: 0x51), .init(), .init()]),
            shadowStack: X86ShadowStack(pointer: 0x7f00_0000_0ff8, features: 1))
    }()

    /// Records with one of them rewritten.
    static func records(_ feature: CPUFeature, _ change: (inout [UInt8]) -> Void) -> [CPURecord] {
        var records = everything.records
        let index = records.firstIndex { $0.feature == UInt32(feature.rawValue) }!
        change(&records[index].body)
        return records
    }

    func refused(
        _ rule: ArchStateError.Rule, _ feature: CPUFeature, _ offset: Int, _ bytes: [UInt8],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let records = Self.records(feature) { $0.replaceSubrange(offset..<offset + bytes.count, with: bytes) }
        expectRule(rule, feature, sourceLocation: sourceLocation) { try CPUState(records: records) }
    }

    @Test func everythingIsValid() throws {
        let state = Self.everything
        #expect(state.features.features.map(\.rawValue) == Array(1...15))
        #expect(try state.validated() == state)
        #expect(try CPUState(records: state.records) == state)
    }

    @Test func unknownFeature() {
        for number: UInt32 in [0, 16, 31, 63, 64, 255, 256, 0x101, .max] {
            let records = [CPURecord(feature: number, body: [1, 0, 0, 0])]
            expectRule(.unknownFeature) { try CPUState(records: records) }
        }
        expectRule(.unknownFeature) { try CPUFeatureSet(untrusted: 1 << 31) }
        expectRule(.unknownFeature) { try CPUFeatureSet(untrusted: 1) }
    }

    @Test func foreignFeature() {
        let records = Self.everything.records + [CPURecord(feature: 51, body: [1, 0, 0, 0])]
        expectRule(.foreignFeature, .vsx) { try CPUState(records: records) }
    }

    @Test func duplicateRecord() {
        let records = Self.everything.records
        expectRule(.duplicateRecord, .x86General) { try CPUState(records: [records[0], records[0]]) }
    }

    @Test func recordOrder() {
        let records = Self.everything.records
        expectRule(.recordOrder, .x86General) { try CPUState(records: [records[1], records[0]]) }
    }

    @Test func missingRecord() {
        expectRule(.missingRecord, .x86General) { try CPUState(records: []) }
        expectRule(.missingRecord, .x86General) { try CPUState(records: Array(Self.everything.records.dropFirst())) }
    }

    @Test func recordSizeOfEveryFeature() {
        for feature in Self.everything.features.features {
            expectRule(.recordSize, feature) { try CPUState(records: Self.records(feature) { $0.append(0) }) }
            expectRule(.recordSize, feature) { try CPUState(records: Self.records(feature) { $0.removeLast() }) }
            expectRule(.recordSize, feature) { try CPUState(records: Self.records(feature) { $0 = [] }) }
        }
    }

    @Test func recordVersionOfEveryFeature() {
        for feature in Self.everything.features.features { refused(.recordVersion, feature, 0, [2, 0, 0, 0]) }
    }

    @Test func recordsOfInitialState() {
        for feature in Self.everything.features.features where feature != .x86General {
            let records = Self.records(feature) { body in
                body.replaceSubrange(4..<body.count, with: Array(repeating: 0, count: body.count - 4))
                switch feature {
                case .x87: body.replaceSubrange(4..<6, with: [0x7f, 0x03])
                case .sse: body.replaceSubrange(4..<8, with: [0x80, 0x1f, 0, 0])
                case .protectionKeys: body.replaceSubrange(4..<8, with: [0x54, 0x55, 0x55, 0x55])
                default: break
                }
            }
            // No palette is the initial tile configuration, and refused as such first.
            let rule: ArchStateError.Rule = feature == .amxConfiguration ? .tileConfiguration : .notInUse
            expectRule(rule, feature) { try CPUState(records: records) }
        }
    }

    @Test func privilegedFlags() {
        // IOPL, VM, VIF, VIP, bits 3, 5, 15, beyond 32
        for bit in [12, 13, 17, 19, 20, 3, 5, 15, 22, 32, 63] as [UInt64] {
            refused(.privilegedFlags, .x86General, 152, little(UInt64(0x246) | 1 << bit))
        }
    }

    @Test func userFlagsAreAccepted() throws {
        // CF PF AF ZF SF TF DF OF NT RF AC ID
        for bit in [0, 2, 4, 6, 7, 8, 10, 11, 14, 16, 18, 21] as [UInt64] {
            _ = try CPUState(
                records: Self.records(.x86General) {
                    $0.replaceSubrange(152..<160, with: little(UInt64(0x202) | 1 << bit))
                })
        }
    }

    @Test func fixedFlags() {
        refused(.fixedFlags, .x86General, 152, little(UInt64(0x200)))
        refused(.fixedFlags, .x86General, 152, little(UInt64(0x2)))
    }

    @Test func segmentRange() {
        for symbol: UInt16 in [4, 0x33, 0xff, 0x103, 0x3fff, 0x6000, 0xffff] {
            for index in 0..<6 { refused(.segmentRange, .x86General, 4 + index * 2, little(symbol)) }
        }
        var registers = sampleRegisters()
        registers.gs = .tls(3)
        expectRule(.segmentRange) { try CPUState(generalRegisters: registers).validated() }
        registers.gs = .ldt(8192)
        expectRule(.segmentRange) { try CPUState(generalRegisters: registers).validated() }
    }

    @Test func everySymbolicSegmentIsAccepted() throws {
        for segment: X86Segment in [.null, .userCode32, .userCode64, .userData, .tls(0), .tls(2), .ldt(0), .ldt(8191)] {
            var registers = sampleRegisters()
            registers.fs = segment
            let state = CPUState(generalRegisters: registers)
            #expect(try CPUState(records: state.records).general.fs == segment)
        }
    }

    @Test func nullCodeSegment() { refused(.nullCodeSegment, .x86General, 4, [0, 0]) }

    @Test func codeSegment() {
        refused(.codeSegment, .x86General, 4, [3, 0])
        refused(.codeSegment, .x86General, 4, [0, 1])
    }

    @Test func stackSegment() {
        refused(.stackSegment, .x86General, 6, [0, 0])
        refused(.stackSegment, .x86General, 6, [1, 0])
        refused(.stackSegment, .x86General, 6, [2, 0])
    }

    @Test func instructionPointer() {
        refused(.instructionPointer, .x86General, 144, little(UInt64(0x7fff_ffff_f000)))
        refused(.instructionPointer, .x86General, 144, little(UInt64(0xffff_ffff_8100_0000)))
        refused(.instructionPointer, .x86General, 144, little(UInt64(0x8000_0000_0000_0000)))
        // 32-bit code ends earlier.
        let records = Self.records(.x86General) { body in
            body[4] = 2
            body.replaceSubrange(144..<152, with: little(UInt64(1 << 32)))
        }
        expectRule(.instructionPointer) { try CPUState(records: records) }
    }

    @Test func basePointer() {
        for base: UInt64 in [0x7fff_ffff_f000, 0x8000_0000_0000, 0xffff_8000_0000_0000, .max] {
            refused(.basePointer, .x86Bases, 4, little(base))
            refused(.basePointer, .x86Bases, 12, little(base))
        }
    }

    @Test func controlRegister() {
        refused(.controlRegister, .sse, 4, little(UInt32(0x1_1f80)))
        refused(.controlRegister, .sse, 4, little(UInt32.max))
        refused(.controlRegister, .x87, 4, little(UInt16(0x8000 | 0x37f)))
        refused(.controlRegister, .x87, 4, little(UInt16(0x33f)))
    }

    @Test func reservedBits() {
        refused(.reservedBits, .x87, 8, little(UInt16(0x100)))  // abridged tag word
        refused(.reservedBits, .x87, 10, little(UInt16(0x800)))  // opcode
        refused(.reservedBits, .protectionKeys, 8, [1, 0, 0, 0])
        refused(.reservedBits, .x86Debug, 36, little(UInt64(0x10)))
        refused(.reservedBits, .x86Segments, 8, little(UInt32(0x10_0000)))  // limit
        refused(.reservedBits, .x86Segments, 12, little(UInt32(0x80)))  // flags
        refused(.reservedBits, .x86ShadowStack, 12, little(UInt64(4)))
    }

    @Test func tileConfiguration() {
        refused(.tileConfiguration, .amxConfiguration, 4, [2])  // palette
        refused(.tileConfiguration, .amxConfiguration, 6, [1])  // reserved
        refused(.tileConfiguration, .amxConfiguration, 20, [65])  // bytes per row
        refused(.tileConfiguration, .amxConfiguration, 52, [17])  // rows
        refused(.tileConfiguration, .amxConfiguration, 36, [1])  // ninth tile
        refused(.tileConfiguration, .amxConfiguration, 52, [0])  // rows without bytes
    }

    @Test func debugAddress() {
        refused(.debugAddress, .x86Debug, 4, little(UInt64(0xffff_ffff_8100_0000)))
        refused(.debugAddress, .x86Debug, 28, little(UInt64(0x7fff_ffff_f000)))
        refused(.debugAddress, .x86Debug, 4, little(UInt64(0x1002)))  // four bytes long
    }

    @Test func debugControl() {
        refused(.debugControl, .x86Debug, 44, little(UInt64(1 << 13)))  // general detect
        refused(.debugControl, .x86Debug, 44, little(UInt64(1 << 11)))  // transactional
        refused(.debugControl, .x86Debug, 44, little(UInt64(1 << 32)))
        refused(.debugControl, .x86Debug, 44, little(UInt64(0x2_0001)))  // I/O breakpoint
        refused(.debugControl, .x86Debug, 44, little(UInt64(0xc_0001)))  // execution of four bytes
        refused(.debugControl, .x86Debug, 44, little(UInt64(0xd1_0001)))  // kind of one that is not enabled
    }

    @Test func descriptor() {
        refused(.descriptor, .x86Segments, 12, little(UInt32(0x50)))  // 16-bit
        refused(.descriptor, .x86Segments, 12, little(UInt32(0x55)))  // code
        refused(.descriptor, .x86Segments, 12, little(UInt32(0x57)))  // conforming code
        refused(.descriptor, .x86Segments, 12, little(UInt32(0x71)))  // not present
    }

    @Test func shadowStackPointer() {
        refused(.shadowStackPointer, .x86ShadowStack, 4, little(UInt64(0x7f00_0000_0ff9)))
        refused(.shadowStackPointer, .x86ShadowStack, 4, little(UInt64(0x7fff_ffff_f000)))
    }

    @Test func errorsAreOneSentence() {
        let error = ArchStateError(.controlRegister, in: .sse, detail: "MXCSR is 0x11f80")
        #expect(
            "\(error)" == "cannot use CPU state: SSE: control register has bits outside of its mask (MXCSR is 0x11f80)")
    }

    @Test func descriptorsTranslateBothWays() throws {
        // struct user_desc of entries 12 ... 14; an empty one is read_exec_only and not present.
        let bytes: [UInt8] =
            little(UInt32(12)) + little(UInt32(0xf7d0_0040)) + little(UInt32(0xfffff)) + little(UInt32(0x51))
            + little(UInt32(13)) + little(UInt32(0)) + little(UInt32(0)) + little(UInt32(0x28))
            + little(UInt32(14)) + little(UInt32(0)) + little(UInt32(0)) + little(UInt32(0x28))
        let tls = try X86TLSDescriptors(registerSet: bytes)
        #expect(tls.descriptors == [.init(base: 0xf7d0_0040, limit: 0xfffff, flags: 0x51), .init(), .init()])
        #expect(tls.registerSet == bytes)
        var wrong = bytes
        wrong[0] = 13
        expectRule(.registerSetHeader) { try X86TLSDescriptors(registerSet: wrong) }
        expectRule(.registerSetSize) { try X86TLSDescriptors(registerSet: Array(bytes.dropLast())) }
    }

    @Test func idleDebugRegistersMakeNoRecord() {
        let idle = X86DebugRegisters(dr0: 0, dr1: 0, dr2: 0, dr3: 0, dr6: 0xffff_0ff0, dr7: 0x400)
        #expect(CPUState(generalRegisters: sampleRegisters(), debugRegisters: idle).debug == nil)
    }
}
