// swift-format-ignore-file: AlwaysUseLowerCamelCase
// Calls keep the kernel's spelling.

/// System calls of x86_64: numbers by name, names by number.
///
/// Source: arch/x86/entry/syscalls/syscall_64.tbl, up to Linux 6.18. Regenerate the table from that file;
/// numbers never change their meaning.
package enum SystemCallNumbers {
    /// The name of a call, e.g. `epoll_wait`; nil for a number without one.
    package static func name(_ number: Int) -> String? {
        guard names.indices.contains(number), !names[number].isEmpty else { return nil }
        return names[number]
    }

    /// What to print for a call: its name, or `syscall 4711`.
    package static func label(_ number: Int) -> String { name(number) ?? "syscall \(number)" }

    /// The number of a call; nil for a name that is none.
    package static func number(of name: String) -> Int? { numbers[name] }

    private static let numbers: [String: Int] = {
        var numbers: [String: Int] = [:]
        for (number, name) in names.enumerated() where !name.isEmpty { numbers[name] = number }
        return numbers
    }()

    package static var read: Int { 0 }
    package static var write: Int { 1 }
    package static var open: Int { 2 }
    package static var close: Int { 3 }
    package static var stat: Int { 4 }
    package static var fstat: Int { 5 }
    package static var lstat: Int { 6 }
    package static var poll: Int { 7 }
    package static var lseek: Int { 8 }
    package static var mmap: Int { 9 }
    package static var mprotect: Int { 10 }
    package static var munmap: Int { 11 }
    package static var brk: Int { 12 }
    package static var rt_sigaction: Int { 13 }
    package static var rt_sigprocmask: Int { 14 }
    package static var rt_sigreturn: Int { 15 }
    package static var ioctl: Int { 16 }
    package static var pread64: Int { 17 }
    package static var pwrite64: Int { 18 }
    package static var readv: Int { 19 }
    package static var writev: Int { 20 }
    package static var access: Int { 21 }
    package static var pipe: Int { 22 }
    package static var select: Int { 23 }
    package static var sched_yield: Int { 24 }
    package static var mremap: Int { 25 }
    package static var msync: Int { 26 }
    package static var mincore: Int { 27 }
    package static var madvise: Int { 28 }
    package static var shmget: Int { 29 }
    package static var shmat: Int { 30 }
    package static var shmctl: Int { 31 }
    package static var dup: Int { 32 }
    package static var dup2: Int { 33 }
    package static var pause: Int { 34 }
    package static var nanosleep: Int { 35 }
    package static var getitimer: Int { 36 }
    package static var alarm: Int { 37 }
    package static var setitimer: Int { 38 }
    package static var getpid: Int { 39 }
    package static var sendfile: Int { 40 }
    package static var socket: Int { 41 }
    package static var connect: Int { 42 }
    package static var accept: Int { 43 }
    package static var sendto: Int { 44 }
    package static var recvfrom: Int { 45 }
    package static var sendmsg: Int { 46 }
    package static var recvmsg: Int { 47 }
    package static var shutdown: Int { 48 }
    package static var bind: Int { 49 }
    package static var listen: Int { 50 }
    package static var getsockname: Int { 51 }
    package static var getpeername: Int { 52 }
    package static var socketpair: Int { 53 }
    package static var setsockopt: Int { 54 }
    package static var getsockopt: Int { 55 }
    package static var clone: Int { 56 }
    package static var fork: Int { 57 }
    package static var vfork: Int { 58 }
    package static var execve: Int { 59 }
    package static var exit: Int { 60 }
    package static var wait4: Int { 61 }
    package static var kill: Int { 62 }
    package static var uname: Int { 63 }
    package static var semget: Int { 64 }
    package static var semop: Int { 65 }
    package static var semctl: Int { 66 }
    package static var shmdt: Int { 67 }
    package static var msgget: Int { 68 }
    package static var msgsnd: Int { 69 }
    package static var msgrcv: Int { 70 }
    package static var msgctl: Int { 71 }
    package static var fcntl: Int { 72 }
    package static var flock: Int { 73 }
    package static var fsync: Int { 74 }
    package static var fdatasync: Int { 75 }
    package static var truncate: Int { 76 }
    package static var ftruncate: Int { 77 }
    package static var getdents: Int { 78 }
    package static var getcwd: Int { 79 }
    package static var chdir: Int { 80 }
    package static var fchdir: Int { 81 }
    package static var rename: Int { 82 }
    package static var mkdir: Int { 83 }
    package static var rmdir: Int { 84 }
    package static var creat: Int { 85 }
    package static var link: Int { 86 }
    package static var unlink: Int { 87 }
    package static var symlink: Int { 88 }
    package static var readlink: Int { 89 }
    package static var chmod: Int { 90 }
    package static var fchmod: Int { 91 }
    package static var chown: Int { 92 }
    package static var fchown: Int { 93 }
    package static var lchown: Int { 94 }
    package static var umask: Int { 95 }
    package static var gettimeofday: Int { 96 }
    package static var getrlimit: Int { 97 }
    package static var getrusage: Int { 98 }
    package static var sysinfo: Int { 99 }
    package static var times: Int { 100 }
    package static var ptrace: Int { 101 }
    package static var getuid: Int { 102 }
    package static var syslog: Int { 103 }
    package static var getgid: Int { 104 }
    package static var setuid: Int { 105 }
    package static var setgid: Int { 106 }
    package static var geteuid: Int { 107 }
    package static var getegid: Int { 108 }
    package static var setpgid: Int { 109 }
    package static var getppid: Int { 110 }
    package static var getpgrp: Int { 111 }
    package static var setsid: Int { 112 }
    package static var setreuid: Int { 113 }
    package static var setregid: Int { 114 }
    package static var getgroups: Int { 115 }
    package static var setgroups: Int { 116 }
    package static var setresuid: Int { 117 }
    package static var getresuid: Int { 118 }
    package static var setresgid: Int { 119 }
    package static var getresgid: Int { 120 }
    package static var getpgid: Int { 121 }
    package static var setfsuid: Int { 122 }
    package static var setfsgid: Int { 123 }
    package static var getsid: Int { 124 }
    package static var capget: Int { 125 }
    package static var capset: Int { 126 }
    package static var rt_sigpending: Int { 127 }
    package static var rt_sigtimedwait: Int { 128 }
    package static var rt_sigqueueinfo: Int { 129 }
    package static var rt_sigsuspend: Int { 130 }
    package static var sigaltstack: Int { 131 }
    package static var utime: Int { 132 }
    package static var mknod: Int { 133 }
    package static var uselib: Int { 134 }
    package static var personality: Int { 135 }
    package static var ustat: Int { 136 }
    package static var statfs: Int { 137 }
    package static var fstatfs: Int { 138 }
    package static var sysfs: Int { 139 }
    package static var getpriority: Int { 140 }
    package static var setpriority: Int { 141 }
    package static var sched_setparam: Int { 142 }
    package static var sched_getparam: Int { 143 }
    package static var sched_setscheduler: Int { 144 }
    package static var sched_getscheduler: Int { 145 }
    package static var sched_get_priority_max: Int { 146 }
    package static var sched_get_priority_min: Int { 147 }
    package static var sched_rr_get_interval: Int { 148 }
    package static var mlock: Int { 149 }
    package static var munlock: Int { 150 }
    package static var mlockall: Int { 151 }
    package static var munlockall: Int { 152 }
    package static var vhangup: Int { 153 }
    package static var modify_ldt: Int { 154 }
    package static var pivot_root: Int { 155 }
    package static var _sysctl: Int { 156 }
    package static var prctl: Int { 157 }
    package static var arch_prctl: Int { 158 }
    package static var adjtimex: Int { 159 }
    package static var setrlimit: Int { 160 }
    package static var chroot: Int { 161 }
    package static var sync: Int { 162 }
    package static var acct: Int { 163 }
    package static var settimeofday: Int { 164 }
    package static var mount: Int { 165 }
    package static var umount2: Int { 166 }
    package static var swapon: Int { 167 }
    package static var swapoff: Int { 168 }
    package static var reboot: Int { 169 }
    package static var sethostname: Int { 170 }
    package static var setdomainname: Int { 171 }
    package static var iopl: Int { 172 }
    package static var ioperm: Int { 173 }
    package static var create_module: Int { 174 }
    package static var init_module: Int { 175 }
    package static var delete_module: Int { 176 }
    package static var get_kernel_syms: Int { 177 }
    package static var query_module: Int { 178 }
    package static var quotactl: Int { 179 }
    package static var nfsservctl: Int { 180 }
    package static var getpmsg: Int { 181 }
    package static var putpmsg: Int { 182 }
    package static var afs_syscall: Int { 183 }
    package static var tuxcall: Int { 184 }
    package static var security: Int { 185 }
    package static var gettid: Int { 186 }
    package static var readahead: Int { 187 }
    package static var setxattr: Int { 188 }
    package static var lsetxattr: Int { 189 }
    package static var fsetxattr: Int { 190 }
    package static var getxattr: Int { 191 }
    package static var lgetxattr: Int { 192 }
    package static var fgetxattr: Int { 193 }
    package static var listxattr: Int { 194 }
    package static var llistxattr: Int { 195 }
    package static var flistxattr: Int { 196 }
    package static var removexattr: Int { 197 }
    package static var lremovexattr: Int { 198 }
    package static var fremovexattr: Int { 199 }
    package static var tkill: Int { 200 }
    package static var time: Int { 201 }
    package static var futex: Int { 202 }
    package static var sched_setaffinity: Int { 203 }
    package static var sched_getaffinity: Int { 204 }
    package static var set_thread_area: Int { 205 }
    package static var io_setup: Int { 206 }
    package static var io_destroy: Int { 207 }
    package static var io_getevents: Int { 208 }
    package static var io_submit: Int { 209 }
    package static var io_cancel: Int { 210 }
    package static var get_thread_area: Int { 211 }
    package static var lookup_dcookie: Int { 212 }
    package static var epoll_create: Int { 213 }
    package static var epoll_ctl_old: Int { 214 }
    package static var epoll_wait_old: Int { 215 }
    package static var remap_file_pages: Int { 216 }
    package static var getdents64: Int { 217 }
    package static var set_tid_address: Int { 218 }
    package static var restart_syscall: Int { 219 }
    package static var semtimedop: Int { 220 }
    package static var fadvise64: Int { 221 }
    package static var timer_create: Int { 222 }
    package static var timer_settime: Int { 223 }
    package static var timer_gettime: Int { 224 }
    package static var timer_getoverrun: Int { 225 }
    package static var timer_delete: Int { 226 }
    package static var clock_settime: Int { 227 }
    package static var clock_gettime: Int { 228 }
    package static var clock_getres: Int { 229 }
    package static var clock_nanosleep: Int { 230 }
    package static var exit_group: Int { 231 }
    package static var epoll_wait: Int { 232 }
    package static var epoll_ctl: Int { 233 }
    package static var tgkill: Int { 234 }
    package static var utimes: Int { 235 }
    package static var vserver: Int { 236 }
    package static var mbind: Int { 237 }
    package static var set_mempolicy: Int { 238 }
    package static var get_mempolicy: Int { 239 }
    package static var mq_open: Int { 240 }
    package static var mq_unlink: Int { 241 }
    package static var mq_timedsend: Int { 242 }
    package static var mq_timedreceive: Int { 243 }
    package static var mq_notify: Int { 244 }
    package static var mq_getsetattr: Int { 245 }
    package static var kexec_load: Int { 246 }
    package static var waitid: Int { 247 }
    package static var add_key: Int { 248 }
    package static var request_key: Int { 249 }
    package static var keyctl: Int { 250 }
    package static var ioprio_set: Int { 251 }
    package static var ioprio_get: Int { 252 }
    package static var inotify_init: Int { 253 }
    package static var inotify_add_watch: Int { 254 }
    package static var inotify_rm_watch: Int { 255 }
    package static var migrate_pages: Int { 256 }
    package static var openat: Int { 257 }
    package static var mkdirat: Int { 258 }
    package static var mknodat: Int { 259 }
    package static var fchownat: Int { 260 }
    package static var futimesat: Int { 261 }
    package static var newfstatat: Int { 262 }
    package static var unlinkat: Int { 263 }
    package static var renameat: Int { 264 }
    package static var linkat: Int { 265 }
    package static var symlinkat: Int { 266 }
    package static var readlinkat: Int { 267 }
    package static var fchmodat: Int { 268 }
    package static var faccessat: Int { 269 }
    package static var pselect6: Int { 270 }
    package static var ppoll: Int { 271 }
    package static var unshare: Int { 272 }
    package static var set_robust_list: Int { 273 }
    package static var get_robust_list: Int { 274 }
    package static var splice: Int { 275 }
    package static var tee: Int { 276 }
    package static var sync_file_range: Int { 277 }
    package static var vmsplice: Int { 278 }
    package static var move_pages: Int { 279 }
    package static var utimensat: Int { 280 }
    package static var epoll_pwait: Int { 281 }
    package static var signalfd: Int { 282 }
    package static var timerfd_create: Int { 283 }
    package static var eventfd: Int { 284 }
    package static var fallocate: Int { 285 }
    package static var timerfd_settime: Int { 286 }
    package static var timerfd_gettime: Int { 287 }
    package static var accept4: Int { 288 }
    package static var signalfd4: Int { 289 }
    package static var eventfd2: Int { 290 }
    package static var epoll_create1: Int { 291 }
    package static var dup3: Int { 292 }
    package static var pipe2: Int { 293 }
    package static var inotify_init1: Int { 294 }
    package static var preadv: Int { 295 }
    package static var pwritev: Int { 296 }
    package static var rt_tgsigqueueinfo: Int { 297 }
    package static var perf_event_open: Int { 298 }
    package static var recvmmsg: Int { 299 }
    package static var fanotify_init: Int { 300 }
    package static var fanotify_mark: Int { 301 }
    package static var prlimit64: Int { 302 }
    package static var name_to_handle_at: Int { 303 }
    package static var open_by_handle_at: Int { 304 }
    package static var clock_adjtime: Int { 305 }
    package static var syncfs: Int { 306 }
    package static var sendmmsg: Int { 307 }
    package static var setns: Int { 308 }
    package static var getcpu: Int { 309 }
    package static var process_vm_readv: Int { 310 }
    package static var process_vm_writev: Int { 311 }
    package static var kcmp: Int { 312 }
    package static var finit_module: Int { 313 }
    package static var sched_setattr: Int { 314 }
    package static var sched_getattr: Int { 315 }
    package static var renameat2: Int { 316 }
    package static var seccomp: Int { 317 }
    package static var getrandom: Int { 318 }
    package static var memfd_create: Int { 319 }
    package static var kexec_file_load: Int { 320 }
    package static var bpf: Int { 321 }
    package static var execveat: Int { 322 }
    package static var userfaultfd: Int { 323 }
    package static var membarrier: Int { 324 }
    package static var mlock2: Int { 325 }
    package static var copy_file_range: Int { 326 }
    package static var preadv2: Int { 327 }
    package static var pwritev2: Int { 328 }
    package static var pkey_mprotect: Int { 329 }
    package static var pkey_alloc: Int { 330 }
    package static var pkey_free: Int { 331 }
    package static var statx: Int { 332 }
    package static var io_pgetevents: Int { 333 }
    package static var rseq: Int { 334 }
    package static var uretprobe: Int { 335 }
    package static var uprobe: Int { 336 }
    package static var pidfd_send_signal: Int { 424 }
    package static var io_uring_setup: Int { 425 }
    package static var io_uring_enter: Int { 426 }
    package static var io_uring_register: Int { 427 }
    package static var open_tree: Int { 428 }
    package static var move_mount: Int { 429 }
    package static var fsopen: Int { 430 }
    package static var fsconfig: Int { 431 }
    package static var fsmount: Int { 432 }
    package static var fspick: Int { 433 }
    package static var pidfd_open: Int { 434 }
    package static var clone3: Int { 435 }
    package static var close_range: Int { 436 }
    package static var openat2: Int { 437 }
    package static var pidfd_getfd: Int { 438 }
    package static var faccessat2: Int { 439 }
    package static var process_madvise: Int { 440 }
    package static var epoll_pwait2: Int { 441 }
    package static var mount_setattr: Int { 442 }
    package static var quotactl_fd: Int { 443 }
    package static var landlock_create_ruleset: Int { 444 }
    package static var landlock_add_rule: Int { 445 }
    package static var landlock_restrict_self: Int { 446 }
    package static var memfd_secret: Int { 447 }
    package static var process_mrelease: Int { 448 }
    package static var futex_waitv: Int { 449 }
    package static var set_mempolicy_home_node: Int { 450 }
    package static var cachestat: Int { 451 }
    package static var fchmodat2: Int { 452 }
    package static var map_shadow_stack: Int { 453 }
    package static var futex_wake: Int { 454 }
    package static var futex_wait: Int { 455 }
    package static var futex_requeue: Int { 456 }
    package static var statmount: Int { 457 }
    package static var listmount: Int { 458 }
    package static var lsm_get_self_attr: Int { 459 }
    package static var lsm_set_self_attr: Int { 460 }
    package static var lsm_list_modules: Int { 461 }
    package static var mseal: Int { 462 }
    package static var setxattrat: Int { 463 }
    package static var getxattrat: Int { 464 }
    package static var listxattrat: Int { 465 }
    package static var removexattrat: Int { 466 }
    package static var open_tree_attr: Int { 467 }
    package static var file_getattr: Int { 468 }
    package static var file_setattr: Int { 469 }

    /// By number; empty where there is none.
    private static let names: [String] = [
        "read", "write", "open", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap", "mprotect",
        "munmap", "brk", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "ioctl", "pread64", "pwrite64",
        "readv", "writev", "access", "pipe", "select", "sched_yield", "mremap", "msync", "mincore", "madvise",
        "shmget", "shmat", "shmctl", "dup", "dup2", "pause", "nanosleep", "getitimer", "alarm", "setitimer",
        "getpid", "sendfile", "socket", "connect", "accept", "sendto", "recvfrom", "sendmsg", "recvmsg",
        "shutdown", "bind", "listen", "getsockname", "getpeername", "socketpair", "setsockopt", "getsockopt",
        "clone", "fork", "vfork", "execve", "exit", "wait4", "kill", "uname", "semget", "semop", "semctl",
        "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl", "fcntl", "flock", "fsync", "fdatasync", "truncate",
        "ftruncate", "getdents", "getcwd", "chdir", "fchdir", "rename", "mkdir", "rmdir", "creat", "link",
        "unlink", "symlink", "readlink", "chmod", "fchmod", "chown", "fchown", "lchown", "umask",
        "gettimeofday", "getrlimit", "getrusage", "sysinfo", "times", "ptrace", "getuid", "syslog", "getgid",
        "setuid", "setgid", "geteuid", "getegid", "setpgid", "getppid", "getpgrp", "setsid", "setreuid",
        "setregid", "getgroups", "setgroups", "setresuid", "getresuid", "setresgid", "getresgid", "getpgid",
        "setfsuid", "setfsgid", "getsid", "capget", "capset", "rt_sigpending", "rt_sigtimedwait",
        "rt_sigqueueinfo", "rt_sigsuspend", "sigaltstack", "utime", "mknod", "uselib", "personality", "ustat",
        "statfs", "fstatfs", "sysfs", "getpriority", "setpriority", "sched_setparam", "sched_getparam",
        "sched_setscheduler", "sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min",
        "sched_rr_get_interval", "mlock", "munlock", "mlockall", "munlockall", "vhangup", "modify_ldt",
        "pivot_root", "_sysctl", "prctl", "arch_prctl", "adjtimex", "setrlimit", "chroot", "sync", "acct",
        "settimeofday", "mount", "umount2", "swapon", "swapoff", "reboot", "sethostname", "setdomainname",
        "iopl", "ioperm", "create_module", "init_module", "delete_module", "get_kernel_syms", "query_module",
        "quotactl", "nfsservctl", "getpmsg", "putpmsg", "afs_syscall", "tuxcall", "security", "gettid",
        "readahead", "setxattr", "lsetxattr", "fsetxattr", "getxattr", "lgetxattr", "fgetxattr", "listxattr",
        "llistxattr", "flistxattr", "removexattr", "lremovexattr", "fremovexattr", "tkill", "time", "futex",
        "sched_setaffinity", "sched_getaffinity", "set_thread_area", "io_setup", "io_destroy", "io_getevents",
        "io_submit", "io_cancel", "get_thread_area", "lookup_dcookie", "epoll_create", "epoll_ctl_old",
        "epoll_wait_old", "remap_file_pages", "getdents64", "set_tid_address", "restart_syscall",
        "semtimedop", "fadvise64", "timer_create", "timer_settime", "timer_gettime", "timer_getoverrun",
        "timer_delete", "clock_settime", "clock_gettime", "clock_getres", "clock_nanosleep", "exit_group",
        "epoll_wait", "epoll_ctl", "tgkill", "utimes", "vserver", "mbind", "set_mempolicy", "get_mempolicy",
        "mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr", "kexec_load",
        "waitid", "add_key", "request_key", "keyctl", "ioprio_set", "ioprio_get", "inotify_init",
        "inotify_add_watch", "inotify_rm_watch", "migrate_pages", "openat", "mkdirat", "mknodat", "fchownat",
        "futimesat", "newfstatat", "unlinkat", "renameat", "linkat", "symlinkat", "readlinkat", "fchmodat",
        "faccessat", "pselect6", "ppoll", "unshare", "set_robust_list", "get_robust_list", "splice", "tee",
        "sync_file_range", "vmsplice", "move_pages", "utimensat", "epoll_pwait", "signalfd", "timerfd_create",
        "eventfd", "fallocate", "timerfd_settime", "timerfd_gettime", "accept4", "signalfd4", "eventfd2",
        "epoll_create1", "dup3", "pipe2", "inotify_init1", "preadv", "pwritev", "rt_tgsigqueueinfo",
        "perf_event_open", "recvmmsg", "fanotify_init", "fanotify_mark", "prlimit64", "name_to_handle_at",
        "open_by_handle_at", "clock_adjtime", "syncfs", "sendmmsg", "setns", "getcpu", "process_vm_readv",
        "process_vm_writev", "kcmp", "finit_module", "sched_setattr", "sched_getattr", "renameat2", "seccomp",
        "getrandom", "memfd_create", "kexec_file_load", "bpf", "execveat", "userfaultfd", "membarrier",
        "mlock2", "copy_file_range", "preadv2", "pwritev2", "pkey_mprotect", "pkey_alloc", "pkey_free",
        "statx", "io_pgetevents", "rseq", "uretprobe", "uprobe", "", "", "", "", "", "", "", "", "", "", "",
        "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
        "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
        "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
        "", "pidfd_send_signal", "io_uring_setup", "io_uring_enter", "io_uring_register", "open_tree",
        "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "pidfd_open", "clone3", "close_range",
        "openat2", "pidfd_getfd", "faccessat2", "process_madvise", "epoll_pwait2", "mount_setattr",
        "quotactl_fd", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
        "memfd_secret", "process_mrelease", "futex_waitv", "set_mempolicy_home_node", "cachestat",
        "fchmodat2", "map_shadow_stack", "futex_wake", "futex_wait", "futex_requeue", "statmount",
        "listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal", "setxattrat",
        "getxattrat", "listxattrat", "removexattrat", "open_tree_attr", "file_getattr", "file_setattr",
    ]
}
