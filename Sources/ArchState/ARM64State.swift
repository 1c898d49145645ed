/// The CPU state of one aarch64 thread.
///
/// General registers, FP/SIMD, SVE where used, both TLS registers, hardware breakpoints. The records
/// can be read and checked on any host.
package struct ARM64State: Equatable, Sendable {
    package var general: General
    package var vector: Vector?
    package var sve: SVE?
    package var threadPointer: ThreadPointer?
    package var debug: Debug?

    package struct General: Equatable, Sendable {
        /// x0 ... x30
        package var x: [UInt64] = Array(repeating: 0, count: 31)
        package var sp: UInt64 = 0
        package var pc: UInt64 = 0
        package var pstate: UInt64 = 0
        /// First argument of the interrupted call, which goes back into x0 when it is made again.
        package var originalX0: UInt64 = 0
        /// Number of the system call the thread is in (x8), or -1.
        package var call: Int32 = -1

        package init() {}
    }

    package struct Vector: Equatable, Sendable {
        package var status: UInt32 = 0
        package var control: UInt32 = 0
        /// V0 ... V31, sixteen bytes each.
        package var registers: [UInt8] = Array(repeating: 0, count: 512)

        package init() {}
    }

    package struct SVE: Equatable, Sendable {
        /// Bytes of a Z register.
        package var vectorLength: Int
        /// Z0 ... Z31, P0 ... P15, FFR.
        package var registers: [UInt8]

        package init(vectorLength: Int, registers: [UInt8]) {
            self.vectorLength = vectorLength
            self.registers = registers
        }

        /// 32 Z registers, 16 predicates and FFR of an eighth each.
        static func size(vectorLength: Int) -> Int { 32 * vectorLength + 17 * (vectorLength / 8) }
    }

    package struct ThreadPointer: Equatable, Sendable {
        /// TPIDR_EL0
        package var first: UInt64
        /// TPIDR2_EL0, of SME
        package var second: UInt64

        package init(first: UInt64, second: UInt64 = 0) {
            self.first = first
            self.second = second
        }
    }

    package struct Debug: Equatable, Sendable {
        package struct Slot: Equatable, Sendable {
            package var address: UInt64
            package var control: UInt32

            package init(address: UInt64, control: UInt32) {
                self.address = address
                self.control = control
            }
        }

        package var breakpoints: [Slot]
        package var watchpoints: [Slot]

        package init(breakpoints: [Slot], watchpoints: [Slot]) {
            self.breakpoints = breakpoints
            self.watchpoints = watchpoints
        }
    }

    package init(
        general: General, vector: Vector? = nil, sve: SVE? = nil, threadPointer: ThreadPointer? = nil,
        debug: Debug? = nil
    ) {
        self.general = general
        self.vector = vector
        self.sve = sve
        self.threadPointer = threadPointer
        self.debug = debug
    }
}

// MARK: - Register sets

extension ARM64State.General {
    /// What `PTRACE_GETREGSET(NT_PRSTATUS)` gives: `struct user_pt_regs`, 34 u64
    /// (x0 ... x30, sp, pc, pstate); the call comes from `NT_ARM_SYSTEM_CALL`.
    package init(registerSet bytes: [UInt8], call: Int32 = -1) throws(ArchStateError) {
        guard bytes.count == 272 else {
            throw ArchStateError(.registerSetSize, in: .armGeneral, detail: "\(bytes.count) bytes, not 272")
        }
        x = (0..<31).map { bytes.u64(at: $0 * 8) }
        sp = bytes.u64(at: 248)
        pc = bytes.u64(at: 256)
        pstate = bytes.u64(at: 264)
        originalX0 = x[0]
        self.call = call
    }

    package var registerSet: [UInt8] {
        var bytes: [UInt8] = []
        for word in x + [sp, pc, pstate] { bytes.append(little: word) }
        return bytes
    }
}

// MARK: - Records

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
///        8  Z0 ... Z31, P0 ... P15, FFR
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

// MARK: - Rules

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

    private static func checkVectorLength(_ length: Int) throws(ArchStateError) {
        guard length >= 16, length <= 256, length % 16 == 0 else {
            throw ArchStateError(.vectorLength, in: .sve, detail: "\(length) bytes")
        }
    }

    private func validate() throws(ArchStateError) {
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
        }
        if let threadPointer, threadPointer.first == 0, threadPointer.second == 0 {
            throw ArchStateError(.notInUse, in: .armThreadPointer)
        }
        if let debug {
            if debug.breakpoints.isEmpty && debug.watchpoints.isEmpty {
                throw ArchStateError(.notInUse, in: .armDebug)
            }
            guard debug.breakpoints.count <= 16, debug.watchpoints.count <= 16 else {
                throw ArchStateError(
                    .debugControl, in: .armDebug,
                    detail: "\(debug.breakpoints.count) breakpoints, \(debug.watchpoints.count) watchpoints")
            }
            for slot in debug.breakpoints + debug.watchpoints {
                // Enable, privilege EL0, kind, byte select. Source: asm/hw_breakpoint.h.
                if slot.control & ~0x1fff != 0 || slot.control & 1 != 0 && slot.control & 6 != 4 {
                    throw ArchStateError(.debugControl, in: .armDebug, detail: "control is \(hex(slot.control))")
                }
                if slot.address >= Self.userSpaceEnd {
                    throw ArchStateError(.debugAddress, in: .armDebug, detail: "address is \(hex(slot.address))")
                }
            }
            for slot in debug.breakpoints where slot.address % 4 != 0 {
                throw ArchStateError(.debugAddress, in: .armDebug, detail: "address is \(hex(slot.address))")
            }
        }
    }
}

// MARK: - Interrupted calls

extension ARM64State.General {
    /// Number of `restart_syscall`.
    static let restartCall: UInt64 = 128
    /// Length of `svc #0`.
    static let callInstructionLength: UInt64 = 4

    /// What the kernel would do next, where x0 still holds the result of the call.
    ///
    /// At a signal stop the kernel has already gone back: x0 is the argument again and pc is on the
    /// call. Source: arch/arm64/kernel/signal.c, `do_signal`.
    package var interruptedCall: InterruptedCall {
        InterruptedCall(rax: x[0], originalRAX: UInt64(bitPattern: Int64(call)))
    }

    /// The registers as the kernel would have set them on resume with no handler to run.
    package func registersLeadingHome() -> Self {
        var home = self
        switch interruptedCall {
        case .none, .eintr:
            return self
        case .restartSys, .restartNoIntr, .restartNoHand:
            home.x[0] = originalX0
        case .restartBlock:
            home.x[0] = originalX0
            home.x[8] = Self.restartCall
        }
        home.pc &-= Self.callInstructionLength
        return home
    }
}
