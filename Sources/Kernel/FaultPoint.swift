/// A place where a system call can be made to fail on purpose, to try what happens then.
///
/// `TREERESTORE_FAULT=NAME[:COUNT][=ERRNO]`, several separated by commas, lets the COUNT-th passage (default 1)
/// through a point fail with an errno by name (default `EIO`), as if the kernel had answered it; the call is not
/// made. It works in release builds, which are what the tests drive: where the variable is not set a passage is
/// one comparison. A forked child inherits the counters as they are and counts on for itself.
///
/// With `SIGKILL` in place of the errno the process that passes kills itself there: what is left of a command that dies at
/// that moment.
///
/// A case belongs to one wrapper of this module. The comment names the stages that pass it.
package enum FaultPoint: String, CaseIterable, Sendable {
    // Files and `/proc`, both commands.

    /// open(2) of any path: all stages.
    case open
    /// read(2) of a file, a pipe or a file of `/proc`: all stages.
    case read
    /// write(2) of a small file, not to standard output and error: write (records of the image), prepare
    /// (`ns_last_pid`, `timens_offsets`, control groups).
    case write
    /// stat(2) and fstat(2): collect, validate.
    case fileStatus = "file-status"
    /// readlink(2): collect, prepare.
    case readLink = "read-link"
    /// getdents64(2) of `/proc/PID/task` and `/proc/PID/fd`: freeze, collect, finalise.
    case listDirectory = "list-directory"
    /// `/proc/PID/stat`: freeze, collect, park.
    case procStat = "proc-stat"
    /// `/proc/PID/status`: freeze, collect.
    case procStatus = "proc-status"
    /// `/proc/PID/maps` and `smaps`: collect, validate.
    case procMaps = "proc-maps"
    /// `/proc/PID/fdinfo/N`: collect.
    case procFdinfo = "proc-fdinfo"
    /// `/proc/PID/limits`: collect.
    case procLimits = "proc-limits"
    /// `/proc/PID/timers`: collect.
    case procTimers = "proc-timers"
    /// `/proc/PID/cgroup`: collect, validate.
    case procCgroup = "proc-cgroup"
    /// `/proc/PID/mountinfo`: collect.
    case procMountinfo = "proc-mountinfo"

    // Stopping tasks and asking them.

    /// PTRACE_SEIZE: freeze, finalise.
    case seize
    /// PTRACE_INTERRUPT: freeze, collect (waiting for a stub), finalise.
    case interrupt
    /// PTRACE_CONT: freeze, release, park, finalise.
    case resume
    /// PTRACE_SYSCALL: collect (injection), finalise.
    case resumeToCall = "resume-to-call"
    /// PTRACE_DETACH: release, finalise.
    case detach
    /// PTRACE_SETOPTIONS: finalise.
    case setTraceOptions = "set-trace-options"
    /// PTRACE_GETEVENTMSG: freeze, fork.
    case eventMessage = "event-message"
    /// PTRACE_GETREGS, PTRACE_GETREGSET and PTRACE_PEEKUSER: freeze, collect, finalise.
    case getRegisters = "get-registers"
    /// PTRACE_SETREGS, PTRACE_SETREGSET and PTRACE_POKEUSER: collect (injection), finalise.
    case setRegisters = "set-registers"
    /// PTRACE_GETSIGMASK: collect.
    case getSignalMask = "get-signal-mask"
    /// PTRACE_SETSIGMASK: collect (injection), finalise.
    case setSignalMask = "set-signal-mask"
    /// PTRACE_PEEKSIGINFO: collect.
    case peekSignals = "peek-signals"
    /// PTRACE_GET_RSEQ_CONFIGURATION and PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: collect.
    case traceConfiguration = "trace-configuration"
    /// setresuid(2) and its like: before read, with `--user`.
    case becomeUser = "become-user"
    /// PTRACE_SECCOMP_GET_FILTER: collect.
    case getFilters = "get-filters"
    /// PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: finalise.
    case setDispatch = "set-dispatch"
    /// PTRACE_GET_THREAD_AREA: collect.
    case getThreadAreas = "get-thread-areas"
    /// PTRACE_SET_THREAD_AREA: finalise.
    case setThreadAreas = "set-thread-areas"
    /// wait4(2): freeze, collect (injection), release, park, finalise.
    case wait
    /// process_vm_readv(2) of a task's words: collect.
    case readMemory = "read-memory"
    /// process_vm_writev(2) into a task: collect (injection), load.
    case writeMemory = "write-memory"
    /// pwrite(2) to `/proc/PID/mem`: collect (injection), finalise.
    case forceMemory = "force-memory"
    /// pidfd_open(2): collect, finalise.
    case pidfdOpen = "pidfd-open"
    /// pidfd_getfd(2): collect.
    case pidfdGetfd = "pidfd-getfd"
    /// pidfd_send_signal(2): freeze and release with `--kill` and `--stop`; after the point of no return, signals that are passed on.
    case pidfdSignal = "pidfd-signal"
    /// kcmp(2): collect.
    case kcmp
    /// kcmp(2) of a process and its parent: freeze, while a process was born that may borrow its parent's memory; without it the
    /// process counts as one with memory of its own.
    case kcmpLender = "kcmp-lender"
    /// sched_getattr(2), sched_getaffinity(2) and ioprio_get(2): collect.
    case getScheduling = "get-scheduling"
    /// get_robust_list(2): collect.
    case getRobustList = "get-robust-list"
    /// F_GETPIPE_SZ, FIONREAD and tee(2) of a pipe: collect.
    case lookIntoPipe = "look-into-pipe"
    /// Requests of ioctl_tty(2): collect, fork.
    case terminal
    /// timerfd_gettime(2): collect.
    case timerfdGettime = "timerfd-gettime"
    /// NS_GET_PARENT of ioctl(2): collect.
    case namespaceParent = "namespace-parent"
    /// clock_gettime(2) of a task's processor time: collect, finalise.
    case processorTime = "processor-time"
    /// semctl(2) GETALL and GETPID: collect.
    case semaphoreValues = "semaphore-values"
    /// BPF_PROG_LOAD of bpf(2): before freeze the first program; freeze, collect: others when they are first needed. Without
    /// them tasks are asked themselves.
    case setupBPF = "setup-bpf"
    /// io_uring_setup(2), for TCP connections: collect. A forked child looks into them instead.
    case setupRing = "setup-ring"
    /// BPF_LINK_CREATE and BPF_ITER_CREATE of bpf(2): collect.
    case runBPF = "run-bpf"

    // Pages and the image.

    /// PAGEMAP_SCAN and reading pagemap: collect.
    case pageMap = "page-map"
    /// SEEK_DATA and SEEK_HOLE of lseek(2): collect.
    case seekData = "seek-data"
    /// clone(2) in the name of a task, for a copy of its memory: collect, with `--live`; without copies its pages are read while it stands
    /// still.
    case copyMemory = "copy-memory"
    /// pread(2) of pages that are set aside because no copy holds them: collect, with `--live`.
    case spoolPages = "spool-pages"
    /// userfaultfd(2) and PAGEMAP_SCAN for pages that change from now on: collect, with `--track`; without them nothing is tracked. And for
    /// those that have changed since: collect, with `--parent` after `--track`; without them all pages are compared.
    case track
    /// fork of the process that keeps tracking up: release, with `--track`; without it nothing is tracked.
    case forkTracker = "fork-tracker"
    /// process_vm_readv(2) of pages: write.
    case readPages = "read-pages"
    /// pread(2) of pages of a memory object: write.
    case readFilePages = "read-file-pages"
    /// Opening the file of the image, without a name: before freeze.
    case createImage = "create-image"
    /// write(2) to the image: write.
    case writeImage = "write-image"
    /// fsync(2) of the image: commit.
    case syncImage = "sync-image"
    /// linkat(2) that gives the image a name: commit.
    case linkImage = "link-image"
    /// renameat2(2) in place of an older image: commit.
    case renameImage = "rename-image"
    /// fsync(2) of the image's directory: commit.
    case syncDirectory = "sync-directory"
    /// fork of the process that ends the tree: release with `--kill`; without it crcheckpoint does that itself.
    case forkGuardian = "fork-guardian"
    /// clone(2) of the process that finds out whether the image could be restarted: commit, with `--kill` and `--stop`; without
    /// it crcheckpoint does that itself. Also of the one that asks for the peer of a unix socket in a nested pid namespace: collect.
    case forkCheck = "fork-check"
    /// clone(2) of the process that keeps the lock of the tree's connections: collect, with `--kill` and `--stop`.
    case forkKeeper = "fork-keeper"
    /// clone(2) of another program (nft): collect with `--kill` and `--stop`, finalise.
    case runProgram = "run-program"
    /// Not a call: our own reader refuses the image that was just written (a defect): commit, with `--kill` and `--stop`.
    case ownReader = "own-reader"
    /// Not a call: this host could not run the image that was just written: commit, with `--kill` and `--stop`.
    case restartHere = "restart-here"
    /// pread(2) of the image's records: read, commit (`--kill` and `--stop`).
    case preadImage = "pread-image"
    /// pread(2) of the image's pages for their checksums: load.
    case checkPages = "check-pages"

    /// clone(2) of the processes that bring pages, with `--lazy`: load.
    case forkServer = "fork-server"
    /// Not a call: a page that no task waits for is not brought, and none after it, with `--lazy`: load, and after the point of no return.
    /// Those that are touched come.
    case fillAhead = "fill-ahead"
    /// UFFDIO_COPY of ioctl(2), with `--lazy`: load, and after the point of no return, where a failure ends the tree.
    case copyPages = "copy-pages"

    // Making a tree.

    /// mmap(2) of the launchpad: prepare.
    case mapLaunchpad = "map-launchpad"
    /// mprotect(2) of the step loop in it: prepare.
    case protectLoop = "protect-loop"
    /// pipe2(2): collect (contents of a pipe), prepare.
    case makePipe = "make-pipe"
    /// dup3(2) to a high descriptor: prepare.
    case duplicate
    /// memfd_create(2): prepare.
    case makeMemfd = "make-memfd"
    /// open(2) of a file without a name: prepare.
    case makeUnlinkedFile = "make-unlinked-file"
    /// ftruncate(2): prepare.
    case setFileSize = "set-file-size"
    /// fsetxattr(2) on a file without a name: prepare.
    case setFileAttribute = "set-file-attribute"
    /// pwrite(2) into a memory object: load.
    case writeFilePages = "write-file-pages"
    /// shmget(2): prepare.
    case segmentMake = "segment-make"
    /// semget(2): prepare.
    case semaphoreMake = "semaphore-make"
    /// semctl(2) IPC_SET: prepare.
    case semaphoreOwner = "semaphore-owner"
    /// semctl(2) SETVAL: prepare.
    case semaphoreValue = "semaphore-value"
    /// A task makes its operations to undo again.
    case semaphoreUndo = "semaphore-undo"
    /// unshare(CLONE_NEWTIME) of a small process that holds it: prepare.
    case makeNamespace = "make-namespace"
    /// unshare(CLONE_NEWUSER), of crrestart without privilege: validate (a probe), prepare.
    case makeUserNamespace = "make-user-namespace"
    /// Writing `timens_offsets`: prepare or finalise.
    case setTimeOffsets = "set-time-offsets"
    /// unshare(CLONE_NEWNS) and setns(2): prepare, in the inner half.
    case makeMounts = "make-mounts"
    /// mount(2) of `/proc`: prepare, in the inner half.
    case mountProc = "mount-proc"
    /// flock(2) of `ns_last_pid`: fork.
    case lockLastPid = "lock-last-pid"
    /// write(2) to `ns_last_pid`: fork.
    case announcePid = "announce-pid"
    /// clone(2) of a small process: prepare (a namespace's holder), validate (a probe).
    case fork
    /// clone(2) of the inner half of crrestart: fork.
    case cloneInner = "clone-inner"
    /// clone3(2) or clone(2) of the root: fork, in the inner half.
    case cloneRoot = "clone-root"
    /// write(2) of a task's number to a control group: fork.
    case cgroupMove = "cgroup-move"
    /// kill(2): undo, finalise, release with `--kill`.
    case kill
}
