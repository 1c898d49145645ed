/// The bytes of `PTRACE_GETREGSET(NT_X86_XSTATE)` and `PTRACE_SETREGSET`, either way.
///
///       0  legacy area, as FXSAVE64 writes it
///            0 u16 FCW   2 u16 FSW   4 u8 FTW   6 u16 FOP   8 u64 FIP   16 u64 FDP
///           24 u32 MXCSR   28 u32 MXCSR_MASK
///           32 u8[8][16]  ST0 ... ST7, ten bytes each used
///          160 u8[16][16] XMM0 ... XMM15
///          416 reserved
///          464 u64[6] for software; the kernel puts XCR0 into the first
///     512  u64 XSTATE_BV: components not in their initial state
///     520  u64 XCOMP_BV: bit 63 = compacted, the others = components present
///     528  reserved, 0
///     576  components, at the offsets of `XSaveLayout`
///
/// The kernel always gives and takes the standard format; the compacted one is read too, since other
/// sources (core files of some kernels, raw `XSAVEC` areas) have it.
/// Source: Intel SDM volume 1, 13.4; arch/x86/kernel/fpu/xstate.c.
extension X86ExtendedState {
    private static let componentBits = 512
    private static let compactionBits = 520
    private static let isCompacted: UInt64 = 1 << 63

    /// Takes from a register set what is in use.
    ///
    /// - A component that this version cannot record is refused by number, never dropped.
    /// - Reserved bits that the processor ignores are cleared.
    package init(registerSet bytes: [UInt8], layout: XSaveLayout) throws(ArchStateError) {
        self.init()
        guard bytes.count >= XSaveLayout.firstComponentOffset, bytes.count <= XSaveLayout.largestSize else {
            throw ArchStateError(.registerSetSize, detail: "\(bytes.count) bytes of extended state")
        }
        let present = bytes.u64(at: Self.componentBits)
        let compaction = bytes.u64(at: Self.compactionBits)
        let compacted = compaction & Self.isCompacted != 0
        guard bytes[528..<576].allSatisfy({ $0 == 0 }), compacted || compaction == 0,
            !compacted || present & ~compaction == 0
        else {
            throw ArchStateError(
                .registerSetHeader, detail: "XSTATE_BV \(hex(present)), XCOMP_BV \(hex(compaction))")
        }
        let offsets = compacted ? try layout.compactedOffsets(compaction) : nil

        if present & 1 != 0 {
            let x87 = X87(legacyArea: bytes)
            if x87 != X87() { self.x87 = x87 }
        }
        // MXCSR is not governed by XSTATE_BV in the standard format.
        var sse = SSE()
        if present & 2 != 0 { sse.registers = bytes.bytes(at: 160, count: 256) }
        if present & 2 != 0 || !compacted { sse.control = bytes.u32(at: 24) }
        if sse != SSE() { self.sse = sse }

        for number in 2..<63 where present & 1 << UInt64(number) != 0 {
            guard let component = layout.components.first(where: { $0.number == number }) else {
                throw ArchStateError(.unknownComponent, detail: "component \(number)")
            }
            let offset = offsets?[number] ?? component.offset
            guard offset + component.size <= bytes.count else {
                throw ArchStateError(
                    .registerSetSize, detail: "component \(number) ends at \(offset + component.size) of \(bytes.count)"
                )
            }
            let block = bytes.bytes(at: offset, count: component.size)
            guard let feature = Self.feature(ofComponent: number) else {
                if block.isZero { continue }
                throw ArchStateError(.unknownComponent, detail: "component \(number)")
            }
            if !Self.isInitial(block, of: feature) { blocks[feature] = block }
        }
        // The processor's initial PKRU is 0, which allows everything. In an image, no record means the kernel's default
        // instead, so a PKRU in the processor's initial state is recorded as 0.
        if let component = layout.component(of: .protectionKeys), present & 1 << 9 == 0 {
            var block = [UInt8](repeating: 0, count: 8)
            if !compacted, component.offset + component.size <= bytes.count {
                block = bytes.bytes(at: component.offset, count: component.size)
            }
            if !Self.isInitial(block, of: .protectionKeys) { blocks[.protectionKeys] = block }
        }
    }

    /// Lays the state out for this host.
    ///
    /// - Parameter layout: the restoring host's.
    /// - Parameter size: bytes of the host's register set, as `PTRACE_GETREGSET` gave it for any thread;
    ///   the kernel takes no other size.
    /// - AMX: the kernel refuses tile data (`EINVAL`) unless the thread's process has asked for them by
    ///   `arch_prctl(ARCH_REQ_XCOMP_PERM)`.
    /// - Throws: `notOffered` with the feature that this processor lacks.
    package func registerSet(layout: XSaveLayout, size: Int) throws(ArchStateError) -> [UInt8] {
        for feature in features.features where !layout.features.contains(feature) {
            throw ArchStateError(.notOffered, in: feature)
        }
        guard size >= XSaveLayout.firstComponentOffset, size <= XSaveLayout.largestSize else {
            throw ArchStateError(.registerSetSize, detail: "\(size) bytes of extended state")
        }
        var bytes = [UInt8](repeating: 0, count: size)
        var present: UInt64 = 0

        bytes.put((x87 ?? X87()).legacyArea, at: 0)
        if x87 != nil { present |= 1 }
        bytes.put((sse ?? SSE()).control, at: 24)
        bytes.put(Self.mxcsrMask, at: 28)
        if let sse {
            bytes.put(sse.registers, at: 160)
            present |= 2
        }
        var blocks = blocks
        if layout.features.contains(.protectionKeys), blocks[.protectionKeys] == nil {
            var block = [UInt8](repeating: 0, count: 8)
            block.put(Self.initialPKRU, at: 0)
            blocks[.protectionKeys] = block
        }
        for (feature, block) in blocks {
            guard let component = layout.component(of: feature) else {
                throw ArchStateError(.notOffered, in: feature)
            }
            guard block.count == component.size, component.offset + component.size <= size else {
                throw ArchStateError(
                    .registerSetSize, in: feature, detail: "ends at \(component.offset + block.count) of \(size)")
            }
            bytes.put(block, at: component.offset)
            present |= 1 << UInt64(component.number)
        }
        bytes.put(layout.enabled, at: Self.softwareReserved)
        bytes.put(present, at: Self.componentBits)
        return bytes
    }
}

extension X86ExtendedState.X87 {
    fileprivate init(legacyArea bytes: [UInt8]) {
        control = bytes.u16(at: 0) & X86ExtendedState.x87ControlMask | 0x40
        status = bytes.u16(at: 2)
        tags = bytes[4]
        opcode = bytes.u16(at: 6) & X86ExtendedState.x87OpcodeMask
        instruction = bytes.u64(at: 8)
        operand = bytes.u64(at: 16)
        for register in 0..<8 {
            registers.put(bytes.bytes(at: 32 + register * 16, count: 10), at: register * 10)
        }
    }

    fileprivate var legacyArea: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 160)
        bytes.put(control, at: 0)
        bytes.put(status, at: 2)
        bytes[4] = tags
        bytes.put(opcode, at: 6)
        bytes.put(instruction, at: 8)
        bytes.put(operand, at: 16)
        for register in 0..<8 {
            bytes.put(registers.bytes(at: register * 10, count: 10), at: 32 + register * 16)
        }
        return bytes
    }
}
