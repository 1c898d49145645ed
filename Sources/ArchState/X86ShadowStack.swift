/// The user shadow stack of an x86 thread: its pointer (`NT_X86_SHSTK`) and what is switched on
/// (`ARCH_SHSTK_STATUS`).
///
/// Record `x86ShadowStack`, 20 bytes, little-endian:
///
///       0  u32  version = 1
///       4  u64  SSP, a multiple of 8
///      12  u64  bit 0 shadow stack, bit 1 WRSS
///
/// Source: Documentation/arch/x86/shstk.rst.
package struct X86ShadowStack: Equatable, Sendable {
    package var pointer: UInt64
    package var features: UInt64

    package init(pointer: UInt64, features: UInt64) {
        self.pointer = pointer
        self.features = features
    }

    static let recordSize = 20

    var record: [UInt8] {
        var body = recordVersion
        body.append(little: pointer)
        body.append(little: features)
        return body
    }

    init(record: [UInt8]) throws(ArchStateError) {
        var reader = try RecordReader(record, of: .x86ShadowStack, size: Self.recordSize)
        pointer = reader.u64()
        features = reader.u64()
    }

    func validate() throws(ArchStateError) {
        if features & ~3 != 0 {
            throw ArchStateError(.reservedBits, in: .x86ShadowStack, detail: "features \(hex(features))")
        }
        if features & 1 == 0 { throw ArchStateError(.notInUse, in: .x86ShadowStack) }
        if pointer % 8 != 0 || pointer >= X86GeneralRegisters.userSpaceEnd {
            throw ArchStateError(.shadowStackPointer, in: .x86ShadowStack, detail: "SSP is \(hex(pointer))")
        }
    }
}
