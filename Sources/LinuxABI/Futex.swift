/// Flags of rseq(2).
///
/// - Source: linux/rseq.h.
package enum Rseq {
    package static let RSEQ_FLAG_UNREGISTER: UInt64 = 1
}

/// `cpu_id` of an rseq area that is not in use.
///
/// - Source: linux/rseq.h.
package enum RseqCPU {
    package static let RSEQ_CPU_ID_UNINITIALIZED: UInt32 = 0xffff_ffff
    package static let RSEQ_CPU_ID_REGISTRATION_FAILED: UInt32 = 0xffff_fffe
}

/// Operations of futex(2), and the flags beside them.
///
/// - Source: linux/futex.h.
package enum Futex {
    package static let FUTEX_WAIT: UInt64 = 0
    package static let FUTEX_WAKE: UInt64 = 1
    package static let FUTEX_FD: UInt64 = 2
    package static let FUTEX_REQUEUE: UInt64 = 3
    package static let FUTEX_CMP_REQUEUE: UInt64 = 4
    package static let FUTEX_WAKE_OP: UInt64 = 5
    package static let FUTEX_LOCK_PI: UInt64 = 6
    package static let FUTEX_UNLOCK_PI: UInt64 = 7
    package static let FUTEX_TRYLOCK_PI: UInt64 = 8
    package static let FUTEX_WAIT_BITSET: UInt64 = 9
    package static let FUTEX_WAKE_BITSET: UInt64 = 10
    package static let FUTEX_WAIT_REQUEUE_PI: UInt64 = 11
    package static let FUTEX_CMP_REQUEUE_PI: UInt64 = 12
    package static let FUTEX_LOCK_PI2: UInt64 = 13
    package static let FUTEX_PRIVATE_FLAG: UInt64 = 0x80
    package static let FUTEX_CLOCK_REALTIME: UInt64 = 0x100
    package static let FUTEX_CMD_MASK: UInt64 = 0xffff_ffff_ffff_fe7f
}

/// Bits of a lock word of a robust or priority-inheriting futex.
///
/// - Source: linux/futex.h.
package enum FutexWord {
    package static let FUTEX_WAITERS: UInt32 = 0x8000_0000
    package static let FUTEX_OWNER_DIED: UInt32 = 0x4000_0000
    package static let FUTEX_TID_MASK: UInt32 = 0x3fff_ffff
    package static let FUTEX_BITSET_MATCH_ANY: UInt32 = 0xffff_ffff
}
