/// The CPU state of a thread of any architecture, for code that only shows or checks an image.
package enum AnyCPUState: Equatable, Sendable {
    case x86(CPUState)
    case arm64(ARM64State)
    case powerpc(PowerPCState)

    /// Takes the records of an image; the first one tells the architecture.
    package init(records: [CPURecord]) throws(ArchStateError) {
        guard let first = records.first else {
            throw ArchStateError(.missingRecord, detail: "a thread without CPU state")
        }
        guard let number = UInt8(exactly: first.feature), let feature = CPUFeature(rawValue: number) else {
            throw ArchStateError(.unknownFeature, detail: "feature number \(first.feature)")
        }
        switch feature.architecture {
        case .x86: self = .x86(try CPUState(records: records))
        case .arm64: self = .arm64(try ARM64State(records: records))
        case .powerpc: self = .powerpc(try PowerPCState(records: records))
        }
    }

    package var architecture: Architecture {
        switch self {
        case .x86: .x86
        case .arm64: .arm64
        case .powerpc: .powerpc
        }
    }

    package var features: CPUFeatureSet {
        switch self {
        case .x86(let state): state.features
        case .arm64(let state): state.features
        case .powerpc(let state): state.features
        }
    }

    package var records: [CPURecord] {
        switch self {
        case .x86(let state): state.records
        case .arm64(let state): state.records
        case .powerpc(let state): state.records
        }
    }

    /// Address of the next instruction.
    package var instructionPointer: UInt64 {
        switch self {
        case .x86(let state): state.general.rip
        case .arm64(let state): state.general.pc
        case .powerpc(let state): state.general.nip
        }
    }

    /// General registers by the names people know, in the order of the record.
    package var registers: [(name: String, value: UInt64)] {
        switch self {
        case .x86(let state):
            let general = state.general
            return [
                ("rax", general.rax), ("rbx", general.rbx), ("rcx", general.rcx), ("rdx", general.rdx),
                ("rsi", general.rsi), ("rdi", general.rdi), ("rbp", general.rbp), ("rsp", general.rsp),
                ("r8", general.r8), ("r9", general.r9), ("r10", general.r10), ("r11", general.r11),
                ("r12", general.r12), ("r13", general.r13), ("r14", general.r14), ("r15", general.r15),
                ("rip", general.rip), ("rflags", general.flags), ("orig_rax", general.originalRAX),
                ("fs_base", general.fsBase), ("gs_base", general.gsBase),
            ]
        case .arm64(let state):
            let general = state.general
            return general.x.enumerated().map { ("x\($0.offset)", $0.element) }
                + [("sp", general.sp), ("pc", general.pc), ("pstate", general.pstate)]
        case .powerpc(let state):
            let general = state.general
            return general.registers.enumerated().map { ("r\($0.offset)", $0.element) }
                + [
                    ("nip", general.nip), ("msr", general.msr), ("orig_r3", general.originalR3),
                    ("ctr", general.ctr), ("link", general.link), ("xer", general.xer), ("ccr", general.ccr),
                    ("trap", general.trap),
                ]
        }
    }
}
