internal import CKernel
internal import Glibc
internal import LinuxABI

/// One filter of seccomp(2), as its task has it.
package struct SeccompFilterState: Hashable, Sendable {
    /// `struct sock_filter` each.
    package var program: [UInt8]
    /// SECCOMP_FILTER_FLAG_LOG
    package var logs: Bool
}

/// PR_SET_SYSCALL_USER_DISPATCH of one task: `struct ptrace_sud_config`.
package struct CallDispatchState: Equatable, Sendable {
    /// PR_SYS_DISPATCH_*
    package var mode: UInt64
    package var selector: UInt64
    package var offset: UInt64
    package var length: UInt64

    package init(mode: UInt64, selector: UInt64, offset: UInt64, length: UInt64) {
        (self.mode, self.selector, self.offset, self.length) = (mode, selector, offset, length)
    }
}

extension Trace {
    /// More than the kernel lets a task have: all of them together have at most 32768 instructions.
    private static let mostFilters = 8192
    private static let instructionSize = 8

    /// The filters of a stopped task that has some, the oldest first.
    ///
    /// - Errors: `EACCES`: this process has not CAP_SYS_ADMIN in the initial user namespace, or has filters itself; `EINVAL`: the task has none;
    ///   `EMEDIUMTYPE`: the kernel has not kept the program.
    /// - Source: ptrace(2), `PTRACE_SECCOMP_GET_FILTER`; kernel/seccomp.c, `get_nth_filter`: it counts from the oldest.
    @inline(never)
    package static func seccompFilters(of task: Int32) throws(SystemError) -> [SeccompFilterState] {
        try FaultPoint.getFilters.pass("ptrace(PTRACE_SECCOMP_GET_FILTER)")
        var filters: [SeccompFilterState] = []
        while filters.count < mostFilters {
            let count = ckernel_ptrace(Int(Ptrace.PTRACE_SECCOMP_GET_FILTER), Int(task), UInt(filters.count), 0)
            if count == -Int(ENOENT) { return filters }
            try check(count)
            var copied = 0
            // As many instructions as the kernel has just told: a filter never changes.
            let program = unsafe [UInt8](unsafeUninitializedCapacity: count * instructionSize) { buffer, filled in
                copied = unsafe ckernel_ptrace(
                    Int(Ptrace.PTRACE_SECCOMP_GET_FILTER), Int(task), UInt(filters.count), UInt(bitPattern: buffer.baseAddress))
                filled = copied == count ? count * instructionSize : 0
            }
            try check(copied)
            var metadata: (number: UInt64, flags: UInt64) = (UInt64(filters.count), 0)
            let told = unsafe withUnsafeMutablePointer(to: &metadata) { pointer in
                unsafe ckernel_ptrace(Int(Ptrace.PTRACE_SECCOMP_GET_METADATA), Int(task), 16, UInt(bitPattern: pointer))
            }
            try check(told)
            filters.append(SeccompFilterState(program: program, logs: metadata.flags & Seccomp.SECCOMP_FILTER_FLAG_LOG != 0))
        }
        throw SystemError(E2BIG, in: "ptrace(PTRACE_SECCOMP_GET_FILTER)")
    }

    private static func check(_ result: Int) throws(SystemError) {
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_SECCOMP_GET_FILTER)") }
    }

    /// What becomes of system calls of a task that has asked the kernel to hand them back as SIGSYS. Nil: nothing of that kind, or the
    /// kernel does not tell (before Linux 6.4).
    package static func callDispatch(of task: Int32) throws(SystemError) -> CallDispatchState? {
        let found = try configuration(
            Ptrace.PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, of: task, ckernel_user_dispatch(), "PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG")
        guard let found, found.mode != 0 else { return nil }
        return CallDispatchState(mode: found.mode, selector: found.selector, offset: found.offset, length: found.length)
    }

    /// - Errors: `EIO`: before Linux 6.4.
    @inline(never)
    package static func setCallDispatch(of task: Int32, to state: CallDispatchState) throws(SystemError) {
        try FaultPoint.setDispatch.pass("ptrace(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG)")
        var value = ckernel_user_dispatch(mode: state.mode, selector: state.selector, offset: state.offset, length: state.length)
        let result = unsafe withUnsafeMutablePointer(to: &value) { pointer in
            ckernel_ptrace(
                Int(Ptrace.PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG), Int(task), UInt(MemoryLayout<ckernel_user_dispatch>.size),
                UInt(bitPattern: pointer))
        }
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG)") }
    }
}
