/// A register set of an aarch64 thread, by the ELF note type that ptrace takes.
package enum ARM64RegisterSet: UInt64, CaseIterable, Sendable {
    case general = 1  // NT_PRSTATUS
    case vector = 2  // NT_PRFPREG
    case threadPointer = 0x401  // NT_ARM_TLS
    case breakpoints = 0x402  // NT_ARM_HW_BREAK
    case watchpoints = 0x403  // NT_ARM_HW_WATCH
    case systemCall = 0x404  // NT_ARM_SYSTEM_CALL
    case sve = 0x405  // NT_ARM_SVE

    /// The feature that its bytes become part of.
    var feature: CPUFeature {
        switch self {
        case .general, .systemCall: .armGeneral
        case .vector: .armVector
        case .threadPointer: .armThreadPointer
        case .breakpoints, .watchpoints: .armDebug
        case .sve: .sve
        }
    }
}

extension ARM64State {
    /// The state of a live thread from the bytes of `PTRACE_GETREGSET`; sets that the kernel does not have
    /// are left out, state that is not in use makes no record.
    ///
    /// - A vector length that was chosen by `prctl(PR_SVE_SET_VL)` counts only with SVE state in use.
    package init(registerSets sets: [ARM64RegisterSet: [UInt8]]) throws(ArchStateError) {
        guard let bytes = sets[.general] else { throw ArchStateError(.missingRecord, in: .armGeneral) }
        var call: Int32 = -1
        if let bytes = sets[.systemCall] {
            try Self.require(bytes, .systemCall, [4])
            call = Int32(bitPattern: bytes.u32(at: 0))
        }
        general = try General(registerSet: bytes, call: call)
        if let bytes = sets[.sve] {
            (vector, sve) = try Self.parse(sve: bytes)
        } else if let bytes = sets[.vector] {
            vector = try Vector(registerSet: bytes)
        }
        if vector == Vector() { vector = nil }
        if let bytes = sets[.threadPointer] {
            threadPointer = try ThreadPointer(registerSet: bytes)
            if threadPointer == ThreadPointer(first: 0) { threadPointer = nil }
        }
        let breakpoints = try sets[.breakpoints].map { bytes throws(ArchStateError) in
            try Debug.slots(registerSet: bytes, .breakpoints)
        }
        let watchpoints = try sets[.watchpoints].map { bytes throws(ArchStateError) in
            try Debug.slots(registerSet: bytes, .watchpoints)
        }
        let debug = Debug(breakpoints: breakpoints ?? [], watchpoints: watchpoints ?? [])
        if !debug.breakpoints.isEmpty || !debug.watchpoints.isEmpty { self.debug = debug }
    }

    /// The bytes for `PTRACE_SETREGSET`, in the order in which they must be set: general registers first, the call
    /// last. With SVE state there is no FP/SIMD set: setting that would clear the upper parts of the vectors.
    package var registerSets: [(set: ARM64RegisterSet, bytes: [UInt8])] {
        var sets: [(set: ARM64RegisterSet, bytes: [UInt8])] = [(.general, general.registerSet)]
        if let sve {
            sets.append((.sve, sve.registerSet(with: vector ?? Vector())))
        } else {
            sets.append((.vector, (vector ?? Vector()).registerSet))
        }
        if let threadPointer { sets.append((.threadPointer, threadPointer.registerSet)) }
        if let debug {
            if !debug.breakpoints.isEmpty {
                sets.append((.breakpoints, Debug.registerSet(debug.breakpoints)))
            }
            if !debug.watchpoints.isEmpty {
                sets.append((.watchpoints, Debug.registerSet(debug.watchpoints)))
            }
        }
        var call: [UInt8] = []
        call.append(little: general.call)
        sets.append((.systemCall, call))
        return sets
    }

    fileprivate static func require(
        _ bytes: [UInt8], _ set: ARM64RegisterSet, _ sizes: [Int]
    ) throws(ArchStateError) {
        guard sizes.contains(bytes.count) else {
            let names = sizes.map(String.init).joined(separator: " or ")
            throw ArchStateError(.registerSetSize, in: set.feature, detail: "\(bytes.count) bytes, not \(names)")
        }
    }
}

// MARK: - General registers

/// NT_PRSTATUS, `struct user_pt_regs`, 272 bytes; the call is NT_ARM_SYSTEM_CALL's, an i32.
///
///       0  u64  x0 ... x30
///     248  u64  sp, pc, pstate
extension ARM64State.General {
    package static let registerSetSize = 272

    package init(registerSet bytes: [UInt8], call: Int32 = -1) throws(ArchStateError) {
        try ARM64State.require(bytes, .general, [Self.registerSetSize])
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

// MARK: - Vectors

/// NT_PRFPREG, `struct user_fpsimd_state`, 528 bytes.
///
///       0  u8[32][16]  V0 ... V31
///     512  u32  FPSR, FPCR
///     520  u32[2]  reserved, 0
extension ARM64State.Vector {
    package static let registerSetSize = 528

    package init(registerSet bytes: [UInt8]) throws(ArchStateError) {
        try ARM64State.require(bytes, .vector, [Self.registerSetSize])
        registers = bytes.bytes(at: 0, count: 512)
        status = bytes.u32(at: 512)
        control = bytes.u32(at: 516)
    }

    package var registerSet: [UInt8] {
        var bytes = registers
        bytes.append(little: status)
        bytes.append(little: control)
        bytes.append(little: UInt64(0))
        return bytes
    }
}

/// NT_ARM_SVE: `struct user_sve_header`, then a layout that depends on its flags.
///
///       0  u32  size of this set in bytes, u32 greatest possible size
///       8  u16  VL, u16 greatest VL, bytes of a Z register
///      12  u16  flags: bit 0 SVE state is active, bit 1 VL is inherited, bit 2 VL changes at exec
///      14  u16  reserved, 0
///
///     not active: at 16 `struct user_fpsimd_state`, as in NT_PRFPREG
///     active, VQ = VL / 16:
///              16  Z0 ... Z31, VL bytes each
///       16 + 512 VQ  P0 ... P15, VL / 8 bytes each, then FFR
///       16 + 546 VQ  aligned to 16: u32 FPSR, FPCR; the whole is a multiple of 16
///
/// Source: Documentation/arch/arm64/sve.rst, 6; arch/arm64/include/uapi/asm/ptrace.h.
extension ARM64State.SVE {
    static let headerSize = 16
    static let isActive: UInt16 = 1
    static let knownFlags: UInt16 = 7

    /// Where FPSR is, and how long an active set is.
    static func statusOffset(vectorLength: Int) -> Int { (headerSize + size(vectorLength: vectorLength) + 15) & ~15 }
    package static func registerSetSize(vectorLength: Int) -> Int {
        (statusOffset(vectorLength: vectorLength) + 8 + 15) & ~15
    }

    package func registerSet(with vector: ARM64State.Vector) -> [UInt8] {
        let size = Self.registerSetSize(vectorLength: vectorLength)
        var bytes = [UInt8](repeating: 0, count: size)
        bytes.put(UInt32(truncatingIfNeeded: size), at: 0)
        bytes.put(UInt32(truncatingIfNeeded: size), at: 4)
        bytes.put(UInt16(truncatingIfNeeded: vectorLength), at: 8)
        bytes.put(UInt16(truncatingIfNeeded: vectorLength), at: 10)
        bytes.put(Self.isActive, at: 12)
        bytes.put(registers, at: Self.headerSize)
        let status = Self.statusOffset(vectorLength: vectorLength)
        bytes.put(vector.status, at: status)
        bytes.put(vector.control, at: status + 4)
        return bytes
    }

    /// V0 ... V31, which are the low sixteen bytes of the Z registers.
    package var lowVectors: [UInt8] {
        (0..<32).flatMap { registers.bytes(at: $0 * vectorLength, count: 16) }
    }
}

extension ARM64State {
    fileprivate static func parse(sve bytes: [UInt8]) throws(ArchStateError) -> (Vector?, SVE?) {
        guard bytes.count >= SVE.headerSize else {
            throw ArchStateError(.registerSetSize, in: .sve, detail: "\(bytes.count) bytes")
        }
        let size = Int(bytes.u32(at: 0))
        let length = Int(bytes.u16(at: 8))
        let flags = bytes.u16(at: 12)
        try checkVectorLength(length)
        guard flags & ~SVE.knownFlags == 0, bytes.u16(at: 14) == 0, size <= bytes.count else {
            throw ArchStateError(
                .registerSetHeader, in: .sve, detail: "size \(size) of \(bytes.count), flags \(hex(flags))")
        }
        if flags & SVE.isActive == 0 {
            guard size >= SVE.headerSize + Vector.registerSetSize else {
                throw ArchStateError(.registerSetSize, in: .sve, detail: "\(size) bytes without SVE state")
            }
            let set = bytes.bytes(at: SVE.headerSize, count: Vector.registerSetSize)
            return (try Vector(registerSet: set), nil)
        }
        guard size == SVE.registerSetSize(vectorLength: length) else {
            throw ArchStateError(
                .registerSetSize, in: .sve, detail: "\(size) bytes, not \(SVE.registerSetSize(vectorLength: length))")
        }
        let sve = SVE(
            vectorLength: length,
            registers: bytes.bytes(at: SVE.headerSize, count: SVE.size(vectorLength: length)))
        let status = SVE.statusOffset(vectorLength: length)
        var vector = Vector()
        vector.registers = sve.lowVectors
        vector.status = bytes.u32(at: status)
        vector.control = bytes.u32(at: status + 4)
        return (vector, sve)
    }
}

// MARK: - Thread pointer

/// NT_ARM_TLS: u64 TPIDR_EL0, and since Linux 6.3 u64 TPIDR2_EL0.
extension ARM64State.ThreadPointer {
    package init(registerSet bytes: [UInt8]) throws(ArchStateError) {
        try ARM64State.require(bytes, .threadPointer, [8, 16])
        self.init(first: bytes.u64(at: 0), second: bytes.count == 16 ? bytes.u64(at: 8) : 0)
    }

    /// The second register only if it holds something: a kernel that lacks it takes eight bytes.
    package var registerSet: [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(little: first)
        if second != 0 { bytes.append(little: second) }
        return bytes
    }
}

// MARK: - Debug registers

/// NT_ARM_HW_BREAK and NT_ARM_HW_WATCH, `struct user_hwdebug_state`, 264 bytes.
///
///       0  u32  bits 0...7 number of slots, 8...15 version of the debug architecture
///       4  u32  0
///       8  16 x { u64 address, u32 control, u32 0 }
///
/// Only as many slots as the processor has can be written, so empty ones at the end are left out.
extension ARM64State.Debug {
    package static let registerSetSize = 264
    static let slotCount = 16

    package static func slots(
        registerSet bytes: [UInt8], _ set: ARM64RegisterSet
    ) throws(ArchStateError) -> [Slot] {
        try ARM64State.require(bytes, set, [registerSetSize])
        guard bytes.u32(at: 4) == 0 else {
            throw ArchStateError(.registerSetHeader, in: .armDebug, detail: "padding is set")
        }
        var slots = (0..<slotCount).map {
            Slot(address: bytes.u64(at: 8 + $0 * 16), control: bytes.u32(at: 16 + $0 * 16))
        }
        while let last = slots.last, last == Slot(address: 0, control: 0) { slots.removeLast() }
        return slots
    }

    package static func registerSet(_ slots: [Slot]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        for slot in slots {
            bytes.append(little: slot.address)
            bytes.append(little: slot.control)
            bytes.append(little: UInt32(0))
        }
        return bytes
    }
}
