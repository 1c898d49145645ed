/// The CPU state of one powerpc thread, 64-bit or 32-bit.
///
/// The records can be read and checked on any host; widths are explicit, so that a 32-bit thread and a
/// 64-bit one have the same layout.
package struct PowerPCState: Equatable, Sendable {
    package var general: General
    package var float: Float?
    package var altivec: Altivec?
    /// Second halves of VSR0 ... VSR31; the first are the FP registers, VSR32 ... VSR63 are Altivec's.
    package var vsx: [UInt64]?
    package var spe: SPE?
    package var debug: Debug?

    package struct General: Equatable, Sendable {
        package var is64Bit: Bool
        /// r0 ... r31
        package var registers: [UInt64] = Array(repeating: 0, count: 32)
        package var nip: UInt64 = 0
        /// Only the bits of `userState`.
        package var msr: UInt64 = 0
        package var originalR3: UInt64 = 0
        package var ctr: UInt64 = 0
        package var link: UInt64 = 0
        package var xer: UInt64 = 0
        package var ccr: UInt64 = 0
        /// Vector of the exception that led into the kernel; 0xc00 is a system call.
        package var trap: UInt64 = 0

        package init(is64Bit: Bool) { self.is64Bit = is64Bit }
    }

    package struct Float: Equatable, Sendable {
        /// FPR0 ... FPR31, eight bytes each.
        package var registers: [UInt64] = Array(repeating: 0, count: 32)
        package var status: UInt64 = 0

        package init() {}
    }

    package struct Altivec: Equatable, Sendable {
        /// VR0 ... VR31, sixteen bytes each.
        package var registers: [UInt8] = Array(repeating: 0, count: 512)
        package var status: UInt32 = 0
        package var save: UInt32 = 0

        package init() {}
    }

    package struct SPE: Equatable, Sendable {
        /// Upper halves of the general registers.
        package var upper: [UInt32] = Array(repeating: 0, count: 32)
        package var accumulator: UInt64 = 0
        package var status: UInt32 = 0

        package init() {}
    }

    /// DABR with its control bits, or the later debug registers.
    package struct Debug: Equatable, Sendable {
        /// Address in all but the low three bits: 1 reads, 2 writes, 4 translated addresses.
        package var dabr: UInt64
        /// IAC1 ... IAC4, then DAC1, DAC2: 0 = not set.
        package var addresses: [UInt64]

        package init(dabr: UInt64 = 0, addresses: [UInt64] = [0, 0, 0, 0, 0, 0]) {
            self.dabr = dabr
            self.addresses = addresses
        }
    }

    package init(
        general: General, float: Float? = nil, altivec: Altivec? = nil, vsx: [UInt64]? = nil, spe: SPE? = nil,
        debug: Debug? = nil
    ) {
        self.general = general
        self.float = float
        self.altivec = altivec
        self.vsx = vsx
        self.spe = spe
        self.debug = debug
    }
}

// MARK: - Records

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
///     powerDebug, 60 bytes
///        4  u64  DABR
///       12  u64  IAC1 ... IAC4, DAC1, DAC2
///
/// Source: arch/powerpc/include/uapi/asm/ptrace.h.
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
            for word in [debug.dabr] + debug.addresses { body.append(little: word) }
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
            var reader = try RecordReader(body, of: .powerDebug, size: 60)
            var state = Debug(dabr: reader.u64())
            for index in 0..<6 { state.addresses[index] = reader.u64() }
            debug = state
        }
        try validate()
    }
}

// MARK: - Rules

extension PowerPCState {
    /// MSR bits that a program or its debugger can choose: FE0, FE1 (how FP exceptions come), SE, BE
    /// (tracing), LE. All others are the kernel's, and follow from the features present.
    /// Source: arch/powerpc/include/asm/reg.h.
    package static let userState: UInt64 = 1 << 11 | 1 << 8 | 1 << 10 | 1 << 9 | 1
    /// First address after user space: 52 bits at most on 64-bit processors, 3 GiB on others.
    static let userSpaceEnd64: UInt64 = 1 << 52
    static let userSpaceEnd32: UInt64 = 0xc000_0000
    /// NJ and SAT.
    static let altivecStatusMask: UInt32 = 0x1_0001

    package func validated() throws(ArchStateError) -> PowerPCState {
        try validate()
        return self
    }

    private func validate() throws(ArchStateError) {
        guard general.registers.count == 32 else { throw ArchStateError(.recordSize, in: .powerGeneral) }
        let end = general.is64Bit ? Self.userSpaceEnd64 : Self.userSpaceEnd32
        if general.msr & ~Self.userState != 0 {
            throw ArchStateError(.privilegedFlags, in: .powerGeneral, detail: "MSR is \(hex(general.msr))")
        }
        if general.nip >= end || general.nip % 4 != 0 {
            throw ArchStateError(.instructionPointer, in: .powerGeneral, detail: "NIP is \(hex(general.nip))")
        }
        if !general.is64Bit {
            let words = general.registers + [general.originalR3, general.ctr, general.link]
            if let wide = words.first(where: { $0 >> 32 != 0 }) {
                throw ArchStateError(.registerWidth, in: .powerGeneral, detail: "\(hex(wide)) in a 32-bit register")
            }
        }
        for (name, word) in [("XER", general.xer), ("CR", general.ccr)] where word >> 32 != 0 {
            throw ArchStateError(.reservedBits, in: .powerGeneral, detail: "\(name) is \(hex(word))")
        }
        if general.trap > 0xfff0 || general.trap & 0xf != 0 {
            throw ArchStateError(.reservedBits, in: .powerGeneral, detail: "trap is \(hex(general.trap))")
        }
        if let float {
            guard float.registers.count == 32 else { throw ArchStateError(.recordSize, in: .powerFloat) }
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
            if vsx.allSatisfy({ $0 == 0 }) { throw ArchStateError(.notInUse, in: .vsx) }
        }
        if let spe {
            guard spe.upper.count == 32 else { throw ArchStateError(.recordSize, in: .spe) }
            // One processor has either the one or the other.
            if altivec != nil || vsx != nil || general.is64Bit {
                throw ArchStateError(.foreignFeature, in: .spe, detail: "SPE is of 32-bit processors without Altivec")
            }
            if spe == SPE() { throw ArchStateError(.notInUse, in: .spe) }
        }
        if let debug {
            guard debug.addresses.count == 6 else { throw ArchStateError(.recordSize, in: .powerDebug) }
            // Source: arch/powerpc/kernel/ptrace, `ptrace_set_debugreg`.
            if debug.dabr != 0 && debug.dabr & 4 == 0 {
                throw ArchStateError(.debugControl, in: .powerDebug, detail: "DABR is \(hex(debug.dabr))")
            }
            for address in [debug.dabr & ~7] + debug.addresses where address >= end {
                throw ArchStateError(.debugAddress, in: .powerDebug, detail: "address is \(hex(address))")
            }
            if debug == Debug() { throw ArchStateError(.notInUse, in: .powerDebug) }
        }
    }
}
