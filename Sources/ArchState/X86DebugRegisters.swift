/// The hardware breakpoints of an x86 thread: DR0...DR3, DR6, DR7 (`PTRACE_POKEUSER`).
package struct X86DebugRegisters: Equatable, Sendable {
    /// DR0...DR3
    package var addresses: [UInt64]
    /// DR6
    package var status: UInt64
    /// DR7
    package var control: UInt64

    package init(addresses: [UInt64] = [0, 0, 0, 0], status: UInt64 = 0, control: UInt64 = 0) {
        self.addresses = addresses
        self.status = status
        self.control = control
    }

    /// No breakpoint set and none hit. DR6 reads as 0xffff0ff0 on an idle processor, 0 through ptrace.
    package var isInitial: Bool {
        addresses.allSatisfy { $0 == 0 } && control & ~Self.controlFixed == 0 && status & Self.statusMask == 0
    }
}

/// Record `x86Debug`, 52 bytes, little-endian, present if a breakpoint is set or was hit:
///
///       0  u32  version = 1
///       4  u64  DR0 DR1 DR2 DR3
///      36  u64  DR6, bits 0...3 (which was hit), 13...15
///      44  u64  DR7, bits 0...7 (enables), 8, 9, and 16...31 (kind and length where enabled)
///
/// Source: Intel SDM volume 3, 17.2; arch/x86/kernel/ptrace.c.
extension X86DebugRegisters {
    static let recordSize = 52
    /// B0...B3, BD, BS, BT.
    static let statusMask: UInt64 = 0xe00f
    /// Enables, LE and GE, R/W and LEN of each breakpoint. GD (bit 13) and RTM (bit 11) are the kernel's.
    static let controlMask: UInt64 = 0xffff_03ff
    /// Bit 10 reads as 1.
    static let controlFixed: UInt64 = 0x400

    /// From the six values of `PTRACE_PEEKUSER`. Drops bits that the processor fixes, and kind and length of breakpoints
    /// that are not enabled: they have no effect, and the kernel can refuse them.
    package init(dr0: UInt64, dr1: UInt64, dr2: UInt64, dr3: UInt64, dr6: UInt64, dr7: UInt64) {
        var control = dr7 & ~Self.controlFixed
        for index in 0..<4 where !Self.isEnabled(index, in: control) { control &= ~Self.kindAndLength(index) }
        self.init(addresses: [dr0, dr1, dr2, dr3], status: dr6 & Self.statusMask, control: control)
    }

    private static func isEnabled(_ index: Int, in control: UInt64) -> Bool {
        control >> UInt64(index * 2) & 3 != 0
    }

    private static func kindAndLength(_ index: Int) -> UInt64 { 0xf << UInt64(16 + index * 4) }

    var record: [UInt8] {
        var body = recordVersion
        for address in addresses { body.append(little: address) }
        body.append(little: status)
        body.append(little: control)
        return body
    }

    init(record: [UInt8]) throws(ArchStateError) {
        var reader = try RecordReader(record, of: .x86Debug, size: Self.recordSize)
        addresses = []
        for _ in 0..<4 { addresses.append(reader.u64()) }
        status = reader.u64()
        control = reader.u64()
    }

    /// Source: arch/x86/kernel/hw_breakpoint.c, `arch_build_bp_info`: user space only, aligned to its
    /// length, execution of length 1 (field 0) only, no I/O breakpoints. What is not enabled has neither
    /// kind nor length.
    func validate() throws(ArchStateError) {
        guard addresses.count == 4 else { throw ArchStateError(.recordSize, in: .x86Debug) }
        if status & ~Self.statusMask != 0 {
            throw ArchStateError(.reservedBits, in: .x86Debug, detail: "DR6 is \(hex(status))")
        }
        if control & ~Self.controlMask != 0 {
            throw ArchStateError(.debugControl, in: .x86Debug, detail: "DR7 is \(hex(control))")
        }
        for (index, address) in addresses.enumerated() {
            let kind = control >> UInt64(16 + index * 4) & 3
            let lengthField = control >> UInt64(18 + index * 4) & 3
            let isEnabled = Self.isEnabled(index, in: control)
            let length: UInt64 = [1, 2, 8, 4][Int(lengthField)]
            if isEnabled
                ? kind == 2 || kind == 0 && lengthField != 0 : control & Self.kindAndLength(index) != 0
            {
                throw ArchStateError(
                    .debugControl, in: .x86Debug, detail: "DR7 is \(hex(control)), breakpoint \(index)")
            }
            if address >= X86GeneralRegisters.userSpaceEnd
                || isEnabled && (address % length != 0 || address + length > X86GeneralRegisters.userSpaceEnd)
            {
                throw ArchStateError(.debugAddress, in: .x86Debug, detail: "DR\(index) is \(hex(address))")
            }
        }
        if isInitial { throw ArchStateError(.notInUse, in: .x86Debug) }
    }
}
