import ArchState
import Testing

/// Refuses `records` with one of them rewritten.
func refused(
    _ rule: ArchStateError.Rule, _ feature: CPUFeature, _ records: [CPURecord], _ offset: Int, _ bytes: [UInt8],
    sourceLocation: SourceLocation = #_sourceLocation
) {
    var records = records
    let index = records.firstIndex { $0.feature == UInt32(feature.rawValue) }!
    records[index].body.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    expectRule(rule, feature, sourceLocation: sourceLocation) { try AnyCPUState(records: records) }
}

/// Every record one byte longer, one shorter, of another version.
func shapesAreChecked(_ records: [CPURecord]) {
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
func damageIsRefusedOrValid(_ original: [CPURecord], seed: UInt64) throws {
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

@Suite struct AnyCPUStateTests {
    @Test func everyArchitectureShowsItsRegisters() throws {
        let x86 = AnyCPUState.x86(CPUState(generalRegisters: sampleRegisters()))
        #expect(x86.architecture == .x86)
        #expect(x86.instructionPointer == 0x5555_5555_4000)
        #expect(x86.registers.first { $0.name == "rax" }?.value == 0x1111)
        #expect(try AnyCPUState(records: x86.records) == x86)
        #expect(AnyCPUState.arm64(SampleARM64.state).registers.first { $0.name == "x30" }?.value == 0x11e)
        #expect(
            AnyCPUState.powerpc(SamplePowerPC.server).registers.first { $0.name == "nip" }?.value == 0x1000_0004)
    }

    @Test func nothingAtAllIsRefused() {
        expectRule(.missingRecord) { try AnyCPUState(records: []) }
        expectRule(.unknownFeature) { try AnyCPUState(records: [CPURecord(feature: 60, body: [])]) }
    }
}
