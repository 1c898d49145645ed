import ArchState
import Testing

/// A state with a record of every powerpc feature that goes together, and the embedded ones.
enum SamplePowerPC {
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
            debug: PowerPCState.Debug(
                dabr: 0x1007,
                breakpoints: [
                    .init(trigger: 6, addressMode: 1, address: 0x2000, end: 0x2100),
                    .init(trigger: 4, conditionMode: 0xf_0001, address: 0x3000, value: 0x55),
                ]))
    }()

    /// A 32-bit thread of a processor with FP registers and Altivec.
    static let desktop: PowerPCState = {
        var state = server
        state.general.is64Bit = false
        state.vsx = nil
        return state
    }()

    static let embedded: PowerPCState = {
        var spe = PowerPCState.SPE()
        spe.upper = (0..<32).map { UInt32($0) }
        spe.accumulator = 0x1122_3344_5566_7788
        spe.status = 0x3c
        return PowerPCState(
            general: general(is64Bit: false), spe: spe,
            debug: PowerPCState.Debug(breakpoints: [.init(trigger: 1, address: 0x1000)]))
    }()
}

@Suite struct PowerPCStateTests {
    let records = SamplePowerPC.server.records
    let small = SamplePowerPC.embedded.records

    @Test func recordsOfAServerHaveTheirLayout() throws {
        #expect(records.map(\.feature) == [48, 49, 50, 51, 53])
        #expect(
            records[0].body == [1, 0, 0, 0, 8, 0, 0, 0]  // width
                + (0..<32).flatMap { little(0x200 + UInt64($0)) }  // r0 ... r31
                + little(UInt64(0x1000_0004)) + little(UInt64(0x901)) + little(UInt64(3))  // nip msr orig_r3
                + little(UInt64(4)) + little(UInt64(0x1000_0000)) + little(UInt64(0x2000_0000))  // ctr link xer
                + little(UInt64(0x2400_0042)) + little(UInt64(0xc00)))  // ccr trap
        #expect(
            records[1].body == [1, 0, 0, 0, 8, 0, 0, 0]  // width
                + (0..<32).flatMap { little(UInt64($0) << 40) } + little(UInt64(8)))  // FPR0 ... FPR31 FPSCR
        #expect(records[2].body == [1, 0, 0, 0] + pattern(512) + [0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff])  // VR VSCR VRSAVE
        #expect(records[3].body == [1, 0, 0, 0] + (1...32).flatMap { little(UInt64($0)) })  // VSR0 ... VSR31
        #expect(
            records[4].body == [1, 0, 0, 0, 2, 0, 0, 0] + little(UInt64(0x1007))  // count, DABR
                + little(UInt32(6)) + little(UInt32(1)) + little(UInt32(0)) + [0, 0, 0, 0]  // trigger, modes
                + little(UInt64(0x2000)) + little(UInt64(0x2100)) + little(UInt64(0))  // address end value
                + little(UInt32(4)) + little(UInt32(0)) + little(UInt32(0xf_0001)) + [0, 0, 0, 0]
                + little(UInt64(0x3000)) + little(UInt64(0)) + little(UInt64(0x55)))
        #expect(try AnyCPUState(records: records) == .powerpc(SamplePowerPC.server))
        #expect(SamplePowerPC.server.features == CPUFeatureSet([.powerGeneral, .powerFloat, .altivec, .vsx, .powerDebug]))
    }

    @Test func recordsOfAnEmbeddedProcessorHaveTheirLayout() throws {
        #expect(small.map(\.feature) == [48, 52, 53])
        #expect(Array(small[0].body[0..<8]) == [1, 0, 0, 0, 4, 0, 0, 0])  // width
        #expect(Array(small[0].body[8...]) == Array(records[0].body[8...]))
        #expect(
            small[1].body == [1, 0, 0, 0] + (0..<32).flatMap { little(UInt32($0)) }  // upper halves
                + little(UInt64(0x1122_3344_5566_7788)) + little(UInt32(0x3c)))  // accumulator SPEFSCR
        #expect(
            small[2].body == [1, 0, 0, 0, 1, 0, 0, 0] + little(UInt64(0))
                + little(UInt32(1)) + Array(repeating: 0, count: 12)
                + little(UInt64(0x1000)) + little(UInt64(0)) + little(UInt64(0)))
        #expect(try AnyCPUState(records: small) == .powerpc(SamplePowerPC.embedded))
    }

    @Test func thirtyTwoBitThreadsMayHaveFloatAndAltivec() throws {
        let state = SamplePowerPC.desktop
        #expect(try PowerPCState(records: state.records) == state)
        #expect(state.features == CPUFeatureSet([.powerGeneral, .powerFloat, .altivec, .powerDebug]))
    }

    @Test func shapes() {
        shapesAreChecked(records)
        shapesAreChecked(small)
    }

    @Test func missingRecord() {
        expectRule(.missingRecord) { try AnyCPUState(records: Array(records.dropFirst())) }
    }

    @Test func privilegedFlags() {
        // EE, PR, FP, ME, IR, DR, RI, VSX, VEC, POW, HV, SF
        for bit in [15, 14, 13, 12, 5, 4, 1, 23, 25, 18, 60, 63] as [UInt64] {
            refused(.privilegedFlags, .powerGeneral, records, 272, little(UInt64(1) << bit))
        }
    }

    @Test func stateOfTheMachineIsReduced() throws {
        // SF HV VEC VSX EE PR FP ME FE0 SE BE FE1 IR DR RI LE
        #expect(PowerPCState.reduced(msr: 0x9000_0000_0280_ff33) == 0xf01)
        var state = SamplePowerPC.server
        state.general.msr = PowerPCState.reduced(msr: .max)
        #expect(try state.validated().general.msr == 0xf01)
    }

    @Test func widthIsExplicit() {
        for width: UInt8 in [0, 2, 16] { refused(.registerWidth, .powerGeneral, records, 4, [width]) }
        for width: UInt8 in [0, 4, 16] { refused(.registerWidth, .powerFloat, records, 4, [width]) }
    }

    @Test func registersOf32BitThreadsFit() {
        // r0, r31, orig_r3, ctr, link
        for offset in [8, 256, 280, 288, 296] {
            refused(.registerWidth, .powerGeneral, small, offset, little(UInt64(1) << 32))
        }
    }

    @Test func instructionPointer() {
        refused(.instructionPointer, .powerGeneral, records, 264, little(UInt64(0xc000_0000_0000_0000)))
        refused(.instructionPointer, .powerGeneral, records, 264, little(UInt64(1) << 52))
        refused(.instructionPointer, .powerGeneral, records, 264, little(UInt64(0x1000_0002)))
        refused(.instructionPointer, .powerGeneral, small, 264, little(UInt64(0xc000_0000)))
    }

    @Test func reservedBits() {
        refused(.reservedBits, .powerGeneral, records, 304, little(UInt64(1) << 32))  // xer
        refused(.reservedBits, .powerGeneral, records, 312, little(UInt64(1) << 32))  // ccr
        refused(.reservedBits, .powerGeneral, records, 320, little(UInt64(0xc01)))  // trap
        refused(.reservedBits, .powerGeneral, records, 320, little(UInt64(0x1_0000)))
        refused(.reservedBits, .powerDebug, records, 28, [1])
    }

    @Test func controlRegister() {
        refused(.controlRegister, .powerFloat, records, 264, little(UInt64(1) << 35))  // FPSCR
        refused(.controlRegister, .altivec, records, 516, little(UInt32(2)))  // VSCR
        for bit in [7, 22, 23] as [UInt32] { refused(.controlRegister, .spe, small, 140, little(UInt32(1) << bit)) }
    }

    @Test func notInUse() {
        refused(.notInUse, .powerFloat, records, 8, Array(repeating: 0, count: 264))
        refused(.notInUse, .altivec, records, 4, Array(repeating: 0, count: 520))
        refused(.notInUse, .vsx, records, 4, Array(repeating: 0, count: 256))
        refused(.notInUse, .spe, small, 4, Array(repeating: 0, count: 140))
        var state = SamplePowerPC.server
        state.debug = PowerPCState.Debug()
        expectRule(.notInUse, .powerDebug) { try PowerPCState(records: state.records) }
    }

    @Test func scalarVectorsAreOf64BitThreads() {
        var state = SamplePowerPC.desktop
        state.vsx = SamplePowerPC.server.vsx
        expectRule(.foreignFeature, .vsx) { try PowerPCState(records: state.records) }
    }

    @Test func signalProcessingExcludesTheServersUnits() {
        for change: (inout PowerPCState) -> Void in [
            { $0.general.is64Bit = true }, { $0.float = SamplePowerPC.server.float },
            { $0.altivec = SamplePowerPC.server.altivec },
        ] {
            var state = SamplePowerPC.embedded
            change(&state)
            expectRule(.foreignFeature, .spe) { try PowerPCState(records: state.records) }
        }
    }

    @Test func debugControl() {
        refused(.debugControl, .powerDebug, records, 8, little(UInt64(0x1003)))  // untranslated
        refused(.debugControl, .powerDebug, records, 4, little(UInt32(7)))  // breakpoints
        for trigger: UInt32 in [0, 3, 7, 8] { refused(.debugControl, .powerDebug, records, 16, little(trigger)) }
        refused(.debugControl, .powerDebug, records, 20, little(UInt32(4)))  // address mode
        refused(.debugControl, .powerDebug, records, 24, little(UInt32(0x100)))  // condition mode
        refused(.debugControl, .powerDebug, records, 24, little(UInt32(0xf_0000)))  // bytes without a condition
        refused(.debugControl, .powerDebug, records, 48, little(UInt64(1)))  // value without a condition
        refused(.debugControl, .powerDebug, small, 24, little(UInt32(1)))  // condition of an execution
        var state = SamplePowerPC.server
        state.debug?.breakpoints = Array(repeating: .init(trigger: 2, address: 0x1000), count: 7)
        expectRule(.debugControl, .powerDebug) { try state.validated() }
    }

    @Test func debugAddress() {
        refused(.debugAddress, .powerDebug, records, 8, little(UInt64(0xc000_0000_0000_0007)))
        refused(.debugAddress, .powerDebug, records, 32, little(UInt64(1) << 52))
        refused(.debugAddress, .powerDebug, records, 40, little(UInt64(0x2000)))  // an empty range
        refused(.debugAddress, .powerDebug, records, 40, little(UInt64.max))  // a range into the kernel
        refused(.debugAddress, .powerDebug, records, 80, little(UInt64(1)))  // an end without a range
        refused(.debugAddress, .powerDebug, small, 32, little(UInt64(0xc000_0000)))
        refused(.debugAddress, .powerDebug, small, 32, little(UInt64(0x1002)))  // within an instruction
    }

    @Test func damage() throws {
        try damageIsRefusedOrValid(records, seed: 12)
        try damageIsRefusedOrValid(small, seed: 13)
        try damageIsRefusedOrValid(SamplePowerPC.desktop.records, seed: 14)
    }
}
