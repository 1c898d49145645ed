/// The x87, SSE and further vector state of an x86 thread, as far as it is in use.
///
/// A feature that is in its initial state is absent; loading the state elsewhere puts it into the
/// initial state again. For PKRU that is the kernel's default, not the processor's.
package struct X86ExtendedState: Equatable, Sendable {
    /// The x87 FPU: control, status, tags, last instruction, and the eight registers.
    package struct X87: Equatable, Sendable {
        package var control: UInt16 = 0x37f
        package var status: UInt16 = 0
        /// Abridged: bit N is set where register N is not empty.
        package var tags: UInt8 = 0
        package var opcode: UInt16 = 0
        package var instruction: UInt64 = 0
        package var operand: UInt64 = 0
        /// ST0...ST7, ten bytes each.
        package var registers: [UInt8] = Array(repeating: 0, count: 80)

        package init() {}
    }

    /// MXCSR and XMM0...XMM15, sixteen bytes each.
    package struct SSE: Equatable, Sendable {
        package var control: UInt32 = X86ExtendedState.initialMXCSR
        package var registers: [UInt8] = Array(repeating: 0, count: 256)

        package init() {}
    }

    package var x87: X87?
    package var sse: SSE?
    /// Components beyond the legacy area, as the processor's manual lays each out.
    package var blocks: [CPUFeature: [UInt8]]

    /// Everything in its initial state.
    package init() {
        x87 = nil
        sse = nil
        blocks = [:]
    }

    package static let initialMXCSR: UInt32 = 0x1f80
    /// Bits of MXCSR that every processor has. Bit 17 (misaligned SSE, AMD only) is not among them.
    package static let mxcsrMask: UInt32 = 0xffff
    /// PKRU of a new program: no access by any key but 0. Source: Documentation/core-api/protection-keys.rst.
    package static let initialPKRU: UInt32 = 0x5555_5554

    /// Bits of the x87 control word that exist; bit 6 reads as 1.
    static let x87ControlMask: UInt16 = 0x1f7f
    static let x87OpcodeMask: UInt16 = 0x7ff

    static let softwareReserved = 464

    /// Feature of each component number, by number.
    static let componentFeatures: [(Int, CPUFeature)] = [
        (0, .x87), (1, .sse), (2, .avx), (5, .avx512Mask), (6, .avx512Upper), (7, .avx512High),
        (9, .protectionKeys), (17, .amxConfiguration), (18, .amxData), (19, .apx),
    ]

    /// Bytes of each component beyond the legacy area, the same on every processor.
    static let blockSize: [CPUFeature: Int] = [
        .avx: 256, .avx512Mask: 64, .avx512Upper: 512, .avx512High: 1024, .protectionKeys: 8,
        .amxConfiguration: 64, .amxData: 8192, .apx: 128,
    ]

    static func feature(ofComponent number: Int) -> CPUFeature? {
        componentFeatures.first { $0.0 == number }?.1
    }

    static func component(of feature: CPUFeature) -> Int? {
        componentFeatures.first { $0.1 == feature }?.0
    }

    /// The features with a record.
    package var features: CPUFeatureSet {
        var features = CPUFeatureSet(blocks.keys)
        if x87 != nil { features.insert(.x87) }
        if sse != nil { features.insert(.sse) }
        return features
    }

    /// Whether a component's bytes are what an absent record stands for.
    static func isInitial(_ bytes: [UInt8], of feature: CPUFeature) -> Bool {
        feature == .protectionKeys ? bytes.u64(at: 0) == UInt64(initialPKRU) : bytes.isZero
    }
}

// MARK: - Records

/// Record `x87`, 108 bytes, little-endian:
///
///       0  u32  version = 1
///       4  u16  control word (FCW)
///       6  u16  status word (FSW)
///       8  u16  tag word, abridged: bit N set = STN is not empty
///      10  u16  last opcode (FOP)
///      12  u64  last instruction (FIP)
///      20  u64  last operand (FDP)
///      28  u8[8][10]  ST0 ... ST7
///
/// Record `sse`, 264 bytes:
///
///       0  u32  version = 1
///       4  u32  MXCSR
///       8  u8[16][16]  XMM0 ... XMM15
///
/// The others: u32 version = 1, then the component as the processor's manual lays it out:
///
///     avx               4 + 256    u8[16][16]  upper halves of YMM0 ... YMM15
///     avx512Mask        4 + 64     u64[8]      k0 ... k7
///     avx512Upper       4 + 512    u8[16][32]  upper halves of ZMM0 ... ZMM15
///     avx512High        4 + 1024   u8[16][64]  ZMM16 ... ZMM31
///     protectionKeys    4 + 8      u32 PKRU, u32 0
///     amxConfiguration  4 + 64     TILECFG
///     amxData           4 + 8192   u8[8][16][64]  TMM0 ... TMM7
///     apx               4 + 128    u64[16]     r16 ... r31
///
/// Source: Intel SDM volume 1, 8.1, 10.2 and 13.5; AMD APM volume 2, 11.5.
extension X86ExtendedState {
    static let x87RecordSize = 108
    static let sseRecordSize = 264

    var records: [CPURecord] {
        var records: [CPURecord] = []
        if let x87 { records.append(CPURecord(.x87, x87.record)) }
        if let sse {
            var body = recordVersion
            body.append(little: sse.control)
            body += sse.registers
            records.append(CPURecord(.sse, body))
        }
        for (feature, bytes) in blocks.sorted(by: { $0.key < $1.key }) {
            records.append(CPURecord(feature, recordVersion + bytes))
        }
        return records
    }

    /// Takes one record of a feature of the extended state.
    mutating func load(_ body: [UInt8], of feature: CPUFeature) throws(ArchStateError) {
        switch feature {
        case .x87:
            x87 = try X87(record: body)
        case .sse:
            var reader = try RecordReader(body, of: .sse, size: Self.sseRecordSize)
            var state = SSE()
            state.control = reader.u32()
            state.registers = reader.take(256)
            sse = state
        default:
            guard let size = Self.blockSize[feature] else {
                throw ArchStateError(.foreignFeature, in: feature)
            }
            var reader = try RecordReader(body, of: feature, size: 4 + size)
            blocks[feature] = reader.take(size)
        }
    }
}

extension X86ExtendedState.X87 {
    var record: [UInt8] {
        var body = recordVersion
        body.append(little: control)
        body.append(little: status)
        body.append(little: UInt16(tags))
        body.append(little: opcode)
        body.append(little: instruction)
        body.append(little: operand)
        return body + registers
    }

    init(record: [UInt8]) throws(ArchStateError) {
        var reader = try RecordReader(record, of: .x87, size: X86ExtendedState.x87RecordSize)
        control = reader.u16()
        status = reader.u16()
        let tagWord = reader.u16()
        guard tagWord <= 0xff else {
            throw ArchStateError(.reservedBits, in: .x87, detail: "tag word is \(hex(tagWord))")
        }
        tags = UInt8(tagWord)
        opcode = reader.u16()
        instruction = reader.u64()
        operand = reader.u64()
        registers = reader.take(80)
    }
}

// MARK: - Rules

extension X86ExtendedState {
    func validate() throws(ArchStateError) {
        if let x87 {
            guard x87.registers.count == 80 else { throw ArchStateError(.recordSize, in: .x87) }
            if x87.control & ~Self.x87ControlMask != 0 || x87.control & 0x40 == 0 {
                throw ArchStateError(.controlRegister, in: .x87, detail: "FCW is \(hex(x87.control))")
            }
            if x87.opcode & ~Self.x87OpcodeMask != 0 {
                throw ArchStateError(.reservedBits, in: .x87, detail: "FOP is \(hex(x87.opcode))")
            }
            if x87 == X87() { throw ArchStateError(.notInUse, in: .x87) }
        }
        if let sse {
            guard sse.registers.count == 256 else { throw ArchStateError(.recordSize, in: .sse) }
            if sse.control & ~Self.mxcsrMask != 0 {
                throw ArchStateError(.controlRegister, in: .sse, detail: "MXCSR is \(hex(sse.control))")
            }
            if sse == SSE() { throw ArchStateError(.notInUse, in: .sse) }
        }
        for (feature, bytes) in blocks.sorted(by: { $0.key < $1.key }) {
            guard let size = Self.blockSize[feature] else { throw ArchStateError(.foreignFeature, in: feature) }
            guard bytes.count == size else {
                throw ArchStateError(.recordSize, in: feature, detail: "\(bytes.count) bytes, not \(size)")
            }
            if feature == .protectionKeys, bytes.u32(at: 4) != 0 {
                throw ArchStateError(.reservedBits, in: feature, detail: "after PKRU: \(hex(bytes.u32(at: 4)))")
            }
            if feature == .amxConfiguration { try Self.validateTileConfiguration(bytes) }
            if Self.isInitial(bytes, of: feature) { throw ArchStateError(.notInUse, in: feature) }
        }
    }

    /// TILECFG as `LDTILECFG` would take it, palette 1:
    ///
    ///      0  u8   palette, 1
    ///      1  u8   start row
    ///      2  u8[14]  0
    ///     16  u16[16]  bytes per row: at most 64 for tiles 0...7, 0 for the others
    ///     48  u8[16]   rows: at most 16 for tiles 0...7, 0 for the others
    ///
    /// Source: Intel SDM volume 2, LDTILECFG.
    private static func validateTileConfiguration(_ bytes: [UInt8]) throws(ArchStateError) {
        func refuse(_ detail: String) -> ArchStateError {
            ArchStateError(.tileConfiguration, in: .amxConfiguration, detail: detail)
        }
        guard bytes[0] == 1 else { throw refuse("palette \(bytes[0])") }
        guard bytes[2..<16].allSatisfy({ $0 == 0 }) else { throw refuse("reserved bytes are set") }
        for tile in 0..<16 {
            let columns = bytes.u16(at: 16 + tile * 2)
            let rows = bytes[48 + tile]
            guard tile < 8 ? columns <= 64 && rows <= 16 : columns == 0 && rows == 0,
                (columns == 0) == (rows == 0)
            else { throw refuse("tile \(tile) has \(rows) rows of \(columns) bytes") }
        }
    }
}
