/// The general registers of an x86 thread: integer registers, instruction pointer, flags, segments.
///
/// `originalRAX` is the number of the system call that the thread is in, or -1: the kernel decides by
/// it whether a call is restarted.
package struct X86GeneralRegisters: Equatable, Sendable {
    package var rax: UInt64 = 0
    package var rbx: UInt64 = 0
    package var rcx: UInt64 = 0
    package var rdx: UInt64 = 0
    package var rsi: UInt64 = 0
    package var rdi: UInt64 = 0
    package var rbp: UInt64 = 0
    package var rsp: UInt64 = 0
    package var r8: UInt64 = 0
    package var r9: UInt64 = 0
    package var r10: UInt64 = 0
    package var r11: UInt64 = 0
    package var r12: UInt64 = 0
    package var r13: UInt64 = 0
    package var r14: UInt64 = 0
    package var r15: UInt64 = 0
    package var rip: UInt64 = 0
    package var flags: UInt64 = X86GeneralRegisters.fixedFlags
    package var originalRAX: UInt64 = .max
    package var cs: X86Segment = .userCode64
    package var ss: X86Segment = .userData
    package var ds: X86Segment = .null
    package var es: X86Segment = .null
    package var fs: X86Segment = .null
    package var gs: X86Segment = .null
    package var fsBase: UInt64 = 0
    package var gsBase: UInt64 = 0

    package init() {}

    /// Flags that a program can set by itself: CF PF AF ZF SF TF DF OF NT RF AC ID.
    package static let userFlags: UInt64 = 0x254dd5
    /// Flags that are set whenever a program runs: IF and bit 1.
    package static let fixedFlags: UInt64 = 0x202
    /// First address after user space with four-level page tables (`TASK_SIZE_MAX`).
    package static let userSpaceEnd: UInt64 = 0x7fff_ffff_f000
    /// First address after user space of a 32-bit task.
    package static let userSpaceEnd32: UInt64 = 0xffff_e000
}

// MARK: - Register set

/// What `PTRACE_GETREGSET(NT_PRSTATUS)` gives: 27 u64 of `struct user_regs_struct`.
///
///     0 r15     5 rbx    10 rax    15 orig_rax  20 ss       25 fs
///     1 r14     6 r11    11 rcx    16 rip       21 fs_base  26 gs
///     2 r13     7 r10    12 rdx    17 cs        22 gs_base
///     3 r12     8 r9     13 rsi    18 eflags    23 ds
///     4 rbp     9 r8     14 rdi    19 rsp       24 es
///
/// Source: arch/x86/include/asm/user_64.h.
extension X86GeneralRegisters {
    package static let registerSetSize = 27 * 8

    /// Reads the register set of a stopped 64-bit thread, or the 64-bit view (`PTRACE_GETREGS`) of a
    /// 32-bit one. Refuses selectors that no program can have; other rules are those of `CPUState`.
    package init(registerSet bytes: [UInt8]) throws(ArchStateError) {
        guard bytes.count == Self.registerSetSize else {
            throw ArchStateError(.registerSetSize, in: .x86General, detail: "\(bytes.count) bytes, not 216")
        }
        func word(_ index: Int) -> UInt64 { bytes.u64(at: index * 8) }
        func segment(_ index: Int, _ name: String) throws(ArchStateError) -> X86Segment {
            guard let segment = X86Segment(selector: word(index)) else {
                throw ArchStateError(.unknownSelector, in: .x86General, detail: "\(name) is \(hex(word(index)))")
            }
            return segment
        }
        r15 = word(0)
        r14 = word(1)
        r13 = word(2)
        r12 = word(3)
        rbp = word(4)
        rbx = word(5)
        r11 = word(6)
        r10 = word(7)
        r9 = word(8)
        r8 = word(9)
        rax = word(10)
        rcx = word(11)
        rdx = word(12)
        rsi = word(13)
        rdi = word(14)
        originalRAX = word(15)
        rip = word(16)
        cs = try segment(17, "cs")
        flags = word(18)
        rsp = word(19)
        ss = try segment(20, "ss")
        fsBase = word(21)
        gsBase = word(22)
        ds = try segment(23, "ds")
        es = try segment(24, "es")
        fs = try segment(25, "fs")
        gs = try segment(26, "gs")
    }

    /// The bytes for `PTRACE_SETREGSET(NT_PRSTATUS)`, or for `PTRACE_SETREGS` of a 32-bit task.
    package var registerSet: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.registerSetSize)
        for word in [
            r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, originalRAX, rip,
            cs.selector, flags, rsp, ss.selector, fsBase, gsBase,
            ds.selector, es.selector, fs.selector, gs.selector,
        ] {
            bytes.append(little: word)
        }
        return bytes
    }
}

// MARK: - Records

/// Record `x86General`, 168 bytes, little-endian:
///
///       0  u32  version = 1
///       4  u16  cs ss ds es fs gs          symbols of `X86Segment`
///      16  u64  rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15
///     144  u64  rip
///     152  u64  rflags                     IF and bit 1 set, IOPL 0
///     160  u64  orig_rax                   number of the system call the thread is in, or -1
///
/// Record `x86Bases`, 20 bytes, present if one of them is not 0:
///
///       0  u32  version = 1
///       4  u64  fs base
///      12  u64  gs base
///
/// Source: Intel SDM volume 1, 3.4; arch/x86/include/asm/user_64.h.
extension X86GeneralRegisters {
    static let recordSize = 168
    static let basesRecordSize = 20

    var record: [UInt8] {
        var body = recordVersion
        body.reserveCapacity(Self.recordSize)
        for segment in [cs, ss, ds, es, fs, gs] { body.append(little: segment.symbol) }
        for word in [
            rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, flags, originalRAX,
        ] {
            body.append(little: word)
        }
        return body
    }

    var basesRecord: [UInt8]? {
        if fsBase == 0 && gsBase == 0 { return nil }
        var body = recordVersion
        body.append(little: fsBase)
        body.append(little: gsBase)
        return body
    }

    init(record: [UInt8], bases: [UInt8]?) throws(ArchStateError) {
        var reader = try RecordReader(record, of: .x86General, size: Self.recordSize)
        func segment(_ name: String) throws(ArchStateError) -> X86Segment {
            let symbol = reader.u16()
            guard let segment = X86Segment(symbol: symbol) else {
                throw ArchStateError(.segmentRange, in: .x86General, detail: "\(name) is symbol \(hex(symbol))")
            }
            return segment
        }
        cs = try segment("cs")
        ss = try segment("ss")
        ds = try segment("ds")
        es = try segment("es")
        fs = try segment("fs")
        gs = try segment("gs")
        rax = reader.u64()
        rbx = reader.u64()
        rcx = reader.u64()
        rdx = reader.u64()
        rsi = reader.u64()
        rdi = reader.u64()
        rbp = reader.u64()
        rsp = reader.u64()
        r8 = reader.u64()
        r9 = reader.u64()
        r10 = reader.u64()
        r11 = reader.u64()
        r12 = reader.u64()
        r13 = reader.u64()
        r14 = reader.u64()
        r15 = reader.u64()
        rip = reader.u64()
        flags = reader.u64()
        originalRAX = reader.u64()
        if let bases {
            var reader = try RecordReader(bases, of: .x86Bases, size: Self.basesRecordSize)
            fsBase = reader.u64()
            gsBase = reader.u64()
            if fsBase == 0 && gsBase == 0 { throw ArchStateError(.notInUse, in: .x86Bases) }
        }
    }
}

// MARK: - Rules

extension X86GeneralRegisters {
    /// Whether the thread runs 32-bit code.
    package var is32Bit: Bool { cs == .userCode32 }

    func validate() throws(ArchStateError) {
        if flags & ~(Self.userFlags | Self.fixedFlags) != 0 {
            throw ArchStateError(.privilegedFlags, in: .x86General, detail: "rflags is \(hex(flags))")
        }
        if flags & Self.fixedFlags != Self.fixedFlags {
            throw ArchStateError(.fixedFlags, in: .x86General, detail: "rflags is \(hex(flags))")
        }
        for (name, segment) in [("cs", cs), ("ss", ss), ("ds", ds), ("es", es), ("fs", fs), ("gs", gs)]
        where !segment.isInRange {
            throw ArchStateError(.segmentRange, in: .x86General, detail: "\(name) is \(segment)")
        }
        switch cs {
        case .userCode64, .userCode32, .ldt: break
        case .null: throw ArchStateError(.nullCodeSegment, in: .x86General)
        case .userData, .tls: throw ArchStateError(.codeSegment, in: .x86General, detail: "cs is \(cs)")
        }
        switch ss {
        case .userData, .tls, .ldt: break
        case .null, .userCode64, .userCode32:
            throw ArchStateError(.stackSegment, in: .x86General, detail: "ss is \(ss)")
        }
        if rip >= (cs == .userCode64 ? Self.userSpaceEnd : Self.userSpaceEnd32) {
            throw ArchStateError(.instructionPointer, in: .x86General, detail: "rip is \(hex(rip))")
        }
        for (name, base) in [("fs", fsBase), ("gs", gsBase)] where base >= Self.userSpaceEnd {
            throw ArchStateError(.basePointer, in: .x86Bases, detail: "\(name) base is \(hex(base))")
        }
    }
}
