internal import CKernel
internal import Glibc
internal import LinuxABI

/// Making, signalling and ending processes.
package enum Processes {
    package static var parentPid: Int32 { getppid() }

    package static var ownPid: Int32 { getpid() }
    package static var ownGroup: Int32 { getpgrp() }
    package static var ownSession: Int32 { getsid(0) }

    /// The words of the command line, as bytes. Swift's own text of them has other characters in place of bytes that are not UTF-8.
    package static var arguments: [[UInt8]] {
        let words = unsafe CommandLine.unsafeArgv
        return (0..<Int(CommandLine.argc)).map { index in
            guard let word = unsafe words[index] else { return [] }
            return unsafe UnsafeBufferPointer(start: word, count: strlen(word)).map { UInt8(bitPattern: $0) }
        }
    }

    /// Namespace bits of clone(2).
    package static let newPidNamespace = CloneFlag.CLONE_NEWPID
    package static let newMountNamespace = CloneFlag.CLONE_NEWNS

    /// Forks the calling (single-threaded) process with raw clone; returns 0 in the child.
    ///
    /// No atfork handler runs. The child leaves by `exitNow` only. Not clone3: filters of containers refuse it.
    ///
    /// - Parameter point: what this child is for.
    @inline(never)
    package static func fork(namespaces: UInt64 = 0, at point: FaultPoint = .fork) throws(SystemError) -> Int32 {
        try point.pass("clone")
        let flags = Int(bitPattern: UInt(namespaces)) | Int(SIGCHLD)
        return Int32(try SystemError.check(ckernel_syscall(Int(SYS_clone), flags, 0, 0, 0, 0, 0), "clone"))
    }

    /// Clones a child that runs a program of steps from its first instruction on.
    ///
    /// - Parameters:
    ///   - pid: the number it gets in the caller's pid namespace, or in its own new one, where it is 1.
    ///   - namespaces: those that are made for it.
    /// - Errors: `EEXIST`: the pid is taken.
    @inline(never)
    package static func cloneIntoLoop(
        pid: Int32, namespaces: UInt64 = 0, program: UInt64, slot: UInt64, loop: UInt64
    ) throws(SystemError) -> Int32 {
        try FaultPoint.cloneRoot.pass("clone3")
        var wanted = pid
        var arguments = ckernel_clone_args()
        arguments.flags = namespaces
        arguments.exit_signal = UInt64(SIGCHLD)
        let result = unsafe withUnsafePointer(to: &wanted) { set in
            arguments.set_tid = UInt64(UInt(bitPattern: set))
            arguments.set_tid_size = 1
            return unsafe withUnsafePointer(to: &arguments) { pointer in
                unsafe ckernel_clone3_into_loop(
                    pointer, MemoryLayout<ckernel_clone_args>.size, program, slot, loop)
            }
        }
        return Int32(try SystemError.check(result, "clone3"))
    }

    /// The same with the number that the kernel counts up to: see ``LastPid``.
    @inline(never)
    package static func cloneIntoLoop(
        namespaces: UInt64 = 0, program: UInt64, slot: UInt64, loop: UInt64
    ) throws(SystemError) -> Int32 {
        try FaultPoint.cloneRoot.pass("clone")
        let result = ckernel_clone_into_loop(namespaces | UInt64(SIGCHLD), program, slot, loop)
        return Int32(try SystemError.check(result, "clone"))
    }

    package static func kill(_ pid: Int32, _ signal: Int32) throws(SystemError) {
        try FaultPoint.kill.pass("kill")
        _ = try SystemError.check(
            ckernel_syscall(Int(SYS_kill), Int(pid), Int(signal), 0, 0, 0, 0), "kill")
    }

    /// Kills a child of this process that has not been waited for, and tries again where the kernel refuses.
    ///
    /// - Returns: whether it will end. To wait for a child that goes on would never end.
    static func endsByKill(_ child: Int32) -> Bool {
        for _ in 0..<4 where (try? kill(child, SIGKILL)) != nil { return true }
        return false
    }

    package static func exists(_ pid: Int32) -> Bool {
        let result = ckernel_syscall(Int(SYS_kill), Int(pid), 0, 0, 0, 0, 0)
        return result == 0 || result == -Int(EPERM)
    }

    /// exit_group: no handlers, no flushing.
    package static func exitNow(_ code: Int32) -> Never {
        _ = ckernel_syscall(Int(SYS_exit_group), Int(code), 0, 0, 0, 0, 0)
        while true {}
    }

    /// Ends this process as another ended: by the same code, or by the same signal (no core dump).
    package static func end(like status: WaitStatus) -> Never {
        if case .killed(let signal) = status {
            writeNoCore()
            _ = Glibc.signal(signal, SIG_DFL)
            // Only this one: another may be waiting (SIGIO of the status pipe), and would win.
            SignalMask.blockAll(but: signal)
            _ = Glibc.kill(getpid(), signal)
        }
        if case .exited(let code) = status { exitNow(code) }
        exitNow(1)
    }

    /// A fault of this process writes no core file. The hard limit stays: it is a fact that a restart goes by.
    static func writeNoCore() { setLimit(Rlimit.RLIMIT_CORE, (0, limit(Rlimit.RLIMIT_CORE).hard)) }

    /// Writes that no process reads, or that go beyond a limit, fail (`EPIPE`, `EFBIG`): no signal ends this process.
    package static func letWritesFail() { for number in [SIGPIPE, SIGXFSZ] { _ = Glibc.signal(number, SIG_IGN) } }

    /// The registration of the calling thread's rseq area. A forked child has to unregister it before it unmaps that
    /// memory; otherwise the kernel kills it.
    package static var ownRestartableSequence: (address: UInt64, size: UInt32, signature: UInt32) {
        (ckernel_own_rseq_address(), ckernel_own_rseq_size(), ckernel_own_rseq_signature())
    }

    package static func setName(_ name: String) {
        _ = unsafe name.withCString { pointer in
            ckernel_prctl(Int(Prctl.PR_SET_NAME), Int(bitPattern: pointer), 0, 0, 0)
        }
    }

    /// A session of its own: signals of the terminal do not reach it.
    static func leaveSession() { _ = ckernel_syscall(Int(SYS_setsid), 0, 0, 0, 0, 0, 0) }

    /// From now on orphaned descendants are adopted here, or not any more (PR_SET_CHILD_SUBREAPER).
    package static func adoptOrphans(_ adopts: Bool = true) {
        _ = ckernel_prctl(Int(Prctl.PR_SET_CHILD_SUBREAPER), adopts ? 1 : 0, 0, 0, 0)
    }

    /// Stops this process as Ctrl-Z would; returns when it is continued.
    package static func stopHere() { _ = ckernel_syscall(Int(SYS_kill), Int(getpid()), Int(SIGSTOP), 0, 0, 0, 0) }

    /// Raises the soft limit of descriptors to the hard one, and both to `needed` where that is more and is allowed.
    @inline(never)
    package static func raiseDescriptorLimit(to needed: UInt64 = 0) {
        let hard = limit(Rlimit.RLIMIT_NOFILE).hard
        setLimit(Rlimit.RLIMIT_NOFILE, (hard, hard))
        if needed > hard { setLimit(Rlimit.RLIMIT_NOFILE, (needed, needed)) }
    }

    /// Raises a soft limit of this process to the hard one, and tells that; `UInt64.max`: none.
    @inline(never)
    package static func raiseToHardLimit(_ resource: UInt32) -> UInt64 {
        let hard = limit(resource).hard
        setLimit(resource, (hard, hard))
        return hard
    }

    /// Soft and hard limits of this process, by RLIMIT_* number; `UInt64.max`: none.
    package static func resourceLimits() -> [(soft: UInt64, hard: UInt64)] {
        (Rlimit.RLIMIT_CPU...Rlimit.RLIMIT_RTTIME).map { limit($0) }
    }

    // By prlimit64: the C library declares getrlimit in two ways, and a module that saw one of them cannot
    // be inlined into a module that saw the other.
    @inline(never)
    private static func limit(_ resource: UInt32) -> (soft: UInt64, hard: UInt64) {
        var pair: (UInt64, UInt64) = (0, 0)
        unsafe withUnsafeMutablePointer(to: &pair) { pointer in
            _ = ckernel_syscall(Int(SYS_prlimit64), 0, Int(resource), 0, Int(bitPattern: pointer), 0, 0)
        }
        return pair
    }

    @inline(never)
    private static func setLimit(_ resource: UInt32, _ limit: (soft: UInt64, hard: UInt64)) {
        var pair = limit
        unsafe withUnsafeMutablePointer(to: &pair) { pointer in
            _ = ckernel_syscall(Int(SYS_prlimit64), 0, Int(resource), Int(bitPattern: pointer), 0, 0, 0)
        }
    }

    package static var isRoot: Bool { geteuid() == 0 }
}

/// Signals that the tool takes by sigtimedwait instead of dying of them.
package struct SignalQueue {
    let mask: UInt64

    /// Blocks the signals in the calling thread.
    package init(_ signals: [Int32]) {
        var mask: UInt64 = 0
        for signal in signals { mask |= 1 << UInt64(signal - 1) }
        self.mask = mask
        unsafe withUnsafePointer(to: &mask) { pointer in
            _ = ckernel_syscall(Int(SYS_rt_sigprocmask), Int(SIG_BLOCK), Int(bitPattern: pointer), 0, 8, 0, 0)
        }
    }

    /// The next signal, or nil after `nanoseconds`. `sender` 0: the kernel (a terminal's Ctrl-C).
    @inline(never)
    package func next(within nanoseconds: Int64) -> (signal: Int32, sender: Int32)? {
        var mask = self.mask
        var info = unsafe siginfo_t()
        var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        let result = unsafe withUnsafePointer(to: &mask) { set in
            unsafe withUnsafeMutablePointer(to: &info) { into in
                unsafe withUnsafePointer(to: &time) { limit in
                    ckernel_syscall(
                        Int(SYS_rt_sigtimedwait), Int(bitPattern: set), Int(bitPattern: into),
                        Int(bitPattern: limit), 8, 0, 0)
                }
            }
        }
        guard result > 0 else { return nil }
        let sender: Int32 = unsafe info.si_code == SignalCode.SI_USER ? info._sifields._kill.si_pid : 0
        return (Int32(result), sender)
    }
}

/// A fresh `/proc` for a new pid namespace.
package enum Mounting {
    /// In a new mount namespace: nothing done here is seen outside, what is mounted and unmounted outside is done here, too, where the
    /// mounts there are shared (mount_namespaces(7)); then `/proc` anew.
    @inline(never)
    package static func remountProc() throws(SystemError) {
        try FaultPoint.mountProc.pass("mount /proc")
        let propagation = unsafe mount("none", "/", nil, UInt(MS_REC | MS_SLAVE), nil)
        if propagation != 0 { throw SystemError(errno, in: "mount / slave") }
        let flags = UInt(MS_NOSUID | MS_NODEV | MS_NOEXEC)
        if unsafe mount("proc", "/proc", "proc", flags, nil) != 0 {
            throw SystemError(errno, in: "mount /proc")
        }
    }

    /// The caller's mount namespace, then new ones, each a copy of it in which nothing that is done is seen elsewhere.
    ///
    /// The caller is in its own afterwards, with that one's root as root and working directory.
    /// - Precondition: the caller shares its working directory and root with no other task (`CLONE_FS`).
    /// - Source: mount_namespaces(7).
    @inline(never)
    package static func copies(_ count: Int) throws(SystemError) -> [Int32] {
        if count == 0 { return [] }
        try FaultPoint.makeMounts.pass("unshare(CLONE_NEWNS)")
        let own = try Descriptor.open("/proc/self/ns/mnt")
        var made: [Int32] = []
        for _ in 0..<count {
            let result = ckernel_syscall(Int(SYS_unshare), Int(CLONE_NEWNS), 0, 0, 0, 0, 0)
            _ = try SystemError.check(result, "unshare(CLONE_NEWNS)")
            if unsafe mount("none", "/", nil, UInt(MS_REC | MS_SLAVE), nil) != 0 {
                throw SystemError(errno, in: "mount / slave")
            }
            made.append(try Descriptor.open("/proc/self/ns/mnt").release())
        }
        let result = ckernel_syscall(Int(SYS_setns), Int(own.number), Int(CLONE_NEWNS), 0, 0, 0, 0)
        _ = try SystemError.check(result, "setns(CLONE_NEWNS)")
        return [own.release()] + made
    }
}
