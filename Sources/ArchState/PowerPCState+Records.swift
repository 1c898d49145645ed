/// Records, little-endian whatever the processor's order; each begins with u32 version = 1.
///
///     powerGeneral, 328 bytes
///        4  u32  width of a general register: 4 or 8
///        8  u64  r0 ... r31
///      264  u64  nip, msr, orig_r3, ctr, link, xer, ccr, trap
///     powerFloat, 272 bytes
///        4  u32  width of an FP register: 8
///        8  u64  FPR0 ... FPR31
///      264  u64  FPSCR
///     altivec, 524 bytes
///        4  u8[32][16]  VR0 ... VR31, most significant byte first
///      516  u32  VSCR, VRSAVE
///     vsx, 260 bytes
///        4  u64  second halves of VSR0 ... VSR31
///     spe, 144 bytes
///        4  u32  upper halves of r0 ... r31
///      132  u64  accumulator
///      140  u32  SPEFSCR
///     powerDebug, 16 + 40 N bytes
///        4  u32  N, number of breakpoints
///        8  u64  DABR: address, bit 0 reads, bit 1 writes, bit 2 translated
///       16  { u32 trigger, u32 address mode, u32 condition mode, u32 0,
///             u64 address, u64 end, u64 value } each
///
/// Source: arch/powerpc/include/uapi/asm/ptrace.h, `struct ppc_hw_breakpoint`.
extension PowerPCState {
    package var features: CPUFeatureSet {
        CPUFeatureSet(records.compactMap { CPUFeature(rawValue: UInt8($0.feature)) })
    }

    package var records: [CPURecord] {
        var body = recordVersion
        body.append(little: UInt32(general.is64Bit ? 8 : 4))
        for word in general.registers
            + [
                general.nip, general.msr, general.originalR3, general.ctr, general.link, general.xer, general.ccr,
                general.trap,
            ]
        {
            body.append(little: word)
        }
        var records = [CPURecord(.powerGeneral, body)]
        if let float {
            body = recordVersion
            body.append(little: UInt32(8))
            for word in float.registers + [float.status] { body.append(little: word) }
            records.append(CPURecord(.powerFloat, body))
        }
        if let altivec {
            body = recordVersion + altivec.registers
            body.append(little: altivec.status)
            body.append(little: altivec.save)
            records.append(CPURecord(.altivec, body))
        }
        if let vsx {
            body = recordVersion
            for word in vsx { body.append(little: word) }
            records.append(CPURecord(.vsx, body))
        }
        if let spe {
            body = recordVersion
            for word in spe.upper { body.append(little: word) }
            body.append(little: spe.accumulator)
            body.append(little: spe.status)
            records.append(CPURecord(.spe, body))
        }
        if let debug {
            body = recordVersion
            body.append(little: UInt32(truncatingIfNeeded: debug.breakpoints.count))
            body.append(little: debug.dabr)
            for one in debug.breakpoints {
                for word in [one.trigger, one.addressMode, one.conditionMode, 0] { body.append(little: word) }
                for word in [one.address, one.end, one.value] { body.append(little: word) }
            }
            records.append(CPURecord(.powerDebug, body))
        }
        return records
    }

    /// Takes the records of an image, which may hold anything: the result has passed every rule.
    package init(records: [CPURecord]) throws(ArchStateError) {
        let bodies = try CPUState.bodies(of: records, architecture: .powerpc)
        guard let body = bodies[.powerGeneral] else { throw ArchStateError(.missingRecord, in: .powerGeneral) }
        var reader = try RecordReader(body, of: .powerGeneral, size: 328)
        let width = reader.u32()
        guard width == 4 || width == 8 else {
            throw ArchStateError(.registerWidth, in: .powerGeneral, detail: "\(width) bytes")
        }
        general = General(is64Bit: width == 8)
        for index in 0..<32 { general.registers[index] = reader.u64() }
        general.nip = reader.u64()
        general.msr = reader.u64()
        general.originalR3 = reader.u64()
        general.ctr = reader.u64()
        general.link = reader.u64()
        general.xer = reader.u64()
        general.ccr = reader.u64()
        general.trap = reader.u64()
        if let body = bodies[.powerFloat] {
            var reader = try RecordReader(body, of: .powerFloat, size: 272)
            let width = reader.u32()
            guard width == 8 else {
                throw ArchStateError(.registerWidth, in: .powerFloat, detail: "\(width) bytes")
            }
            var state = Float()
            for index in 0..<32 { state.registers[index] = reader.u64() }
            state.status = reader.u64()
            float = state
        }
        if let body = bodies[.altivec] {
            var reader = try RecordReader(body, of: .altivec, size: 524)
            var state = Altivec()
            state.registers = reader.take(512)
            state.status = reader.u32()
            state.save = reader.u32()
            altivec = state
        }
        if let body = bodies[.vsx] {
            var reader = try RecordReader(body, of: .vsx, size: 260)
            var words: [UInt64] = []
            for _ in 0..<32 { words.append(reader.u64()) }
            vsx = words
        }
        if let body = bodies[.spe] {
            var reader = try RecordReader(body, of: .spe, size: 144)
            var state = SPE()
            for index in 0..<32 { state.upper[index] = reader.u32() }
            state.accumulator = reader.u64()
            state.status = reader.u32()
            spe = state
        }
        if let body = bodies[.powerDebug] {
            guard body.count >= 16 else {
                throw ArchStateError(.recordSize, in: .powerDebug, detail: "\(body.count) bytes")
            }
            let count = body.u32(at: 4)
            guard count <= Debug.mostBreakpoints else {
                throw ArchStateError(.debugControl, in: .powerDebug, detail: "\(count) breakpoints")
            }
            var reader = try RecordReader(body, of: .powerDebug, size: 16 + 40 * Int(count))
            _ = reader.u32()
            var state = Debug(dabr: reader.u64())
            for _ in 0..<count {
                let (trigger, addressMode, conditionMode) = (reader.u32(), reader.u32(), reader.u32())
                if reader.u32() != 0 { throw ArchStateError(.reservedBits, in: .powerDebug) }
                state.breakpoints.append(
                    Breakpoint(
                        trigger: trigger, addressMode: addressMode, conditionMode: conditionMode,
                        address: reader.u64(), end: reader.u64(), value: reader.u64()))
            }
            debug = state
        }
        try validate()
    }
}
