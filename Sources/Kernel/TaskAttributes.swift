internal import CKernel
internal import Glibc
internal import LinuxABI

/// Attributes of tasks that prctl(2) and its like tell.
package enum TaskAttributes {
    /// What this process has from the one that started it, in the order of ``speculations``; 0 where the kernel does not say.
    package static var ownSpeculation: [UInt32] {
        speculations.map { UInt32(clamping: max(0, ckernel_prctl(Int(Prctl.PR_GET_SPECULATION_CTRL), Int($0), 0, 0, 0))) }
    }

    /// PR_GET_TSC of this process: whether reading the time-stamp counter is a fault.
    @inline(never)
    package static var ownTimeStampFaults: Bool {
        var value: UInt32 = 0
        let result = unsafe withUnsafeMutablePointer(to: &value) { ckernel_prctl(Int(Prctl.PR_GET_TSC), Int(bitPattern: $0), 0, 0, 0) }
        return result == 0 && UInt64(value) == Prctl.PR_TSC_SIGSEGV
    }

    /// ARCH_GET_CPUID of this process: whether the cpuid instruction is a fault.
    package static var ownProcessorIDFaults: Bool {
        #if arch(x86_64)
            ckernel_syscall(Int(SYS_arch_prctl), Int(ArchPrctl.ARCH_GET_CPUID), 0, 0, 0, 0, 0) == 0
        #else
            false
        #endif
    }

    package static let speculations = [Prctl.PR_SPEC_STORE_BYPASS, Prctl.PR_SPEC_INDIRECT_BRANCH, Prctl.PR_SPEC_L1D_FLUSH]

    /// Nanoseconds by which timers of this thread may be late.
    package static var ownTimerSlack: UInt64 { UInt64(max(0, ckernel_prctl(Int(Prctl.PR_GET_TIMERSLACK), 0, 0, 0, 0))) }

    /// Whether the cpuid instruction can be made a fault here. Asked by saying that it is none, which it is not.
    package static var mayFaultProcessorID: Bool {
        #if arch(x86_64)
            ckernel_syscall(Int(SYS_arch_prctl), Int(ArchPrctl.ARCH_SET_CPUID), 1, 0, 0, 0, 0) == 0
        #else
            false
        #endif
    }

    /// The commands of membarrier(2) that this kernel has.
    package static var memoryBarriers: UInt32 {
        UInt32(clamping: max(0, ckernel_syscall(Int(SYS_membarrier), Int(Membarrier.MEMBARRIER_CMD_QUERY), 0, 0, 0, 0, 0)))
    }

    /// `/proc/PID/loginuid`, all ones where no user has logged in; nil where the kernel keeps none (CONFIG_AUDIT).
    package static func loginUser(of pid: Int32) -> UInt32? {
        guard let text = try? readKernelRecord("/proc/\(pid)/loginuid", capacity: 64) else { return nil }
        var cursor = ByteCursor(text)
        return cursor.decimal().map { UInt32(truncatingIfNeeded: $0) }
    }

    /// Whether a task shares its core with chosen tasks only.
    ///
    /// - Source: prctl(2), PR_SCHED_CORE. A kernel without it, and a processor without threads, refuse.
    @inline(never)
    package static func hasCoreCookie(_ task: Int32) -> Bool {
        var cookie: UInt64 = 0
        let result = unsafe withUnsafeMutablePointer(to: &cookie) { pointer in
            ckernel_prctl(
                Int(Prctl.PR_SCHED_CORE), Int(Prctl.PR_SCHED_CORE_GET), Int(task), Int(Prctl.PR_SCHED_CORE_SCOPE_THREAD),
                Int(bitPattern: pointer))
        }
        return result == 0 && cookie != 0
    }
}

extension ProcessStat {
    /// PR_SET_IO_FLUSHER, which only a task with CAP_SYS_RESOURCE can ask about itself.
    ///
    /// - Source: Linux, kernel/sys.c, `PR_IO_FLUSHER`: PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE.
    package var flushesIO: Bool { flags & 0x18_0000 == 0x18_0000 }

    /// Bits that say what PR_MCE_KILL tells: PF_MCE_PROCESS and PF_MCE_EARLY.
    package var memoryFailureBits: UInt64 { flags & 0x800_0080 }
}
