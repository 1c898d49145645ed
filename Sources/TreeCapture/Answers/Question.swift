/// What a task is asked, as far as its own filters may forbid it.
enum Question: String, Sendable {
    // Of every thread.
    case robustList = "get_robust_list"
    case alternateStack = "sigaltstack"
    case clearChildTid = "prctl(PR_GET_TID_ADDRESS)"
    case parentDeathSignal = "prctl(PR_GET_PDEATHSIG)"
    case secureBits = "prctl(PR_GET_SECUREBITS)"
    case timerSlack = "prctl(PR_GET_TIMERSLACK)"
    case attributes = "prctl(PR_GET_TSC), prctl(PR_MCE_KILL_GET), prctl(PR_GET_SPECULATION_CTRL) and arch_prctl(ARCH_GET_CPUID)"
    case confinement = "get_robust_list of another task"
    // Of the door of a process.
    case memoryBarriers = "membarrier(MEMBARRIER_CMD_GET_REGISTRATIONS)"
    case dumpable = "prctl(PR_GET_DUMPABLE)"
    case subreaper = "prctl(PR_GET_CHILD_SUBREAPER)"
    case currentBreak = "brk"
    case intervalTimers = "getitimer"
    case actions = "rt_sigaction"
    case posixTimers = "timer_gettime and timer_getoverrun"
    case memory = "mincore, msync, prctl(PR_GET_MDWE), prctl(PR_GET_THP_DISABLE) and prctl(PR_GET_MEMORY_MERGE)"
    case localDescriptors = "modify_ldt"
    case permittedStates = "arch_prctl(ARCH_GET_XCOMP_PERM)"
    case addressMask = "arch_prctl(ARCH_GET_UNTAG_MASK)"
    case reports = "waitid"

    /// Why a thread cannot be saved that may not be asked this, and of which nothing else tells it.
    var refusal: Refusal {
        Refusal(
            "may not call \(rawValue), which a checkpoint needs here: its seccomp filter, or PR_SET_SYSCALL_USER_DISPATCH, does not let it",
            help: "let crcheckpoint have CAP_BPF and CAP_PERFMON, or let the filter allow that call")
    }
}
