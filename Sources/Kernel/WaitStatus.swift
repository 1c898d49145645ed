internal import CKernel
internal import Glibc
internal import LinuxABI

/// What wait4 reported of one task, taken apart.
package enum WaitStatus: Equatable, Sendable {
    case exited(Int32)
    case killed(signal: Int32)
    /// A ptrace stop (or a plain one): the signal, and the PTRACE_EVENT_* in bits 16 and up.
    case stopped(signal: Int32, event: Int32)
    case continued

    package init(raw: Int32) {
        let low = raw & 0x7f
        if low == 0 {
            self = .exited((raw >> 8) & 0xff)
        } else if raw == 0xffff {
            self = .continued
        } else if raw & 0xff == 0x7f {
            self = .stopped(signal: (raw >> 8) & 0xff, event: raw >> 16)
        } else {
            self = .killed(signal: low)
        }
    }

    package var isDead: Bool {
        switch self {
        case .exited, .killed: true
        default: false
        }
    }
}

/// Events of a ptrace stop (ptrace(2)).
package enum TraceEvent {
    package static let fork = PtraceEvent.PTRACE_EVENT_FORK
    package static let vfork = PtraceEvent.PTRACE_EVENT_VFORK
    package static let clone = PtraceEvent.PTRACE_EVENT_CLONE
    package static let exec = PtraceEvent.PTRACE_EVENT_EXEC
    package static let exit = PtraceEvent.PTRACE_EVENT_EXIT
    package static let stop = PtraceEvent.PTRACE_EVENT_STOP
}

package enum Waiting {
    /// Waits for one task, or for any (`-1`). Nil: nothing to report now (only with `block` false).
    ///
    /// - Parameter stops: children that job control stops are reported, too.
    /// - Errors: `ECHILD` where there is no such child or traced task. `EINTR` is thrown, not retried: the signal may
    ///   ask the caller to stop.
    @inline(never)
    package static func wait(_ task: Int32 = -1, block: Bool, stops: Bool = false) throws(SystemError) -> (
        task: Int32, status: WaitStatus, raw: Int32
    )? {
        try FaultPoint.wait.pass("wait4")
        var raw: Int32 = 0
        // __WALL: threads and children without an exit signal, too.
        let options = Int32(WaitOption.__WALL | (block ? 0 : WaitOption.WNOHANG) | (stops ? WaitOption.WUNTRACED : 0))
        let result = unsafe ckernel_wait4(Int(task), &raw, options)
        let found = try SystemError.check(result, "wait4")
        return found == 0 ? nil : (Int32(found), WaitStatus(raw: raw), raw)
    }

    /// Sleeps until a child changes state, at most `nanoseconds`. SIGCHLD must be blocked
    /// (`SignalMask.blockChildSignals`), so that none is lost between a look and the sleep.
    @inline(never)
    package static func pause(atMost nanoseconds: Int64) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGCHLD)
        var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        _ = unsafe sigtimedwait(&set, nil, &time)
    }
}

package enum SignalMask {
    /// Blocks SIGCHLD in the calling thread, for `Waiting.pause`.
    package static func blockChildSignals() { change(SIG_BLOCK, [SIGCHLD]) }

    /// Blocks everything: what a task of a restart starts with.
    package static func blockAll() { change(SIG_SETMASK, Array(Signal.SIGHUP...Signal.SIGRTMAX)) }

    /// Blocks nothing: what another program starts with.
    package static func allowAll() { change(SIG_SETMASK, []) }

    /// All but one, which is let through.
    package static func blockAll(but signal: Int32) {
        change(SIG_SETMASK, (Signal.SIGHUP...Signal.SIGRTMAX).filter { $0 != signal })
    }

    private static func change(_ how: Int32, _ signals: [Int32]) {
        var mask: UInt64 = 0
        for signal in signals { mask |= 1 << UInt64(signal - 1) }
        unsafe withUnsafePointer(to: &mask) { pointer in
            _ = ckernel_syscall(Int(SYS_rt_sigprocmask), Int(how), Int(bitPattern: pointer), 0, 8, 0, 0)
        }
    }
}
