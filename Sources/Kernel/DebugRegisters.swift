internal import CKernel
internal import Glibc
internal import LinuxABI

/// The debug registers of a stopped x86 task: hardware breakpoints that an earlier debugger set and did not clear.
///
/// - Source: ptrace(2), `PTRACE_PEEKUSER`; `u_debugreg` of `struct user` (sys/user.h).
package enum DebugRegisters {
    /// DR0...DR7 lie here in `struct user`.
    private static let offset = 848

    /// One register, 0...3, 6, or 7.
    @inline(never)
    package static func read(_ number: Int, of task: Int32) throws(SystemError) -> UInt64 {
        try FaultPoint.getRegisters.pass("ptrace(PTRACE_PEEKUSER)")
        var value: UInt64 = 0
        // The raw call stores the word where its last argument points.
        let result = unsafe withUnsafeMutablePointer(to: &value) { pointer in
            ckernel_ptrace(Int(Ptrace.PTRACE_PEEKUSER), Int(task), UInt(offset + number * 8), UInt(bitPattern: pointer))
        }
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_PEEKUSER)") }
        return value
    }

    /// - Errors: `EINVAL`: the kernel does not allow this address or control word; `ENOSPC`: no free breakpoint.
    @inline(never)
    package static func write(_ number: Int, of task: Int32, to value: UInt64) throws(SystemError) {
        try FaultPoint.setRegisters.pass("ptrace(PTRACE_POKEUSER, DR\(number))")
        let result = ckernel_ptrace(Int(Ptrace.PTRACE_POKEUSER), Int(task), UInt(offset + number * 8), UInt(value))
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_POKEUSER, DR\(number))") }
    }
}
