/// Records, little-endian; each begins with u32 version = 1.
///
///     armGeneral, 292 bytes
///        4  u64  x0 ... x30
///      252  u64  sp, pc, pstate
///      276  u64  orig_x0
///      284  i32  number of the system call, or -1
///      288  u32  0
///     armVector, 524 bytes
///        4  u32  FPSR, FPCR
///       12  u8[32][16]  V0 ... V31
///     sve, 8 + 32 VL + 17 VL / 8 bytes
///        4  u32  VL, bytes of a Z register
///        8  Z0 ... Z31 (their low sixteen bytes are V0 ... V31 again), P0 ... P15, FFR
///     armThreadPointer, 20 bytes
///        4  u64  TPIDR_EL0, TPIDR2_EL0
///     armDebug, 8 + 12 (B + W) bytes
///        4  u16  B, number of breakpoints
///        6  u16  W, number of watchpoints
///        8  { u64 address, u32 control } each
///
/// Source: arch/arm64/include/uapi/asm/ptrace.h.
extension ARM64State {
    package var features: CPUFeatureSet {
        CPUFeatureSet(records.compactMap { CPUFeature(rawValue: UInt8($0.feature)) })
    }

    package var records: [CPURecord] {
        var body = recordVersion
        for word in general.x + [general.sp, general.pc, general.pstate, general.originalX0] {
            body.append(little: word)
        }
        body.append(little: general.call)
        body.append(little: UInt32(0))
        var records = [CPURecord(.armGeneral, body)]
        if let vector {
            body = recordVersion
            body.append(little: vector.status)
            body.append(little: vector.control)
            records.append(CPURecord(.armVector, body + vector.registers))
        }
        if let sve {
            body = recordVersion
            body.append(little: UInt32(truncatingIfNeeded: sve.vectorLength))
            records.append(CPURecord(.sve, body + sve.registers))
        }
        if let threadPointer {
            body = recordVersion
            body.append(little: threadPointer.first)
            body.append(little: threadPointer.second)
            records.append(CPURecord(.armThreadPointer, body))
        }
        if let debug {
            body = recordVersion
            body.append(little: UInt16(truncatingIfNeeded: debug.breakpoints.count))
            body.append(little: UInt16(truncatingIfNeeded: debug.watchpoints.count))
            for slot in debug.breakpoints + debug.watchpoints {
                body.append(little: slot.address)
                body.append(little: slot.control)
            }
            records.append(CPURecord(.armDebug, body))
        }
        return records
    }

    /// Takes the records of an image, which may hold anything: the result has passed every rule.
    package init(records: [CPURecord]) throws(ArchStateError) {
        let bodies = try CPUState.bodies(of: records, architecture: .arm64)
        guard let body = bodies[.armGeneral] else { throw ArchStateError(.missingRecord, in: .armGeneral) }
        var reader = try RecordReader(body, of: .armGeneral, size: 292)
        general = General()
        for index in 0..<31 { general.x[index] = reader.u64() }
        general.sp = reader.u64()
        general.pc = reader.u64()
        general.pstate = reader.u64()
        general.originalX0 = reader.u64()
        general.call = Int32(bitPattern: reader.u32())
        if reader.u32() != 0 { throw ArchStateError(.reservedBits, in: .armGeneral) }
        if let body = bodies[.armVector] {
            var reader = try RecordReader(body, of: .armVector, size: 524)
            var state = Vector()
            state.status = reader.u32()
            state.control = reader.u32()
            state.registers = reader.take(512)
            vector = state
        }
        if let body = bodies[.sve] {
            let length = try Self.count(body, .sve) { Int($0.u32(at: 4)) }
            try Self.checkVectorLength(length)
            var reader = try RecordReader(body, of: .sve, size: 8 + SVE.size(vectorLength: length))
            _ = reader.u32()
            sve = SVE(vectorLength: length, registers: reader.take(SVE.size(vectorLength: length)))
        }
        if let body = bodies[.armThreadPointer] {
            var reader = try RecordReader(body, of: .armThreadPointer, size: 20)
            threadPointer = ThreadPointer(first: reader.u64(), second: reader.u64())
        }
        if let body = bodies[.armDebug] {
            let slots = try Self.count(body, .armDebug) { Int($0.u16(at: 4)) + Int($0.u16(at: 6)) }
            var reader = try RecordReader(body, of: .armDebug, size: 8 + 12 * slots)
            let breakpoints = Int(reader.u16())
            _ = reader.u16()
            var all: [Debug.Slot] = []
            for _ in 0..<slots { all.append(Debug.Slot(address: reader.u64(), control: reader.u32())) }
            debug = Debug(breakpoints: Array(all[..<breakpoints]), watchpoints: Array(all[breakpoints...]))
        }
        try validate()
    }

    /// A field that decides the size of its record.
    private static func count(
        _ body: [UInt8], _ feature: CPUFeature, _ field: ([UInt8]) -> Int
    ) throws(ArchStateError) -> Int {
        guard body.count >= 8 else {
            throw ArchStateError(.recordSize, in: feature, detail: "\(body.count) bytes")
        }
        return field(body)
    }
}

