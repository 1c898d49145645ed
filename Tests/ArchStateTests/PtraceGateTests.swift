import ArchState
import Testing

/// What ptrace would be given, judged by rules written down a second time.
///
/// Nothing here uses the masks and limits of the tested code. Source: arch/x86/kernel/ptrace.c, tls.c,
/// hw_breakpoint.c, fpu/regset.c; Intel SDM volume 1, 3.4.3 and 10.2.3, volume 3, 17.2.
private enum Judge {
    /// What is wrong with `struct user_regs_struct`; nil if nothing is.
    static func general(_ bytes: [UInt8]) -> String? {
        guard bytes.count == 216 else { return "size" }
        let word = { (index: Int) in littleU64(bytes, index * 8) }
        let (rip, cs, flags, ss) = (word(16), word(17), word(18), word(20))
        if flags >> 12 & 3 != 0 { return "I/O privilege" }
        if flags & 1 << 17 != 0 || flags & 1 << 19 != 0 || flags & 1 << 20 != 0 { return "virtual 8086 mode" }
        if flags & 1 << 9 == 0 || flags & 2 == 0 { return "interrupts are off" }
        if flags >> 22 != 0 || flags & 0x8028 != 0 { return "reserved flags" }
        for selector in [cs, ss, word(23), word(24), word(25), word(26)] {
            if selector > 0xffff { return "wide selector" }
            if selector > 3 && selector & 3 != 3 { return "selector of privilege \(selector & 3)" }
            // Of the GDT a program has code 0x23 and 0x33, data 0x2b, and three TLS descriptors.
            if selector > 3 && selector & 4 == 0 && ![0x23, 0x33, 0x2b, 0x63, 0x6b, 0x73].contains(selector) {
                return "selector \(selector)"
            }
        }
        if cs <= 3 || ss <= 3 { return "null segment" }
        if [0x2b, 0x63, 0x6b, 0x73].contains(cs) || [0x23, 0x33].contains(ss) { return "kind of segment" }
        if rip >= (cs == 0x33 ? 1 << 47 : 1 << 32) { return "instruction pointer" }
        for base in [word(21), word(22)] where base >= 1 << 47 - 4096 { return "base" }
        return nil
    }

    /// What is wrong with an XSAVE area in the standard format.
    static func extended(_ bytes: [UInt8], enabled: UInt64, size: Int) -> String? {
        guard bytes.count == size else { return "size" }
        if littleU64(bytes, 24) & 0xffff_0000 != 0 { return "MXCSR" }
        if littleU64(bytes, 512) & ~enabled != 0 { return "XSTATE_BV" }
        if bytes[520..<576].contains(where: { $0 != 0 }) { return "header" }
        if littleU64(bytes, 0) & 0xe080 != 0 { return "FCW" }
        return nil
    }

    /// What is wrong with DR0 ... DR3, DR6, DR7.
    static func debug(_ registers: X86DebugRegisters) -> String? {
        if registers.addresses.count != 4 { return "count" }
        // GD, RTM and what does not exist.
        if registers.control & (1 << 13 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15) != 0 || registers.control >> 32 != 0 {
            return "DR7"
        }
        if registers.status >> 16 != 0 { return "DR6" }
        for (index, address) in registers.addresses.enumerated() {
            if address >= 1 << 47 - 4096 { return "address" }
            let on = registers.control >> UInt64(2 * index) & 3 != 0
            let field = registers.control >> UInt64(16 + 4 * index) & 0xf
            switch (on, field) {
            // execute; write of 1, 2, 8, 4; read or write of 1, 2, 8, 4
            case (false, 0), (true, 0), (true, 1), (true, 3): break
            case (true, 5), (true, 7): if address % 2 != 0 { return "alignment" }
            case (true, 9), (true, 11): if address % 8 != 0 { return "alignment" }
            case (true, 13), (true, 15): if address % 4 != 0 { return "alignment" }
            default: return "kind and length"
            }
        }
        return nil
    }

    /// What is wrong with three `struct user_desc`.
    static func descriptors(_ bytes: [UInt8]) -> String? {
        guard bytes.count == 48 else { return "size" }
        for index in 0..<3 {
            let (head, tail) = (littleU64(bytes, index * 16), littleU64(bytes, index * 16 + 8))
            let (entry, base) = (head & 0xffff_ffff, head >> 32)
            let (limit, flags) = (tail & 0xffff_ffff, tail >> 32)
            if entry != 12 + UInt64(index) { return "entry" }
            if flags == 0x28 && base == 0 && limit == 0 { continue }
            if limit >= 1 << 20 { return "limit" }
            // seg_32bit, contents data, present, nothing unknown
            if flags & 1 == 0 || flags & 4 != 0 || flags & 0x20 != 0 || flags >> 7 != 0 { return "flags" }
        }
        return nil
    }

    static func shadowStack(_ state: X86ShadowStack) -> String? {
        state.pointer % 8 == 0 && state.pointer < 1 << 47 && state.features & ~3 == 0 ? nil : "shadow stack"
    }
}

/// Whatever an image holds, ptrace is given nothing that was not checked.
@Suite struct PtraceGateTests {
    private func judge(_ state: CPUState, _ layout: XSaveLayout) throws {
        #expect(Judge.general(state.general.registerSet) == nil)
        if let debug = state.debug { #expect(Judge.debug(debug) == nil) }
        if let tls = state.tls { #expect(Judge.descriptors(tls.registerSet) == nil) }
        if let shadowStack = state.shadowStack { #expect(Judge.shadowStack(shadowStack) == nil) }
        var extended = state.extended
        extended.blocks[.apx] = nil
        let bytes = try extended.registerSet(layout: layout, size: layout.size)
        #expect(Judge.extended(bytes, enabled: layout.enabled, size: layout.size) == nil)
        if let configuration = extended.blocks[.amxConfiguration] {
            #expect(configuration[0] == 1 && configuration[48..<56].allSatisfy { $0 <= 16 })
        }
    }

    /// The judge itself refuses what is wrong, or it would prove nothing.
    @Test func theJudgeIsAwake() throws {
        func general(_ change: (inout X86GeneralRegisters) -> Void) -> String? {
            var registers = sampleRegisters()
            change(&registers)
            return Judge.general(registers.registerSet)
        }
        #expect(general { _ in } == nil)
        #expect(general { $0.flags |= 0x3000 } == "I/O privilege")
        #expect(general { $0.flags = 0x44 } == "interrupts are off")
        #expect(general { $0.cs = .null } == "null segment")
        #expect(general { $0.cs = .userData } == "kind of segment")
        #expect(general { $0.gs = .tls(5) } != nil)
        #expect(general { $0.rip = 1 << 63 } == "instruction pointer")
        #expect(general { $0.gsBase = 0xffff_8880_0000_0000 } == "base")
        #expect(Judge.debug(X86DebugRegisters(addresses: [1, 0, 0, 0], control: 0xd0001)) == "alignment")
        #expect(Judge.debug(X86DebugRegisters(control: 0x2000)) == "DR7")
        #expect(Judge.debug(X86DebugRegisters(control: 0x20001)) == "kind and length")
        let code = X86TLSDescriptors([.init(base: 1, limit: 1, flags: 0x55), .init(), .init()])
        #expect(Judge.descriptors(code.registerSet) == "flags")
    }

    @Test func noUncheckedValueReachesPtrace() throws {
        var random = SeededGenerator(seed: 41)
        let layout = try XSaveLayout(leaves: RecordedHost.sapphireRapids)
        var (accepted, refused) = (0, 0)
        for _ in 0..<6000 {
            var records = randomState(&random).records
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let index = Int.random(in: 0..<records.count, using: &random)
                let count = records[index].body.count
                // A bit, or a whole field of ones, of the kernel's half, or of anything.
                let offset = Int.random(in: 0..<count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: records[index].body[offset] ^= 1 << UInt8(random.next() & 7)
                case 1: records[index].body[offset] = 0xff
                default:
                    guard count >= 12 else { continue }
                    let field = 4 + Int.random(in: 0..<(count - 4) / 8, using: &random) * 8
                    let value = [UInt64.max, 0xffff_8880_0000_0000, 1 << 47, 0x3246, 0x10, random.next()]
                        .randomElement(using: &random)!
                    records[index].body.replaceSubrange(field..<field + 8, with: little(value))
                }
            }
            guard let state = try? CPUState(records: records).validated() else {
                refused += 1
                continue
            }
            accepted += 1
            try judge(state, layout)
        }
        #expect(accepted > 1000 && refused > 1000, "\(accepted) accepted, \(refused) refused")
    }

    /// Records of nothing but random bytes, of the right sizes and versions.
    @Test func noRandomRecordReachesPtraceUnchecked() throws {
        var random = SeededGenerator(seed: 42)
        let layout = try XSaveLayout(leaves: RecordedHost.sapphireRapids)
        let sizes: [(UInt32, Int)] = [(11, 52), (12, 40), (13, 20), (14, 20), (3, 264), (2, 108), (9, 68)]
        var accepted = 0
        for _ in 0..<20000 {
            let (feature, size) = sizes.randomElement(using: &random)!
            var body: [UInt8] = [1, 0, 0, 0]
            // Mostly zeros, so that some pass.
            while body.count < size { body.append(random.chance(4) ? UInt8(truncatingIfNeeded: random.next()) : 0) }
            let general = CPUState(generalRegisters: sampleRegisters()).records.filter { $0.feature == 1 }
            let records = general + [CPURecord(feature: feature, body: body)]
            guard let state = try? CPUState(records: records).validated() else { continue }
            accepted += 1
            try judge(state, layout)
        }
        #expect(accepted > 100, "\(accepted) accepted")
    }

    /// Every kind and length of every breakpoint, enabled or not.
    @Test func debugControlIsWhatTheKernelTakes() {
        for index in 0..<4 {
            for field: UInt64 in 0..<16 {
                for enables: UInt64 in 0..<4 {
                    for address: UInt64 in [0x1000, 0x1001, 0x1002, 0x1004] {
                        var registers = X86DebugRegisters()
                        registers.addresses[index] = address
                        registers.control = field << UInt64(16 + 4 * index) | enables << UInt64(2 * index)
                        let state = CPUState(generalRegisters: sampleRegisters(), debugRegisters: registers)
                        let isAccepted = (try? state.validated()) != nil
                        #expect(isAccepted == (Judge.debug(registers) == nil), "\(index) \(field) \(enables) \(address)")
                    }
                }
            }
        }
    }

    /// What a live thread has set and not enabled is dropped when it is read.
    @Test func disabledBreakpointsHaveNoKind() throws {
        let live = X86DebugRegisters(dr0: 0x1001, dr1: 0x2000, dr2: 0, dr3: 0, dr6: 0xffff_0ff0, dr7: 0xffff_0404)
        #expect(live.control == 0xf0_0004)
        #expect(live.status == 0)
        let state = CPUState(generalRegisters: sampleRegisters(), debugRegisters: live)
        #expect(try state.validated().debug == live)
    }

    /// Every selector there is: what a program can have comes back, nothing else is taken.
    @Test func everySelectorIsJudged() {
        for selector: UInt64 in 0...0xffff {
            let isProgram = selector & 7 == 7 || [0x23, 0x33, 0x2b, 0x63, 0x6b, 0x73].contains(selector) || selector <= 3
            #expect((X86Segment(selector: selector) != nil) == isProgram, "\(selector)")
        }
    }

    /// Every symbol there is, in a code segment and in a data segment.
    @Test func everySymbolIsJudged() throws {
        var registers = sampleRegisters()
        registers.rip = 0x40_0000
        let records = CPUState(generalRegisters: registers).records
        for symbol: UInt16 in 0...0xffff {
            var changed = records
            changed[0].body.replaceSubrange(14..<16, with: little(symbol))  // gs
            let known = symbol <= 3 || 0x100...0x102 ~= symbol || 0x4000...0x5fff ~= symbol
            #expect(((try? CPUState(records: changed)) != nil) == known, "gs \(symbol)")
            changed = records
            changed[0].body.replaceSubrange(4..<6, with: little(symbol))  // cs
            let code = symbol == 1 || symbol == 2 || 0x4000...0x5fff ~= symbol
            #expect(((try? CPUState(records: changed)) != nil) == code, "cs \(symbol)")
        }
    }
}
