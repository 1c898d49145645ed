internal import Glibc
internal import LinuxABI

/// Values of a process that only system calls of its own would tell, read from the kernel's memory instead: for processes that may not
/// make these calls.
///
/// What the running kernel's structures do not have in the known form is nil.
///
/// - Source: include/linux/sched/signal.h, `struct signal_struct`; include/linux/mm_types.h, `struct mm_struct`.
package struct ProcessFacts: Sendable {
    /// An interval timer that runs.
    package struct Timer: Equatable, Sendable {
        /// Nanoseconds.
        package var interval: Int64
        /// The point in time at which it ends: on the host's monotonic clock, or on the process's own clock of processor time; 0: it
        /// has ended.
        package var end: Int64
    }

    /// `struct k_sigaction` of the signals 1...64: handler, flags, restorer, mask.
    package var actions: [[UInt64]]?
    /// PR_GET_DUMPABLE
    package var dumpable: UInt32?
    /// PR_GET_CHILD_SUBREAPER
    package var isSubreaper: Bool?
    package var currentBreak: UInt64?
    /// ITIMER_REAL; nil: it does not run.
    package var realTimer: Timer?
    package var knowsRealTimer = false
    /// Whether ITIMER_VIRTUAL or ITIMER_PROF run.
    package var hasProcessorTimers: Bool?
    /// Mappings to come are locked: at once, on their first use.
    package var locksToCome: (atOnce: Bool, onUse: Bool)?
    /// None of PR_GET_MDWE, PR_GET_THP_DISABLE and PR_GET_MEMORY_MERGE says anything but 0.
    package var hasPlainMemory: Bool?
    package var hasLocalDescriptors: Bool?
    /// MEMBARRIER_CMD_GET_REGISTRATIONS
    package var memoryBarriers: UInt32?
    package var addressMask: UInt64?
    /// Whether it has stopped, or gone on, in a way of which its parent can be told.
    package var hasJobReport: Bool?
    /// In which of PR_GET_TSC, ARCH_GET_CPUID and PR_GET_SPECULATION_CTRL the thread differs from this process.
    package var difference: Difference?

    package enum Difference: Sendable {
        case none
        /// Only that the strict mode of seccomp(2) makes reading the time-stamp counter a fault.
        case strictMode
        case other
    }

    /// - Parameter task: a thread of the process, which is stopped by this process.
    /// - Errors: `ESRCH`: it is gone; `EBADMSG`: the kernel's structures are not the known ones.
    package init(of task: Int32, _ reader: KernelReader) throws(SystemError) {
        let kernelTask = try reader.task(task)
        func word(_ address: UInt64?, _ structure: String, _ path: String) -> UInt64? {
            address.flatMap { try? reader.word($0, structure, path) }
        }
        func number(_ address: UInt64?, _ structure: String, _ path: String) -> UInt32? {
            address.flatMap { try? reader.number($0, structure, path) }
        }
        let process = word(kernelTask, "task_struct", "signal")
        let memory = word(kernelTask, "task_struct", "mm")
        if let handlers = word(kernelTask, "task_struct", "sighand"), let offset = try? reader.offset("sighand_struct", "action"),
            let bytes = try? reader.read(handlers &+ UInt64(offset), 64 * 32)
        {
            actions = (0..<64).map { signal in (0..<4).map { littleEndian8(bytes, at: signal * 32 + $0 * 8) } }
        }
        if let flags = word(memory, "mm_struct", "flags") {
            dumpable = UInt32(flags & 3)
            hasPlainMemory = flags & Self.memoryAttributes == 0
        }
        // The first one of the bits in that word.
        isSubreaper = number(process, "signal_struct", "is_child_subreaper").map { $0 & 1 != 0 }
        currentBreak = word(memory, "mm_struct", "brk")
        if let state = number(process, "signal_struct", "real_timer.state"), let end = word(process, "signal_struct", "real_timer.node.expires"),
            let interval = word(process, "signal_struct", "it_real_incr")
        {
            let isRunning = state & 1 != 0
            knowsRealTimer = true
            if isRunning || interval != 0 { realTimer = Timer(interval: Int64(bitPattern: interval), end: isRunning ? Int64(bitPattern: end) : 0) }
        }
        if let process, let offset = try? reader.offset("signal_struct", "it"), let bytes = try? reader.read(process &+ UInt64(offset), 32) {
            hasProcessorTimers = bytes.contains { $0 != 0 }
        }
        locksToCome = word(memory, "mm_struct", "def_flags").map { ($0 & 0x2000 != 0, $0 & 0x8_0000 != 0) }
        #if arch(x86_64)
            hasLocalDescriptors = word(memory, "mm_struct", "context.ldt").map { $0 != 0 }
            addressMask = word(memory, "mm_struct", "context.untag_mask")
        #else
            hasLocalDescriptors = false
        #endif
        memoryBarriers = number(memory, "mm_struct", "membarrier_state").map(Self.registrations)
        hasJobReport = number(process, "signal_struct", "flags").map { $0 & Self.jobReports != 0 }
        if let theirs = word(kernelTask, "task_struct", "thread_info.flags"), let ours = word(reader.ownTask, "task_struct", "thread_info.flags"),
            let itsBits = word(kernelTask, "task_struct", "atomic_flags"), let ourBits = word(reader.ownTask, "task_struct", "atomic_flags")
        {
            let flags = (theirs ^ ours) & ThreadFactsProgram.traitFlags
            if (itsBits ^ ourBits) & Self.speculationFlags != 0 {
                difference = .other
            } else if flags == 0 {
                difference = Difference.none
            } else {
                difference = Self.timeStampFaults.contains(flags) ? .strictMode : .other
            }
        }
    }

    /// MMF_DISABLE_THP, MMF_HAS_MDWE, MMF_HAS_MDWE_NO_INHERIT, MMF_VM_MERGE_ANY, and the places that some kernels have them at: bits 24
    /// and 28 to 30.
    private static let memoryAttributes: UInt64 = 0x7100_0000
    /// TIF_NOTSC since Linux 6.18, and before. A thread in the strict mode has it: where it differs in the second of these bits alone,
    /// that is TIF_NOTSC, too.
    private static let timeStampFaults: Set<UInt64> = [1 << 21, 1 << 16]
    /// SIGNAL_STOP_STOPPED and SIGNAL_STOP_CONTINUED.
    private static let jobReports: UInt32 = 3
    /// PFA_SPEC_*: bits 3 to 7. Bit 0 is PR_SET_NO_NEW_PRIVS.
    private static let speculationFlags: UInt64 = 0xf8

    /// From MEMBARRIER_STATE_* of linux/sched/mm.h: each registration has a bit, and one more for "ready".
    private static func registrations(_ state: UInt32) -> UInt32 {
        let bits: [(state: UInt32, command: UInt64)] = [
            (1 << 3, Membarrier.MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED), (1 << 1, Membarrier.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED),
            (1 << 5, Membarrier.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE),
            (1 << 7, Membarrier.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ),
        ]
        return bits.reduce(0) { state & $1.state != 0 ? $0 | UInt32($1.command) : $0 }
    }
}
