import ArchState
import Testing

/// A random state that keeps every rule.
func randomState(_ random: inout SeededGenerator) -> CPUState {
    var registers = X86GeneralRegisters()
    let words: [WritableKeyPath<X86GeneralRegisters, UInt64>] = [
        \.rax, \.rbx, \.rcx, \.rdx, \.rsi, \.rdi, \.rbp, \.rsp, \.r8, \.r9, \.r10, \.r11, \.r12, \.r13, \.r14, \.r15,
        \.originalRAX,
    ]
    for word in words { registers[keyPath: word] = random.next() }
    registers.flags = random.next() & X86GeneralRegisters.userFlags | X86GeneralRegisters.fixedFlags
    let data: [X86Segment] = [.null, .userData, .tls(1), .ldt(UInt16.random(in: 0..<8192, using: &random))]
    registers.cs = [X86Segment.userCode64, .userCode32, .ldt(3)].randomElement(using: &random)!
    registers.ss = data.dropFirst().randomElement(using: &random)!
    registers.ds = data.randomElement(using: &random)!
    registers.es = data.randomElement(using: &random)!
    registers.fs = data.randomElement(using: &random)!
    registers.gs = data.randomElement(using: &random)!
    registers.rip = random.next() >> (registers.cs == .userCode64 ? 18 : 33)
    if !random.chance(3) { registers.fsBase = random.next() >> 18 }
    if random.chance(3) { registers.gsBase = random.next() >> 18 }

    var extended = X86ExtendedState()
    if random.chance(2) {
        var x87 = X86ExtendedState.X87()
        x87.control = UInt16(truncatingIfNeeded: random.next()) & 0x1f7f | 0x40
        x87.status = UInt16(truncatingIfNeeded: random.next())
        x87.tags = UInt8(truncatingIfNeeded: random.next())
        x87.opcode = UInt16(truncatingIfNeeded: random.next()) & 0x7ff
        x87.instruction = random.next()
        x87.operand = random.next()
        x87.registers = random.bytes(80)
        extended.x87 = x87
    }
    if random.chance(2) {
        var sse = X86ExtendedState.SSE()
        sse.control = UInt32(truncatingIfNeeded: random.next()) & 0xffff
        sse.registers = random.bytes(256)
        extended.sse = sse
    }
    for (feature, size) in [(.avx, 256), (.avx512Mask, 64), (.avx512Upper, 512), (.avx512High, 1024)]
        as [(CPUFeature, Int)] where random.chance(2)
    {
        extended.blocks[feature] = random.bytes(size)
    }
    if random.chance(2) { extended.blocks[.protectionKeys] = random.bytes(4) + [0, 0, 0, 0] }
    if random.chance(4) {
        var configuration = [UInt8](repeating: 0, count: 64)
        configuration[0] = 1
        for tile in 0..<8 where random.chance(2) {
            configuration[16 + tile * 2] = UInt8.random(in: 1...64, using: &random)
            configuration[48 + tile] = UInt8.random(in: 1...16, using: &random)
        }
        extended.blocks[.amxConfiguration] = configuration
        extended.blocks[.amxData] = random.bytes(8192)
    }
    return CPUState(
        generalRegisters: registers, extendedState: extended,
        debugRegisters: random.chance(4)
            ? X86DebugRegisters(
                addresses: (0..<4).map { _ in random.next() >> 18 & ~7 }, status: 0xf, control: 0xdddd_0055)
            : nil,
        tlsDescriptors: random.chance(4)
            ? X86TLSDescriptors(
                (0..<3).map { _ in
                    .init(base: UInt32(truncatingIfNeeded: random.next()), limit: 0xfffff, flags: 0x51)
                }) : nil,
        shadowStack: random.chance(4) ? X86ShadowStack(pointer: random.next() >> 18 & ~7, features: 3) : nil)
}

@Suite struct PropertyTests {
    @Test func validStatesComeBackFromTheirBytes() throws {
        var random = SeededGenerator(seed: 1)
        let layout = try XSaveLayout(leaves: RecordedHost.sapphireRapids)
        for _ in 0..<300 {
            let state = randomState(&random)
            #expect(try CPUState(records: state.records) == state)
            #expect(state.records.map(\.feature) == state.features.features.map { UInt32($0.rawValue) })
            #expect(try X86GeneralRegisters(registerSet: state.general.registerSet) == state.general)
            let bytes = try state.extended.registerSet(layout: layout, size: layout.size)
            #expect(try X86ExtendedState(registerSet: bytes, layout: layout) == state.extended)
            if let tls = state.tls { #expect(try X86TLSDescriptors(registerSet: tls.registerSet) == tls) }
        }
    }

    /// Whatever bytes come in: a named rule, or a state that passes every rule and writes the same bytes.
    private func check(_ records: [CPURecord]) throws -> Bool {
        let state: CPUState
        do {
            state = try CPUState(records: records)
        } catch {
            #expect(!error.rule.rawValue.isEmpty)
            return false
        }
        #expect(try state.validated() == state)
        #expect(state.records == records)
        return true
    }

    @Test func tamperedRecordsAreRefusedOrValid() throws {
        var random = SeededGenerator(seed: 2)
        var refused = 0
        for _ in 0..<3000 {
            var records = randomState(&random).records
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<records.count, using: &random)
                switch Int.random(in: 0..<8, using: &random) {
                case 0: records[index].feature = UInt32(truncatingIfNeeded: random.next() % 70)
                case 1:
                    records[index].body.removeLast(
                        min(records[index].body.count, Int.random(in: 1...9, using: &random)))
                case 2: records.remove(at: index)
                case 3: records.append(records[index])
                default:
                    if records[index].body.isEmpty { continue }
                    // Fields near the beginning hold most of what can be wrong.
                    let limit = random.chance(2) ? min(12, records[index].body.count) : records[index].body.count
                    let offset = Int.random(in: 0..<limit, using: &random)
                    records[index].body[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                }
                if records.isEmpty { break }
            }
            if try !check(records) { refused += 1 }
        }
        #expect(refused > 500)
    }

    @Test func randomBodiesAreRefusedOrValid() throws {
        var random = SeededGenerator(seed: 3)
        let sizes: [(UInt32, Int)] = [
            (1, 168), (2, 108), (3, 264), (4, 260), (5, 68), (6, 516), (7, 1028), (8, 12), (9, 68), (11, 52), (12, 40),
            (13, 20), (14, 20),
        ]
        for _ in 0..<2000 {
            var records = [CPUState(generalRegisters: sampleRegisters()).records[0]]
            for (feature, size) in sizes where random.chance(4) {
                var body = random.bytes(size)
                if !random.chance(8) { body.replaceSubrange(0..<4, with: [1, 0, 0, 0]) }
                if feature == 1 {
                    records[0].body = body
                } else {
                    records.append(CPURecord(feature: feature, body: body))
                }
            }
            _ = try check(records)
        }
    }

    @Test func randomRegisterSetsNeverTrap() throws {
        var random = SeededGenerator(seed: 4)
        let layout = try XSaveLayout(leaves: RecordedHost.iceLake)
        for round in 0..<500 {
            var bytes = random.bytes(Int.random(in: 0..<3000, using: &random))
            if round % 2 == 0, bytes.count >= 576 {
                bytes.replaceSubrange(512..<576, with: Array(repeating: 0, count: 64))
                bytes[512] = UInt8.random(in: 0...255, using: &random)
                if random.chance(2) {
                    bytes[520] = UInt8.random(in: 0...255, using: &random)
                    bytes[527] = 0x80
                }
            }
            // A trap would end the test.
            if let state = try? X86ExtendedState(registerSet: bytes, layout: layout) {
                _ = try? CPUState(generalRegisters: sampleRegisters(), extendedState: state).validated()
            }
            _ = try? X86GeneralRegisters(registerSet: random.bytes(216))
        }
    }

    @Test func randomLeavesNeverTrap() throws {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<500 {
            var leaves = RecordedHost.all.randomElement(using: &random)!
            for index in leaves.indices where random.chance(3) {
                leaves[index].eax ^= UInt32(
                    truncatingIfNeeded: random.next() >> UInt64.random(in: 32..<64, using: &random))
                leaves[index].ebx ^= UInt32(
                    truncatingIfNeeded: random.next() >> UInt64.random(in: 32..<64, using: &random))
            }
            if let layout = try? XSaveLayout(leaves: leaves) {
                _ = try? fullState(layout.features).registerSet(layout: layout, size: layout.size)
            }
        }
    }
}
