/// Registers as text for `crimage`, for an image of any architecture on any host.
extension AnyCPUState {
    package struct Register: Equatable, Sendable {
        package var name: String
        package var text: String

        init(_ name: String, _ text: String) {
            self.name = name
            self.text = text
        }
    }

    /// The registers of one feature.
    package struct Bank: Equatable, Sendable {
        package var feature: CPUFeature
        package var registers: [Register]
    }

    /// One bank for each feature in use, by number: flags by their letters, segments and calls by name.
    package var banks: [Bank] {
        features.features.map { feature in
            switch self {
            case .x86(let state): Bank(feature: feature, registers: state.text(of: feature))
            case .arm64(let state): Bank(feature: feature, registers: state.text(of: feature))
            case .powerpc(let state): Bank(feature: feature, registers: state.text(of: feature))
            }
        }
    }

    /// The general registers but for those that have a meaning of their own.
    fileprivate static func plain(_ state: AnyCPUState, but names: Set<String>) -> [Register] {
        state.registers.filter { !names.contains($0.name) }.map { Register($0.name, hex($0.value)) }
    }
}

private typealias Register = AnyCPUState.Register

/// A value with the names of the bits that are set, e.g. `0x246 PF ZF IF`.
private func flags(_ value: UInt64, _ names: [(bit: Int, name: String)]) -> String {
    let set = names.filter { value & 1 << UInt64($0.bit) != 0 }.map(\.name)
    return ([hex(value)] + set).joined(separator: " ")
}

/// Bytes in memory order as one number, most significant digit first.
private func wide(_ bytes: some BidirectionalCollection<UInt8>) -> String {
    "0x" + bytes.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Registers of `size` bytes side by side; those that are all zero are left out.
private func vectors(_ bytes: [UInt8], size: Int, name: (Int) -> String) -> [Register] {
    (0..<bytes.count / size).compactMap { index in
        let bytes = bytes[index * size..<(index + 1) * size]
        return bytes.allSatisfy { $0 == 0 } ? nil : Register(name(index), wide(bytes))
    }
}

// MARK: - x86

extension X86Segment {
    /// E.g. `64-bit user code`.
    package var text: String {
        switch self {
        case .null: "null"
        case .userCode64: "64-bit user code"
        case .userCode32: "32-bit user code"
        case .userData: "user data"
        case .tls(let index): "TLS descriptor \(index)"
        case .ldt(let index): "LDT entry \(index)"
        }
    }
}

extension CPUState {
    private static let flagNames = [
        (0, "CF"), (2, "PF"), (4, "AF"), (6, "ZF"), (7, "SF"), (8, "TF"), (9, "IF"), (10, "DF"), (11, "OF"),
        (14, "NT"), (16, "RF"), (18, "AC"), (21, "ID"),
    ]

    fileprivate func text(of feature: CPUFeature) -> [AnyCPUState.Register] {
        switch feature {
        case .x86General: return generalText
        case .x86Bases: return [Register("fs_base", hex(general.fsBase)), Register("gs_base", hex(general.gsBase))]
        case .x87: return extended.x87?.text ?? []
        case .sse:
            guard let sse = extended.sse else { return [] }
            return [Register("mxcsr", hex(sse.control))] + vectors(sse.registers, size: 16) { "xmm\($0)" }
        case .x86Debug: return debug?.text ?? []
        case .x86Segments:
            return (tls?.descriptors ?? []).enumerated().filter { !$0.element.isEmpty }.map { index, one in
                let unit = one.flags & 1 << 4 != 0 ? "pages" : "bytes"
                let access = one.flags & 1 << 3 != 0 ? "read-only" : "writable"
                return Register("tls\(index)", "base \(hex(one.base)), limit \(hex(one.limit)) \(unit), \(access) data")
            }
        case .x86ShadowStack:
            guard let shadowStack else { return [] }
            return [
                Register("ssp", hex(shadowStack.pointer)),
                Register("status", flags(shadowStack.features, [(0, "SHSTK"), (1, "WRSS")])),
            ]
        default: return blockText(of: feature)
        }
    }

    private var generalText: [AnyCPUState.Register] {
        let call = general.callNumber.map {
            general.is32Bit ? "i386 call \($0)" : "\($0) \(SystemCallNumbers.label($0))"
        }
        let segments = [
            ("cs", general.cs), ("ss", general.ss), ("ds", general.ds), ("es", general.es), ("fs", general.fs),
            ("gs", general.gs),
        ]
        return AnyCPUState.plain(.x86(self), but: ["rflags", "orig_rax", "fs_base", "gs_base"])
            + [Register("rflags", flags(general.flags, Self.flagNames)), Register("call", call ?? "none")]
            + segments.map { Register($0.0, $0.1.text) }
    }

    private func blockText(of feature: CPUFeature) -> [AnyCPUState.Register] {
        guard let block = extended.blocks[feature] else { return [] }
        switch feature {
        case .avx: return vectors(block, size: 16) { "ymm\($0)_high" }
        case .avx512Mask: return vectors(block, size: 8) { "k\($0)" }
        case .avx512Upper: return vectors(block, size: 32) { "zmm\($0)_high" }
        case .avx512High: return vectors(block, size: 64) { "zmm\($0 + 16)" }
        case .protectionKeys: return [Register("pkru", hex(block.u32(at: 0)))]
        case .amxConfiguration:
            return [Register("palette", "\(block[0])"), Register("start_row", "\(block[1])")]
                + (0..<8).filter { block[48 + $0] != 0 }.map {
                    Register("tmm\($0)", "\(block[48 + $0]) rows of \(block.u16(at: 16 + $0 * 2)) bytes")
                }
        case .amxData: return vectors(block, size: 64) { "tmm\($0 / 16)[\($0 % 16)]" }
        case .apx: return vectors(block, size: 8) { "r\($0 + 16)" }
        default: return []
        }
    }
}

extension X86ExtendedState.X87 {
    fileprivate var text: [AnyCPUState.Register] {
        [
            Register("fcw", hex(control)), Register("fsw", hex(status)), Register("ftw", hex(tags)),
            Register("fop", hex(opcode)), Register("fip", hex(instruction)), Register("fdp", hex(operand)),
        ] + vectors(registers, size: 10) { "st\($0)" }
    }
}

extension X86DebugRegisters {
    fileprivate var text: [AnyCPUState.Register] {
        addresses.enumerated().map { index, address in
            let enables = control >> UInt64(index * 2) & 3
            if enables == 0 { return Register("dr\(index)", "\(hex(address)) off") }
            let kind = ["execute", "write", "I/O", "read or write"][Int(control >> UInt64(16 + index * 4) & 3)]
            let length = [1, 2, 8, 4][Int(control >> UInt64(18 + index * 4) & 3)]
            return Register("dr\(index)", "\(hex(address)) \(kind), \(length) bytes")
        } + [Register("dr6", hex(status)), Register("dr7", hex(control))]
    }
}

// MARK: - aarch64

extension ARM64State {
    private static let stateNames = [
        (31, "N"), (30, "Z"), (29, "C"), (28, "V"), (25, "TCO"), (24, "DIT"), (12, "SSBS"), (11, "BTYPE1"),
        (10, "BTYPE0"),
    ]

    fileprivate func text(of feature: CPUFeature) -> [AnyCPUState.Register] {
        switch feature {
        case .armGeneral:
            let number = Int(general.call)
            return AnyCPUState.plain(.arm64(self), but: ["pstate"]) + [
                Register("pstate", flags(general.pstate, Self.stateNames)),
                Register("orig_x0", hex(general.originalX0)),
                Register("call", number < 0 ? "none" : "\(number) \(SystemCallNumbers.ARM64.label(number))"),
            ]
        case .armVector:
            guard let vector else { return [] }
            return [Register("fpsr", hex(vector.status)), Register("fpcr", hex(vector.control))]
                + vectors(vector.registers, size: 16) { "v\($0)" }
        case .sve:
            guard let sve else { return [] }
            let length = sve.vectorLength
            let predicates = Array(sve.registers[(32 * length)...])
            return [Register("vl", "\(length) bytes")]
                + vectors(Array(sve.registers[..<(32 * length)]), size: length) { "z\($0)" }
                + vectors(predicates, size: length / 8) { $0 < 16 ? "p\($0)" : "ffr" }
        case .armThreadPointer:
            return [
                Register("tpidr_el0", hex(threadPointer?.first ?? 0)),
                Register("tpidr2_el0", hex(threadPointer?.second ?? 0)),
            ]
        case .armDebug:
            guard let debug else { return [] }
            return debug.breakpoints.enumerated().map { Register("break\($0.offset)", $0.element.text) }
                + debug.watchpoints.enumerated().map { Register("watch\($0.offset)", $0.element.text) }
        default: return []
        }
    }
}

extension ARM64State.Debug.Slot {
    fileprivate var text: String {
        if control & 1 == 0 { return "\(hex(address)) off" }
        let kind = ["execute", "read", "write", "read or write"][Int(control >> 3 & 3)]
        return "\(hex(address)) \(kind), bytes \(hex(control >> 5 & 0xff))"
    }
}

// MARK: - powerpc

extension PowerPCState {
    private static let stateNames = [(11, "FE0"), (10, "SE"), (9, "BE"), (8, "FE1"), (0, "LE")]

    fileprivate func text(of feature: CPUFeature) -> [AnyCPUState.Register] {
        switch feature {
        case .powerGeneral:
            return AnyCPUState.plain(.powerpc(self), but: ["msr"]) + [
                Register("msr", flags(general.msr, Self.stateNames)),
                Register("width", general.is64Bit ? "64 bits" : "32 bits"),
            ]
        case .powerFloat:
            guard let float else { return [] }
            return [Register("fpscr", hex(float.status))]
                + float.registers.enumerated().filter { $0.element != 0 }.map {
                    Register("f\($0.offset)", hex($0.element))
                }
        case .altivec:
            guard let altivec else { return [] }
            // Most significant byte first in the record.
            let registers: [AnyCPUState.Register] = (0..<32).compactMap { index in
                let bytes = altivec.registers[index * 16..<index * 16 + 16]
                return bytes.allSatisfy { $0 == 0 } ? nil : Register("vr\(index)", wide(bytes.reversed()))
            }
            return [Register("vscr", hex(altivec.status)), Register("vrsave", hex(altivec.save))] + registers
        case .vsx:
            return (vsx ?? []).enumerated().filter { $0.element != 0 }.map {
                Register("vsr\($0.offset)_low", hex($0.element))
            }
        case .spe:
            guard let spe else { return [] }
            return [Register("acc", hex(spe.accumulator)), Register("spefscr", hex(spe.status))]
                + spe.upper.enumerated().filter { $0.element != 0 }.map {
                    Register("r\($0.offset)_high", hex($0.element))
                }
        case .powerDebug:
            guard let debug else { return [] }
            return [Register("dabr", hex(debug.dabr))]
                + debug.breakpoints.enumerated().map { Register("break\($0.offset)", $0.element.text) }
        default: return []
        }
    }
}

extension PowerPCState.Breakpoint {
    fileprivate var text: String {
        let kind = [1: "execute", 2: "read", 4: "write", 6: "read or write"][trigger] ?? hex(trigger)
        let place: String =
            switch addressMode {
            case 0: hex(address)
            case 1: "\(hex(address)) up to \(hex(end))"
            case 2: "outside of \(hex(address)) up to \(hex(end))"
            default: "\(hex(address)) under mask \(hex(end))"
            }
        return "\(place) \(kind)" + (conditionMode == 0 ? "" : ", if \(hex(value)) (mode \(hex(conditionMode)))")
    }
}
