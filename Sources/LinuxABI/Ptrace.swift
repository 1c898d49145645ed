/// Requests of ptrace(2). PTRACE_GETREGS to PTRACE_SET_THREAD_AREA: x86.
///
/// - Source: linux/ptrace.h, asm/ptrace-abi.h.
package enum Ptrace {
    package static let PTRACE_TRACEME: UInt64 = 0
    package static let PTRACE_PEEKTEXT: UInt64 = 1
    package static let PTRACE_PEEKDATA: UInt64 = 2
    package static let PTRACE_PEEKUSER: UInt64 = 3
    package static let PTRACE_POKETEXT: UInt64 = 4
    package static let PTRACE_POKEDATA: UInt64 = 5
    package static let PTRACE_POKEUSER: UInt64 = 6
    package static let PTRACE_CONT: UInt64 = 7
    package static let PTRACE_KILL: UInt64 = 8
    package static let PTRACE_SINGLESTEP: UInt64 = 9
    package static let PTRACE_GETREGS: UInt64 = 0xc
    package static let PTRACE_SETREGS: UInt64 = 0xd
    package static let PTRACE_GETFPREGS: UInt64 = 0xe
    package static let PTRACE_SETFPREGS: UInt64 = 0xf
    package static let PTRACE_ATTACH: UInt64 = 0x10
    package static let PTRACE_DETACH: UInt64 = 0x11
    package static let PTRACE_SYSCALL: UInt64 = 0x18
    package static let PTRACE_GET_THREAD_AREA: UInt64 = 0x19
    package static let PTRACE_SET_THREAD_AREA: UInt64 = 0x1a
    package static let PTRACE_SETOPTIONS: UInt64 = 0x4200
    package static let PTRACE_GETEVENTMSG: UInt64 = 0x4201
    package static let PTRACE_GETSIGINFO: UInt64 = 0x4202
    package static let PTRACE_SETSIGINFO: UInt64 = 0x4203
    package static let PTRACE_GETREGSET: UInt64 = 0x4204
    package static let PTRACE_SETREGSET: UInt64 = 0x4205
    package static let PTRACE_SEIZE: UInt64 = 0x4206
    package static let PTRACE_INTERRUPT: UInt64 = 0x4207
    package static let PTRACE_LISTEN: UInt64 = 0x4208
    package static let PTRACE_PEEKSIGINFO: UInt64 = 0x4209
    package static let PTRACE_GETSIGMASK: UInt64 = 0x420a
    package static let PTRACE_SETSIGMASK: UInt64 = 0x420b
    package static let PTRACE_SECCOMP_GET_FILTER: UInt64 = 0x420c
    package static let PTRACE_SECCOMP_GET_METADATA: UInt64 = 0x420d
    package static let PTRACE_GET_SYSCALL_INFO: UInt64 = 0x420e
    package static let PTRACE_GET_RSEQ_CONFIGURATION: UInt64 = 0x420f
    package static let PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: UInt64 = 0x4210
    package static let PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: UInt64 = 0x4211
    package static let PTRACE_SET_SYSCALL_INFO: UInt64 = 0x4212
}

/// Options of PTRACE_SETOPTIONS and PTRACE_SEIZE.
///
/// - Source: linux/ptrace.h.
package enum PtraceOption {
    package static let PTRACE_O_TRACESYSGOOD: UInt64 = 1
    package static let PTRACE_O_TRACEFORK: UInt64 = 2
    package static let PTRACE_O_TRACEVFORK: UInt64 = 4
    package static let PTRACE_O_TRACECLONE: UInt64 = 8
    package static let PTRACE_O_TRACEEXEC: UInt64 = 0x10
    package static let PTRACE_O_TRACEVFORKDONE: UInt64 = 0x20
    package static let PTRACE_O_TRACEEXIT: UInt64 = 0x40
    package static let PTRACE_O_TRACESECCOMP: UInt64 = 0x80
    package static let PTRACE_O_EXITKILL: UInt64 = 0x10_0000
    package static let PTRACE_O_SUSPEND_SECCOMP: UInt64 = 0x20_0000
}

/// Events in the upper half of a wait status.
///
/// - Source: linux/ptrace.h.
package enum PtraceEvent {
    package static let PTRACE_EVENT_FORK: Int32 = 1
    package static let PTRACE_EVENT_VFORK: Int32 = 2
    package static let PTRACE_EVENT_CLONE: Int32 = 3
    package static let PTRACE_EVENT_EXEC: Int32 = 4
    package static let PTRACE_EVENT_VFORK_DONE: Int32 = 5
    package static let PTRACE_EVENT_EXIT: Int32 = 6
    package static let PTRACE_EVENT_SECCOMP: Int32 = 7
    package static let PTRACE_EVENT_STOP: Int32 = 128
}
