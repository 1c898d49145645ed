/// Modes, operations and flags of seccomp(2).
///
/// - Source: linux/seccomp.h.
package enum Seccomp {
    package static let SECCOMP_MODE_DISABLED: UInt64 = 0
    package static let SECCOMP_MODE_STRICT: UInt64 = 1
    package static let SECCOMP_MODE_FILTER: UInt64 = 2
    package static let SECCOMP_SET_MODE_STRICT: UInt64 = 0
    package static let SECCOMP_SET_MODE_FILTER: UInt64 = 1
    package static let SECCOMP_GET_ACTION_AVAIL: UInt64 = 2
    package static let SECCOMP_GET_NOTIF_SIZES: UInt64 = 3
    package static let SECCOMP_FILTER_FLAG_TSYNC: UInt64 = 1
    package static let SECCOMP_FILTER_FLAG_LOG: UInt64 = 2
    package static let SECCOMP_FILTER_FLAG_SPEC_ALLOW: UInt64 = 4
    package static let SECCOMP_FILTER_FLAG_NEW_LISTENER: UInt64 = 8
    package static let SECCOMP_FILTER_FLAG_TSYNC_ESRCH: UInt64 = 16
    package static let SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: UInt64 = 32
}

/// What a filter answers; the lower half is data.
///
/// - Source: linux/seccomp.h.
package enum SeccompAction {
    package static let SECCOMP_RET_KILL_PROCESS: UInt32 = 0x8000_0000
    package static let SECCOMP_RET_KILL_THREAD: UInt32 = 0
    package static let SECCOMP_RET_TRAP: UInt32 = 0x3_0000
    package static let SECCOMP_RET_ERRNO: UInt32 = 0x5_0000
    package static let SECCOMP_RET_USER_NOTIF: UInt32 = 0x7fc0_0000
    package static let SECCOMP_RET_TRACE: UInt32 = 0x7ff0_0000
    package static let SECCOMP_RET_LOG: UInt32 = 0x7ffc_0000
    package static let SECCOMP_RET_ALLOW: UInt32 = 0x7fff_0000
    package static let SECCOMP_RET_ACTION_FULL: UInt32 = 0xffff_0000
    package static let SECCOMP_RET_DATA: UInt32 = 0xffff
}

/// The architecture by whose table a call is made, as `struct seccomp_data` tells it.
///
/// - Source: linux/audit.h.
package enum AuditArchitecture {
    package static let AUDIT_ARCH_X86_64: UInt32 = 0xc000_003e
    package static let AUDIT_ARCH_I386: UInt32 = 0x4000_0003
    package static let AUDIT_ARCH_AARCH64: UInt32 = 0xc000_00b7
}

/// Parts of the operation codes of classic BPF, which filters of seccomp(2) and of sockets are written in.
///
/// - Source: linux/bpf_common.h, linux/filter.h.
package enum ClassicBPF {
    // Classes.
    package static let BPF_LD: UInt16 = 0x00
    package static let BPF_LDX: UInt16 = 0x01
    package static let BPF_ST: UInt16 = 0x02
    package static let BPF_STX: UInt16 = 0x03
    package static let BPF_ALU: UInt16 = 0x04
    package static let BPF_JMP: UInt16 = 0x05
    package static let BPF_RET: UInt16 = 0x06
    package static let BPF_MISC: UInt16 = 0x07
    // Where a load takes its value from.
    package static let BPF_IMM: UInt16 = 0x00
    package static let BPF_ABS: UInt16 = 0x20
    package static let BPF_MEM: UInt16 = 0x60
    package static let BPF_LEN: UInt16 = 0x80
    // Arithmetic.
    package static let BPF_ADD: UInt16 = 0x00
    package static let BPF_SUB: UInt16 = 0x10
    package static let BPF_MUL: UInt16 = 0x20
    package static let BPF_DIV: UInt16 = 0x30
    package static let BPF_OR: UInt16 = 0x40
    package static let BPF_AND: UInt16 = 0x50
    package static let BPF_LSH: UInt16 = 0x60
    package static let BPF_RSH: UInt16 = 0x70
    package static let BPF_NEG: UInt16 = 0x80
    package static let BPF_XOR: UInt16 = 0xa0
    // Jumps.
    package static let BPF_JA: UInt16 = 0x00
    package static let BPF_JEQ: UInt16 = 0x10
    package static let BPF_JGT: UInt16 = 0x20
    package static let BPF_JGE: UInt16 = 0x30
    package static let BPF_JSET: UInt16 = 0x40
    // The other operand, or the value that is returned.
    package static let BPF_K: UInt16 = 0x00
    package static let BPF_X: UInt16 = 0x08
    package static let BPF_A: UInt16 = 0x10
    // Copies between the two registers.
    package static let BPF_TAX: UInt16 = 0x00
    package static let BPF_TXA: UInt16 = 0x80
    /// The longest program.
    package static let BPF_MAXINSNS: Int = 4096
    /// Words of memory.
    package static let BPF_MEMWORDS: Int = 16
}
