/// Scheduling policies. SCHED_RESET_ON_FORK is a flag beside them.
///
/// - Source: linux/sched.h; sched(7).
package enum SchedulingClass {
    package static let SCHED_NORMAL: UInt32 = 0
    package static let SCHED_OTHER: UInt32 = 0
    package static let SCHED_FIFO: UInt32 = 1
    package static let SCHED_RR: UInt32 = 2
    package static let SCHED_BATCH: UInt32 = 3
    package static let SCHED_ISO: UInt32 = 4
    package static let SCHED_IDLE: UInt32 = 5
    package static let SCHED_DEADLINE: UInt32 = 6
    package static let SCHED_EXT: UInt32 = 7
    package static let SCHED_RESET_ON_FORK: UInt32 = 1073741824
}

/// `sched_flags` of sched_setattr(2).
///
/// - Source: linux/sched.h.
package enum SchedulingFlag {
    package static let SCHED_FLAG_RESET_ON_FORK: UInt64 = 1
    package static let SCHED_FLAG_RECLAIM: UInt64 = 2
    package static let SCHED_FLAG_DL_OVERRUN: UInt64 = 4
    package static let SCHED_FLAG_KEEP_POLICY: UInt64 = 8
    package static let SCHED_FLAG_KEEP_PARAMS: UInt64 = 0x10
    package static let SCHED_FLAG_UTIL_CLAMP_MIN: UInt64 = 0x20
    package static let SCHED_FLAG_UTIL_CLAMP_MAX: UInt64 = 0x40
}

/// Subjects and classes of ioprio_set(2).
///
/// - Source: linux/ioprio.h.
package enum IOPriority {
    package static let IOPRIO_WHO_PROCESS: UInt64 = 1
    package static let IOPRIO_WHO_PGRP: UInt64 = 2
    package static let IOPRIO_WHO_USER: UInt64 = 3
    package static let IOPRIO_CLASS_SHIFT: UInt64 = 13
    package static let IOPRIO_CLASS_NONE: UInt64 = 0
    package static let IOPRIO_CLASS_RT: UInt64 = 1
    package static let IOPRIO_CLASS_BE: UInt64 = 2
    package static let IOPRIO_CLASS_IDLE: UInt64 = 3
}
