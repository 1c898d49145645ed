extension PowerPCState {
    /// MSR bits that a program or its debugger can choose: FE0, FE1 (how FP exceptions come), SE, BE
    /// (tracing), LE. All others are the kernel's, and follow from the features present.
    /// Source: arch/powerpc/include/asm/reg.h.
    package static let userState: UInt64 = 1 << 11 | 1 << 8 | 1 << 10 | 1 << 9 | 1
    /// First address after user space: 52 bits at most on 64-bit processors, 3 GiB on others.
    static let userSpaceEnd64: UInt64 = 1 << 52
    static let userSpaceEnd32: UInt64 = 0xc000_0000
    /// All but bits 0...28, which are reserved.
    static let floatStatusMask: UInt64 = 0x7_ffff_ffff
    /// NJ and SAT.
    static let altivecStatusMask: UInt32 = 0x1_0001
    /// Bits 40, 41 and 56 are reserved.
    static let speStatusMask: UInt32 = 0xff3f_ff7f

    /// What a record keeps of the MSR of a live thread.
    package static func reduced(msr: UInt64) -> UInt64 { msr & userState }

    package func validated() throws(ArchStateError) -> PowerPCState {
        try validate()
        return self
    }

    func validate() throws(ArchStateError) {
        let end = general.is64Bit ? Self.userSpaceEnd64 : Self.userSpaceEnd32
        try general.validate(end: end)
        if let float {
            guard float.registers.count == 32 else { throw ArchStateError(.recordSize, in: .powerFloat) }
            if float.status & ~Self.floatStatusMask != 0 {
                throw ArchStateError(.controlRegister, in: .powerFloat, detail: "FPSCR is \(hex(float.status))")
            }
            if float == Float() { throw ArchStateError(.notInUse, in: .powerFloat) }
        }
        if let altivec {
            guard altivec.registers.count == 512 else { throw ArchStateError(.recordSize, in: .altivec) }
            if altivec.status & ~Self.altivecStatusMask != 0 {
                throw ArchStateError(.controlRegister, in: .altivec, detail: "VSCR is \(hex(altivec.status))")
            }
            if altivec == Altivec() { throw ArchStateError(.notInUse, in: .altivec) }
        }
        if let vsx {
            guard vsx.count == 32 else { throw ArchStateError(.recordSize, in: .vsx) }
            if !general.is64Bit {
                throw ArchStateError(.foreignFeature, in: .vsx, detail: "a 32-bit thread has no VSX registers")
            }
            if vsx.allSatisfy({ $0 == 0 }) { throw ArchStateError(.notInUse, in: .vsx) }
        }
        if let spe {
            guard spe.upper.count == 32 else { throw ArchStateError(.recordSize, in: .spe) }
            // No processor has SPE together with FP registers, Altivec or VSX.
            if general.is64Bit || float != nil || altivec != nil || vsx != nil {
                throw ArchStateError(
                    .foreignFeature, in: .spe, detail: "SPE is of 32-bit processors without FP registers and Altivec")
            }
            if spe.status & ~Self.speStatusMask != 0 {
                throw ArchStateError(.controlRegister, in: .spe, detail: "SPEFSCR is \(hex(spe.status))")
            }
            if spe == SPE() { throw ArchStateError(.notInUse, in: .spe) }
        }
        try debug?.validate(end: end)
    }
}

extension PowerPCState.General {
    fileprivate func validate(end: UInt64) throws(ArchStateError) {
        guard registers.count == 32 else { throw ArchStateError(.recordSize, in: .powerGeneral) }
        if msr & ~PowerPCState.userState != 0 {
            throw ArchStateError(.privilegedFlags, in: .powerGeneral, detail: "MSR is \(hex(msr))")
        }
        if nip >= end || nip % 4 != 0 {
            throw ArchStateError(.instructionPointer, in: .powerGeneral, detail: "NIP is \(hex(nip))")
        }
        if !is64Bit {
            let words = registers + [originalR3, ctr, link]
            if let wide = words.first(where: { $0 >> 32 != 0 }) {
                throw ArchStateError(.registerWidth, in: .powerGeneral, detail: "\(hex(wide)) in a 32-bit register")
            }
        }
        for (name, word) in [("XER", xer), ("CR", ccr)] where word >> 32 != 0 {
            throw ArchStateError(.reservedBits, in: .powerGeneral, detail: "\(name) is \(hex(word))")
        }
        // The low four bits are flags of the kernel.
        if trap > 0xfff0 || trap & 0xf != 0 {
            throw ArchStateError(.reservedBits, in: .powerGeneral, detail: "trap is \(hex(trap))")
        }
    }
}

extension PowerPCState.Debug {
    /// IAC1 ... IAC4, DAC1, DAC2
    static let mostBreakpoints = 6
    static let translated: UInt64 = 4

    /// Source: arch/powerpc/kernel/ptrace, `ptrace_set_debugreg`, `ppc_set_hwdebug`.
    func validate(end: UInt64) throws(ArchStateError) {
        if dabr != 0 && dabr & Self.translated == 0 {
            throw ArchStateError(.debugControl, in: .powerDebug, detail: "DABR is \(hex(dabr))")
        }
        if dabr & ~7 >= end {
            throw ArchStateError(.debugAddress, in: .powerDebug, detail: "DABR is \(hex(dabr))")
        }
        guard breakpoints.count <= Self.mostBreakpoints else {
            throw ArchStateError(.debugControl, in: .powerDebug, detail: "\(breakpoints.count) breakpoints")
        }
        for one in breakpoints { try one.validate(end: end) }
        if self == PowerPCState.Debug() { throw ArchStateError(.notInUse, in: .powerDebug) }
    }
}

extension PowerPCState.Breakpoint {
    static let execute: UInt32 = 1
    static let exact: UInt32 = 0
    static let mask: UInt32 = 3
    static let conditionBits: UInt32 = 0x00ff_0003

    fileprivate func validate(end limit: UInt64) throws(ArchStateError) {
        let isExecution = trigger == Self.execute
        let isData = trigger & ~6 == 0 && trigger != 0
        if !isExecution && !isData || addressMode > Self.mask || conditionMode & ~Self.conditionBits != 0
            || conditionMode & 3 == 0 && (conditionMode != 0 || value != 0) || isExecution && conditionMode != 0
        {
            throw ArchStateError(
                .debugControl, in: .powerDebug,
                detail: "trigger \(trigger), address mode \(addressMode), condition \(hex(conditionMode))")
        }
        let isRange = addressMode != Self.exact && addressMode != Self.mask
        if address >= limit || isExecution && address % 4 != 0 || addressMode == Self.exact && end != 0
            || isRange && (end <= address || end > limit)
        {
            throw ArchStateError(
                .debugAddress, in: .powerDebug, detail: "address is \(hex(address)), end is \(hex(end))")
        }
    }
}
