internal import Kernel
internal import LinuxABI

/// What the tasks of a stopped tree hold themselves: what programs of steps inside of them asked, and what ptrace(2) and the
/// kernel's memory tell of them. A value, like the sight.
struct Answers: Codable, Sendable {
    /// Of every living process, and of every thread of one, unless it is refused.
    var processes: [ProcessAnswers] = []
    var threads: [ThreadAnswers] = []
    /// Processes to which a signal was delivered while they were asked.
    var disturbed: [HostPid] = []
    /// Filters of system calls, each once; nil: there are none.
    var filters: [Filter]?

    struct Filter: Codable, Sendable {
        /// `struct sock_filter` each.
        var program: RawText
        var logs: Bool
    }
}

struct ProcessAnswers: Codable, Sendable {
    var pid: HostPid
    var refusals: [Refusal] = []
    /// Sent to the process as a whole: `siginfo_t` each, oldest first.
    var pending: [RawText] = []
    /// PR_GET_DUMPABLE
    var dumpable: UInt32 = 0
    /// PR_GET_CHILD_SUBREAPER
    var childSubreaper = false
    var currentBreak: UInt64 = 0
    var memory: MemoryAnswers?
    /// Those that were not all zero.
    var intervalTimers: [IntervalTimer] = []
    var posixTimers: [PosixTimerAnswer] = []
    /// Those that are not the default.
    var actions: [SignalAction] = []
    /// It has segment descriptors of its own (modify_ldt(2)).
    var hasLocalDescriptors = false
    /// Its children that have stopped or gone on (SIGCONT) without wait(2) having told it.
    var unreportedChildren: [HostPid] = []
    /// Registrations of membarrier(2); nil: the kernel does not tell (before Linux 6.3).
    var memoryBarriers: UInt32?
    /// ARCH_GET_XCOMP_PERM
    var permittedStates: UInt64?
    /// ARCH_GET_UNTAG_MASK
    var addressMask: UInt64?

    /// getitimer(2). Microseconds, counted from the instant at which the tree had stopped.
    struct IntervalTimer: Codable, Sendable {
        var which: UInt32
        var interval: UInt64
        var remaining: UInt64
    }

    struct SignalAction: Codable, Sendable {
        var signal: Int32
        var handler: UInt64
        var flags: UInt64
        var restorer: UInt64
        var mask: UInt64
    }
}

struct ThreadAnswers: Codable, Sendable {
    var tid: HostPid
    /// Why it cannot be saved: then the rest means nothing.
    var refusals: [Refusal] = []
    /// `struct user_regs_struct`, as the thread is to go on: at the abort address, if it was inside a restartable sequence.
    var registers = RawText([])
    /// The call that it is in was made by the conventions of i386.
    var callIs32Bit = false
    /// NT_X86_XSTATE
    var extendedState = RawText([])
    /// DR0...DR3, DR6, DR7
    var debugRegisters: [UInt64] = []
    /// Three `struct user_desc`; empty where the kernel has none.
    var threadAreas = RawText([])
    var signalMask: UInt64 = 0
    /// Sent to this thread: `siginfo_t` each, oldest first.
    var pending: [RawText] = []
    /// rseq(2); address 0: not registered.
    var rseqAddress: UInt64 = 0
    var rseqSize: UInt32 = 0
    var rseqSignature: UInt32 = 0
    /// What confines its system calls; nil: nothing.
    var callFilters: CallFilters?
    var callDispatch: CallDispatch?
    /// What system calls of its own told, or the kernel's memory.
    var own = OwnAnswers()
    /// Set where an interrupted sleep goes on through it.
    var restartBlock: RestartBlockAnswer?
    /// What the kernel writes of a sleep that a signal ends is two 32-bit words.
    var timeLeftIs32Bit = false
    /// Of a call that is made again from its arguments.
    var timeout: TimeoutAnswer?

    struct CallFilters: Codable, Sendable {
        /// The strict mode of seccomp(2).
        var isStrict = false
        /// Places among the filters of the tree, the oldest first.
        var places: [Int] = []
    }

    struct CallDispatch: Codable, Sendable {
        /// PR_SYS_DISPATCH_*
        var mode: UInt64
        var selector: UInt64
        var offset: UInt64
        var length: UInt64
    }

    mutating func confine(by thread: CallConfinement.Thread?) {
        guard let thread else { return }
        if thread.isStrict || !thread.filters.isEmpty { callFilters = CallFilters(isStrict: thread.isStrict, places: thread.filters) }
        callDispatch = thread.dispatch.map { CallDispatch(mode: $0.mode, selector: $0.selector, offset: $0.offset, length: $0.length) }
    }

    struct OwnAnswers: Codable, Sendable {
        /// sigaltstack(2); size 0: none.
        var stackAddress: UInt64 = 0
        var stackSize: UInt64 = 0
        var stackFlags: UInt32 = 0
        var clearChildTid: UInt64 = 0
        var parentDeathSignal: UInt32 = 0
        var secureBits: UInt32 = 0
        var timerSlack: UInt64 = 0
        /// The list of robust locks that the kernel keeps for a 32-bit task; nil for others.
        var robustList32: UInt64?
        var robustListSize32: UInt64?
        var attributes: AttributeAnswers?
        /// It may not even look at crcheckpoint, which belongs to the same user; nil: it was not asked.
        var isConfined: Bool?
    }
}

/// What prctl(2) and arch_prctl(2) told a thread about itself.
struct AttributeAnswers: Codable, Sendable, Equatable {
    /// PR_GET_TSC
    var timeStampFaults = false
    /// ARCH_GET_CPUID
    var processorIDFaults = false
    /// PR_MCE_KILL_GET
    var memoryFailure = UInt32(Prctl.PR_MCE_KILL_DEFAULT)
    /// PR_GET_SPECULATION_CTRL of the three kinds; 0 where there is none.
    var speculation: [UInt32] = [0, 0, 0]
}

/// How the time that a call has left was found out.
enum TimeSource: String, Codable, Sendable {
    /// Read from the kernel's restart block.
    case kernel
    /// The call's whole timeout: nothing better was known, or it had just begun.
    case arguments
    /// Read from the timer on the thread's kernel stack.
    case kernelTimer
    /// Written to the thread's own memory by the kernel at the interruption.
    case memory
    /// Worked out from the time at which the thread had last run.
    case lastSleep
}

/// What the kernel would go on with for a sleep that the stop has cut short.
struct RestartBlockAnswer: Codable, Sendable, Equatable {
    enum Kind: String, Codable, Sendable { case unknown, nanosleep, poll, futex, cpuNanosleep }

    var kind = Kind.unknown
    var source: TimeSource
    /// A sleep's clock, as bits of the number that the task knows it by.
    var clock: UInt32 = 0
    var hasTimeout = true
    /// Nanoseconds when the tree had stopped.
    var remaining: UInt64 = 0
    /// Sleep: where the kernel writes what is left; poll: the list; futex: the word.
    var userAddress: UInt64 = 0
    /// poll: entries of the list; futex: the expected value.
    var count: UInt64 = 0
    /// futex: bits of the operation.
    var flags: UInt32 = 0
    /// futex: bit set.
    var bits: UInt32 = 0

    init(_ source: TimeSource) { self.source = source }
}

/// What is left of a timeout that a call is given as an argument.
struct TimeoutAnswer: Codable, Sendable, Equatable {
    /// Nanoseconds when the tree had stopped.
    var remaining: UInt64
    var source: TimeSource
}
