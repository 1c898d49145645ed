import ArchState
import Testing

/// Refuses `records` with one of them rewritten.
private func refused(
    _ rule: ArchStateError.Rule, _ feature: CPUFeature, _ records: [CPURecord], _ offset: Int, _ bytes: [UInt8],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    var records = records
    let index = records.firstIndex { $0.feature == UInt32(feature.rawValue) }!
    records[index].body.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    expectRule(rule, feature, sourceLocation: sourceLocation) { try AnyCPUState(records: records) }
}

/// Every record one byte longer, one shorter, of another version.
private func shapesAreChecked(_ records: [CPURecord]) {
    for index in records.indices {
        let feature = CPUFeature(rawValue: UInt8(records[index].feature))!
        var changed = records
        changed[index].body.append(0)
        expectRule(.recordSize, feature) { try AnyCPUState(records: changed) }
        changed[index].body = Array(records[index].body.dropLast())
        expectRule(.recordSize, feature) { try AnyCPUState(records: changed) }
        changed[index].body = []
        expectRule(.recordSize, feature) { try AnyCPUState(records: changed) }
        refused(.recordVersion, feature, records, 0, [2, 0, 0, 0])
    }
}

/// Random damage is refused by a named rule, or is a state that writes the same bytes.
private func damageIsRefusedOrValid(_ original: [CPURecord], seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<2000 {
        var records = original
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let index = Int.random(in: 0..<records.count, using: &random)
            let limit = random.chance(2) ? 8 : records[index].body.count
            let offset = Int.random(in: 0..<limit, using: &random)
            records[index].body[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
        if let state = try? AnyCPUState(records: records) { #expect(state.records == records) }
    }
}

@Suite struct ARM64StateTests {
    static let state: ARM64State = {
        var general = ARM64State.General()
        general.x = (0..<31).map { 0x100 + UInt64($0) }
        general.sp = 0x7fff_1230
        general.pc = 0x40_0004
        general.pstate = 0x6000_1000
        general.originalX0 = 0x99
        general.call = 101
        var vector = ARM64State.Vector()
        vector.status = 0x10
        vector.control = 0x100_0000
        vector.registers = pattern(512)
        return ARM64State(
            general: general, vector: vector,
            sve: ARM64State.SVE(vectorLength: 32, registers: pattern(32 * 32 + 17 * 4)),
            threadPointer: ARM64State.ThreadPointer(first: 0x7f00_0000, second: 5),
            debug: ARM64State.Debug(
                breakpoints: [.init(address: 0x1000, control: 0x1e5)],
                watchpoints: [.init(address: 0x2001, control: 0x3d)]))
    }()

    @Test func recordsHaveTheirLayout() throws {
        let records = Self.state.records
        #expect(records.map(\.feature) == [32, 33, 34, 35, 36])
        #expect(
            records[0].body == [1, 0, 0, 0]
                + (0..<31).flatMap { little(0x100 + UInt64($0)) }  // x0 ... x30
                + little(UInt64(0x7fff_1230)) + little(UInt64(0x40_0004)) + little(UInt64(0x6000_1000))  // sp pc pstate
                + little(UInt64(0x99)) + little(Int32(101)) + [0, 0, 0, 0])  // orig_x0, call
        #expect(records[1].body == [1, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 1] + pattern(512))  // FPSR FPCR V0 ...
        #expect(records[2].body == [1, 0, 0, 0, 32, 0, 0, 0] + pattern(1092))  // VL, Z P FFR
        #expect(records[3].body == [1, 0, 0, 0] + little(UInt64(0x7f00_0000)) + little(UInt64(5)))
        #expect(
            records[4].body == [1, 0, 0, 0, 1, 0, 1, 0]
                + little(UInt64(0x1000)) + little(UInt32(0x1e5)) + little(UInt64(0x2001)) + little(UInt32(0x3d)))
        #expect(try ARM64State(records: records) == Self.state)
        #expect(try AnyCPUState(records: records) == .arm64(Self.state))
        #expect(try Self.state.validated().features.features.map(\.rawValue) == Array(32...36))
    }

    @Test func registerSetIsReadFieldByField() throws {
        let bytes = (0..<34).flatMap { little(UInt64($0 + 1)) }
        let general = try ARM64State.General(registerSet: bytes, call: 63)
        #expect(general.x == (1...31).map { UInt64($0) })
        #expect([general.sp, general.pc, general.pstate] == [32, 33, 34])
        #expect(general.registerSet == bytes)
        expectRule(.registerSetSize, .armGeneral) { try ARM64State.General(registerSet: Array(bytes.dropLast())) }
    }

    @Test func rules() {
        let records = Self.state.records
        shapesAreChecked(records)
        for bit in [0, 2, 3, 4, 6, 7, 8, 9, 20, 21, 22, 23, 32] as [UInt64] {  // EL, AArch32, DAIF, IL, SS, PAN, UAO
            refused(.privilegedFlags, .armGeneral, records, 268, little(UInt64(1) << bit))
        }
        refused(.instructionPointer, .armGeneral, records, 260, little(UInt64(1) << 48))
        refused(.instructionPointer, .armGeneral, records, 260, little(UInt64(0x40_0002)))
        refused(.reservedBits, .armGeneral, records, 288, [1])
        refused(.controlRegister, .armVector, records, 4, little(UInt32(0x100)))
        refused(.controlRegister, .armVector, records, 8, little(UInt32(0x8000_0000)))
        for length: UInt32 in [0, 8, 17, 272, .max] { refused(.vectorLength, .sve, records, 4, little(length)) }
        refused(.recordSize, .sve, records, 4, little(UInt32(16)))
        refused(.notInUse, .armThreadPointer, records, 4, Array(repeating: 0, count: 16))
        refused(.debugControl, .armDebug, records, 16, little(UInt32(0x1e3)))  // EL1
        refused(.debugControl, .armDebug, records, 16, little(UInt32(0x2000)))
        refused(.debugAddress, .armDebug, records, 8, little(UInt64.max))
        refused(.debugAddress, .armDebug, records, 8, little(UInt64(0x1002)))
        expectRule(.missingRecord) { try AnyCPUState(records: Array(records.dropFirst())) }
    }

    @Test func manyBreakpointsAreRefused() {
        let slot = ARM64State.Debug.Slot(address: 0, control: 0)
        let state = ARM64State(
            general: Self.state.general,
            debug: ARM64State.Debug(breakpoints: Array(repeating: slot, count: 17), watchpoints: []))
        expectRule(.debugControl, .armDebug) { try state.validated() }
        expectRule(.debugControl, .armDebug) { try ARM64State(records: state.records) }
    }

    @Test func damage() throws { try damageIsRefusedOrValid(Self.state.records, seed: 11) }

    @Test func registersLeadHome() {
        var general = Self.state.general
        general.x[0] = UInt64(bitPattern: -512)
        #expect(general.interruptedCall == .restartSys)
        #expect(general.registersLeadingHome().x[0] == 0x99)
        #expect(general.registersLeadingHome().pc == 0x40_0000)
        general.x[0] = UInt64(bitPattern: -516)
        #expect(general.registersLeadingHome().x[8] == 128)
        general.call = -1
        #expect(general.registersLeadingHome() == general)
    }
}

@Suite struct PowerPCStateTests {
    static func general(is64Bit: Bool) -> PowerPCState.General {
        var general = PowerPCState.General(is64Bit: is64Bit)
        general.registers = (0..<32).map { 0x200 + UInt64($0) }
        general.nip = 0x1000_0004
        general.msr = 0x901
        general.originalR3 = 3
        general.ctr = 4
        general.link = 0x1000_0000
        general.xer = 0x2000_0000
        general.ccr = 0x2400_0042
        general.trap = 0xc00
        return general
    }

    static let server: PowerPCState = {
        var float = PowerPCState.Float()
        float.registers = (0..<32).map { UInt64($0) << 40 }
        float.status = 0x8
        var altivec = PowerPCState.Altivec()
        altivec.registers = pattern(512)
        altivec.status = 0x1_0000
        altivec.save = 0xffff_ffff
        return PowerPCState(
            general: general(is64Bit: true), float: float, altivec: altivec, vsx: (1...32).map { UInt64($0) },
            debug: PowerPCState.Debug(dabr: 0x1007))
    }()

    static let embedded: PowerPCState = {
        var spe = PowerPCState.SPE()
        spe.upper = (0..<32).map { UInt32($0) }
        spe.accumulator = 0x1122_3344_5566_7788
        spe.status = 0x3c
        return PowerPCState(
            general: general(is64Bit: false), spe: spe,
            debug: PowerPCState.Debug(addresses: [0x1000, 0, 0, 0, 0x2000, 0]))
    }()

    @Test func recordsHaveTheirLayout() throws {
        let records = Self.server.records
        #expect(records.map(\.feature) == [48, 49, 50, 51, 53])
        #expect(
            records[0].body == [1, 0, 0, 0, 8, 0, 0, 0]
                + (0..<32).flatMap { little(0x200 + UInt64($0)) }  // r0 ... r31
                + little(UInt64(0x1000_0004)) + little(UInt64(0x901)) + little(UInt64(3))  // nip msr orig_r3
                + little(UInt64(4)) + little(UInt64(0x1000_0000)) + little(UInt64(0x2000_0000))  // ctr link xer
                + little(UInt64(0x2400_0042)) + little(UInt64(0xc00)))  // ccr trap
        #expect(
            records[1].body == [1, 0, 0, 0, 8, 0, 0, 0] + (0..<32).flatMap { little(UInt64($0) << 40) }
                + little(UInt64(8)))  // FPSCR
        #expect(records[2].body == [1, 0, 0, 0] + pattern(512) + [0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff])  // VSCR VRSAVE
        #expect(records[3].body == [1, 0, 0, 0] + (1...32).flatMap { little(UInt64($0)) })
        #expect(records[4].body == [1, 0, 0, 0] + little(UInt64(0x1007)) + Array(repeating: 0, count: 48))
        #expect(try AnyCPUState(records: records) == .powerpc(Self.server))

        let small = Self.embedded.records
        #expect(small.map(\.feature) == [48, 52, 53])
        #expect(small[0].body[4] == 4)
        #expect(
            small[1].body == [1, 0, 0, 0] + (0..<32).flatMap { little(UInt32($0)) }
                + little(UInt64(0x1122_3344_5566_7788)) + little(UInt32(0x3c)))
        #expect(try AnyCPUState(records: small) == .powerpc(Self.embedded))
    }

    @Test func rules() {
        let records = Self.server.records
        let small = Self.embedded.records
        shapesAreChecked(records)
        shapesAreChecked(small)
        // EE, PR, ME, IR, DR, POW, HV, SF
        for bit in [15, 14, 12, 5, 4, 18, 60, 63] as [UInt64] {
            refused(.privilegedFlags, .powerGeneral, records, 272, little(UInt64(1) << bit))
        }
        refused(.registerWidth, .powerGeneral, records, 4, [2])
        refused(.registerWidth, .powerGeneral, small, 8, little(UInt64(1) << 32))
        refused(.registerWidth, .powerFloat, records, 4, [4])
        refused(.instructionPointer, .powerGeneral, records, 264, little(UInt64(0xc000_0000_0000_0000)))
        refused(.instructionPointer, .powerGeneral, records, 264, little(UInt64(0x1000_0002)))
        refused(.instructionPointer, .powerGeneral, small, 264, little(UInt64(0xc000_0000)))
        refused(.reservedBits, .powerGeneral, records, 304, little(UInt64(1) << 32))  // xer
        refused(.reservedBits, .powerGeneral, records, 320, little(UInt64(0xc01)))  // trap
        refused(.controlRegister, .altivec, records, 516, little(UInt32(2)))
        refused(.notInUse, .vsx, records, 4, Array(repeating: 0, count: 256))
        refused(.notInUse, .spe, small, 4, Array(repeating: 0, count: 140))
        refused(.notInUse, .powerDebug, records, 4, Array(repeating: 0, count: 56))
        refused(.debugControl, .powerDebug, records, 4, little(UInt64(0x1003)))  // untranslated
        refused(.debugAddress, .powerDebug, records, 4, little(UInt64(0xc000_0000_0000_0007)))
        refused(.debugAddress, .powerDebug, small, 12, little(UInt64(0xc000_0000)))
    }

    @Test func speGoesWithNothingOfTheServers() {
        let mixed = [Self.server.records[0], Self.embedded.records[1]]
        expectRule(.foreignFeature, .spe) { try AnyCPUState(records: mixed) }
    }

    @Test func damage() throws {
        try damageIsRefusedOrValid(Self.server.records, seed: 12)
        try damageIsRefusedOrValid(Self.embedded.records, seed: 13)
    }
}

@Suite struct AnyCPUStateTests {
    @Test func everyArchitectureShowsItsRegisters() throws {
        let x86 = AnyCPUState.x86(CPUState(generalRegisters: sampleRegisters()))
        #expect(x86.architecture == .x86)
        #expect(x86.instructionPointer == 0x5555_5555_4000)
        #expect(x86.registers.first { $0.name == "rax" }?.value == 0x1111)
        #expect(try AnyCPUState(records: x86.records) == x86)
        #expect(AnyCPUState.arm64(ARM64StateTests.state).registers.first { $0.name == "x30" }?.value == 0x11e)
        #expect(
            AnyCPUState.powerpc(PowerPCStateTests.server).registers.first { $0.name == "nip" }?.value == 0x1000_0004)
    }

    @Test func nothingAtAllIsRefused() {
        expectRule(.missingRecord) { try AnyCPUState(records: []) }
        expectRule(.unknownFeature) { try AnyCPUState(records: [CPURecord(feature: 60, body: [])]) }
    }
}
