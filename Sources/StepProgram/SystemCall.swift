internal import ArchState

/// The system calls that steps make. The raw value is the number on x86_64; `number(on:)` knows the others.
///
/// - Source: asm/unistd_64.h.
package enum SystemCall: Int64, CaseIterable, Sendable {
    #if arch(x86_64) || arch(arm64)
        case read = 0
        case write = 1
        case close = 3
        case lseek = 8
        case mmap = 9
        case mprotect = 10
        case munmap = 11
        case brk = 12
        case rt_sigaction = 13
        case rt_sigprocmask = 14
        case ioctl = 16
        case pread64 = 17
        case pwrite64 = 18
        case readv = 19
        case mremap = 25
        case msync = 26
        case mincore = 27
        case madvise = 28
        case shmat = 30
        case getitimer = 36
        case setitimer = 38
        case getpid = 39
        case clone = 56
        case exit = 60
        case kill = 62
        case socket = 41
        case connect = 42
        case sendto = 44
        case sendmsg = 46
        case shutdown = 48
        case bind = 49
        case listen = 50
        case socketpair = 53
        case setsockopt = 54
        case accept4 = 288
        case fchownat = 260
        case fcntl = 72
        case flock = 73
        case chdir = 80
        case fchdir = 81
        case umask = 95
        case setpgid = 109
        case setsid = 112
        case setgroups = 116
        case setresuid = 117
        case setresgid = 119
        case setfsuid = 122
        case setfsgid = 123
        case capset = 126
        case rt_sigtimedwait = 128
        case rt_sigqueueinfo = 129
        case sigaltstack = 131
        case personality = 135
        case mlockall = 151
        case modify_ldt = 154
        case prctl = 157
        case arch_prctl = 158
        case chroot = 161
        case futex = 202
        case io_setup = 206
        case io_getevents = 208
        case io_submit = 209
        case sched_setaffinity = 203
        case set_tid_address = 218
        case exit_group = 231
        case waitid = 247
        case ioprio_set = 251
        case openat = 257
        case mkdirat = 258
        case mknodat = 259
        case unlinkat = 263
        case set_robust_list = 273
        case get_robust_list = 274
        case ppoll = 271
        case dup3 = 292
        case pipe2 = 293
        case preadv = 295
        case rt_tgsigqueueinfo = 297
        case prlimit64 = 302
        case unshare = 272
        case setns = 308
        case process_vm_readv = 310
        case process_vm_writev = 311
        case sched_setattr = 314
        case mlock2 = 325
        case rseq = 334
        case statx = 332
        case clone3 = 435
        case openat2 = 437
        case close_range = 436
        case mseal = 462
        case seccomp = 317
        case wait4 = 61
        case getpgid = 121
        case mount = 165
        case pidfd_open = 434
        case pidfd_getfd = 438
        case mq_open = 240
        case mq_unlink = 241
        case mq_timedsend = 242
        case mq_notify = 244
        case fchmod = 91
        case fchown = 93
        case timer_create = 222
        case timer_settime = 223
        case timer_gettime = 224
        case timer_getoverrun = 225
        case timer_delete = 226
        case epoll_ctl = 233
        case inotify_add_watch = 254
        case inotify_init1 = 294
        case timerfd_create = 283
        case timerfd_settime = 286
        case signalfd4 = 289
        case eventfd2 = 290
        case setpriority = 141
        case userfaultfd = 323
        case membarrier = 324
        case epoll_create1 = 291
    #endif

    package var name: String { "\(self)" }

    /// The architecture by whose call numbers a program is encoded.
    package enum Numbering: Sendable {
        case x86_64
        case arm64

        /// The architecture for which this program was built.
        package static var host: Self {
            #if arch(arm64)
                .arm64
            #else
                .x86_64
            #endif
        }
    }

    package func number(on numbering: Numbering) -> Int64 {
        switch numbering {
        case .x86_64: rawValue
        // A call without a number would fail with ENOSYS. A test checks that every call has its number.
        case .arm64: Self.arm64Numbers[self] ?? 0xffff
        }
    }

    private static let arm64Numbers: [SystemCall: Int64] = {
        var numbers: [SystemCall: Int64] = [:]
        for call in allCases {
            // 0, that of io_setup, ends a program.
            if let number = SystemCallNumbers.ARM64.number(of: call.name), number > 0 { numbers[call] = Int64(number) }
        }
        return numbers
    }()
}

/// The calls of the i386 table that tasks of 32-bit programs have to make, by their number in it.
///
/// - Source: asm/unistd_32.h.
package enum SystemCall32: Int64, Sendable {
    case rt_sigaction = 174
    case set_robust_list = 311
    case get_robust_list = 312

    package var name: String { "\(self)" }
}
