extension ARM64State {
    /// PSTATE bits of a program: NZCV, TCO, DIT, SSBS, BTYPE. EL0 with nothing masked is all zero.
    /// Source: arch/arm64/kernel/ptrace.c, `valid_user_regs`.
    package static let userState: UInt64 = 0xf300_1c00
    /// First address after user space with 48-bit addresses.
    package static let userSpaceEnd: UInt64 = 1 << 48
    static let statusMask: UInt32 = 0xf800_009f
    static let controlMask: UInt32 = 0x07ff_bf07

    package func validated() throws(ArchStateError) -> ARM64State {
        try validate()
        return self
    }

    static func checkVectorLength(_ length: Int) throws(ArchStateError) {
        guard length >= 16, length <= 256, length % 16 == 0 else {
            throw ArchStateError(.vectorLength, in: .sve, detail: "\(length) bytes")
        }
    }

    func validate() throws(ArchStateError) {
        guard general.x.count == 31 else { throw ArchStateError(.recordSize, in: .armGeneral) }
        if general.pstate & ~Self.userState != 0 {
            throw ArchStateError(.privilegedFlags, in: .armGeneral, detail: "pstate is \(hex(general.pstate))")
        }
        if general.pc >= Self.userSpaceEnd || general.pc % 4 != 0 {
            throw ArchStateError(.instructionPointer, in: .armGeneral, detail: "pc is \(hex(general.pc))")
        }
        if let vector {
            guard vector.registers.count == 512 else { throw ArchStateError(.recordSize, in: .armVector) }
            if vector.status & ~Self.statusMask != 0 || vector.control & ~Self.controlMask != 0 {
                throw ArchStateError(
                    .controlRegister, in: .armVector,
                    detail: "FPSR is \(hex(vector.status)), FPCR is \(hex(vector.control))")
            }
            if vector == Vector() { throw ArchStateError(.notInUse, in: .armVector) }
        }
        if let sve {
            try Self.checkVectorLength(sve.vectorLength)
            guard sve.registers.count == SVE.size(vectorLength: sve.vectorLength) else {
                throw ArchStateError(.recordSize, in: .sve, detail: "\(sve.registers.count) bytes of registers")
            }
            if (vector ?? Vector()).registers != sve.lowVectors {
                throw ArchStateError(.contradiction, in: .sve, detail: "V0 ... V31 are not the low parts of Z0 ... Z31")
            }
        }
        if let threadPointer, threadPointer.first == 0, threadPointer.second == 0 {
            throw ArchStateError(.notInUse, in: .armThreadPointer)
        }
        try debug?.validate()
    }
}

extension ARM64State.Debug {
    /// Source: arch/arm64/kernel/ptrace.c, `ptrace_hbp_fill_attr_ctrl`; asm/hw_breakpoint.h:
    ///
    ///     bit 0 enabled   1-2 privilege, 2 = EL0   3-4 kind: 0 execute, 1 load, 2 store, 3 both
    ///     5-12 which bytes from the address on
    func validate() throws(ArchStateError) {
        if breakpoints.isEmpty && watchpoints.isEmpty { throw ArchStateError(.notInUse, in: .armDebug) }
        guard breakpoints.count <= Self.slotCount, watchpoints.count <= Self.slotCount else {
            throw ArchStateError(
                .debugControl, in: .armDebug,
                detail: "\(breakpoints.count) breakpoints, \(watchpoints.count) watchpoints")
        }
        for slot in breakpoints {
            // An instruction has four bytes.
            try slot.validate { kind, bytes in kind == 0 && bytes == 0xf }
            if slot.address % 4 != 0 {
                throw ArchStateError(.debugAddress, in: .armDebug, detail: "address is \(hex(slot.address))")
            }
        }
        for slot in watchpoints {
            try slot.validate { kind, bytes in
                // The bits of the watched bytes have to be contiguous.
                let run = bytes >> UInt32(bytes.trailingZeroBitCount)
                return kind != 0 && bytes != 0 && run & (run + 1) == 0
            }
        }
        for slots in [breakpoints, watchpoints] where slots.last == Slot(address: 0, control: 0) {
            throw ArchStateError(.notInUse, in: .armDebug, detail: "the last slot is empty")
        }
    }
}

extension ARM64State.Debug.Slot {
    fileprivate func validate(_ isAllowed: (_ kind: UInt32, _ bytes: UInt32) -> Bool) throws(ArchStateError) {
        let isEnabled = control & 1 != 0
        if control & ~0x1fff != 0 || isEnabled && (control & 6 != 4 || !isAllowed(control >> 3 & 3, control >> 5)) {
            throw ArchStateError(.debugControl, in: .armDebug, detail: "control is \(hex(control))")
        }
        if address >= ARM64State.userSpaceEnd {
            throw ArchStateError(.debugAddress, in: .armDebug, detail: "address is \(hex(address))")
        }
    }
}
