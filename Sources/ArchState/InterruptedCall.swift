/// What the kernel would do next with the system call that a stopped x86 thread is in.
///
/// At a freeze stop the thread is on its way back to user space: `rax` holds the result, `orig_rax` the
/// number of the call. The `-ERESTART*` results never reach a program; the kernel turns them into a
/// restarted call or into `EINTR` after it has looked for a signal handler.
/// Source: arch/x86/kernel/signal.c, `arch_do_signal_or_restart`; include/linux/errno.h.
package enum InterruptedCall: Equatable, Sendable {
    /// Not in a call, or the call is done: registers as they are.
    case none
    /// -512, `ERESTARTSYS`: restarted, unless a handler without `SA_RESTART` runs.
    case restartSys
    /// -513, `ERESTARTNOINTR`: always restarted.
    case restartNoIntr
    /// -514, `ERESTARTNOHAND`: restarted, unless a handler runs.
    case restartNoHand
    /// -516, `ERESTART_RESTARTBLOCK`: goes on through `restart_syscall` with what is left of the time.
    case restartBlock
    /// -4, `EINTR`: the program will see it. If the kernel never restarts such a call, the freeze stop itself is the
    /// likely cause; see `X86GeneralRegisters.mended()`.
    case eintr

    /// From the result and number as registers hold them.
    ///
    /// - Parameter is32Bit: the thread runs 32-bit code, so only the low half of `rax` counts.
    package init(rax: UInt64, originalRAX: UInt64, is32Bit: Bool = false) {
        // The kernel reads the number as an int.
        guard Int32(truncatingIfNeeded: originalRAX) >= 0 else {
            self = .none
            return
        }
        let result = is32Bit ? Int64(Int32(truncatingIfNeeded: rax)) : Int64(bitPattern: rax)
        self =
            switch result {
            case -512: .restartSys
            case -513: .restartNoIntr
            case -514: .restartNoHand
            case -516: .restartBlock
            case -4: .eintr
            default: .none
            }
    }

    /// Whether an x86_64 call gives `EINTR` when it is interrupted, even without a signal to handle, and can be made
    /// again without harm: `epoll_wait` and the like.
    ///
    /// Some of these calls do so under a condition only: `select`, `pselect6` and `ppoll` if their timeout lies in memory
    /// that the kernel cannot write the remaining time to; `fallocate` of memory files, which undoes its work first.
    ///
    /// Source: signal(7), "Interruption of system calls and library functions by stop signals";
    /// fs/select.c, `poll_select_finish`; mm/shmem.c, `shmem_fallocate`.
    package static func isNeverRestarted(_ number: UInt64) -> Bool {
        switch Int(truncatingIfNeeded: number) {
        case SystemCallNumbers.epoll_wait, SystemCallNumbers.epoll_pwait, SystemCallNumbers.epoll_pwait2,
            SystemCallNumbers.rt_sigtimedwait,
            SystemCallNumbers.semop, SystemCallNumbers.semtimedop,
            SystemCallNumbers.io_getevents, SystemCallNumbers.io_pgetevents, SystemCallNumbers.io_uring_enter,
            SystemCallNumbers.select, SystemCallNumbers.pselect6, SystemCallNumbers.ppoll,
            SystemCallNumbers.fallocate:
            true
        default:
            false
        }
    }

    /// Whether an x86_64 call is like those of `isNeverRestarted` when its descriptor is a socket with `SO_RCVTIMEO` or
    /// `SO_SNDTIMEO`. The caller has to find out whether it is.
    ///
    /// Source: include/net/sock.h, `sock_intr_errno`.
    package static func isNeverRestartedOnTimedSocket(_ number: UInt64) -> Bool {
        switch Int(truncatingIfNeeded: number) {
        case SystemCallNumbers.accept, SystemCallNumbers.accept4, SystemCallNumbers.connect,
            SystemCallNumbers.read, SystemCallNumbers.readv, SystemCallNumbers.recvfrom,
            SystemCallNumbers.recvmsg, SystemCallNumbers.recvmmsg,
            SystemCallNumbers.write, SystemCallNumbers.writev, SystemCallNumbers.sendto,
            SystemCallNumbers.sendmsg, SystemCallNumbers.sendmmsg:
            true
        default:
            false
        }
    }
}

extension X86GeneralRegisters {
    /// Number of `restart_syscall`.
    package static let restartCall: UInt64 = 219
    /// The same among i386 numbers.
    static let restartCall32: UInt64 = 0
    /// Marks the number of an x32 call.
    static let x32Bit: UInt64 = 0x4000_0000
    /// Length of `syscall` and of `int $0x80`.
    static let callInstructionLength: UInt64 = 2
    /// `-ERESTARTNOHAND`
    static let restartNoHandResult = UInt64(bitPattern: -514)

    /// What the kernel would do next.
    package var interruptedCall: InterruptedCall {
        InterruptedCall(rax: rax, originalRAX: originalRAX, is32Bit: is32Bit)
    }

    /// Number of the system call the thread is in; nil where it is in none.
    package var callNumber: Int? {
        let number = Int32(truncatingIfNeeded: originalRAX)
        return number >= 0 ? Int(number) : nil
    }

    /// Turns an `EINTR` that only the freeze stop caused into `-ERESTARTNOHAND`.
    ///
    /// With no signal pending the kernel makes the call again; if a signal with a handler is pending the program gets
    /// its legitimate `EINTR`. The caller has to shorten the timeout argument, if there is one.
    ///
    /// - Preconditions: these are the registers of a freeze stop, before the result reached the program.
    /// - Parameters:
    ///   - callIs32Bit: whether it is a call of the i386 table; nil: it is if the thread runs 32-bit code.
    ///   - onTimedSocket: the call's descriptor is a socket with a timeout of its own.
    package func mended(callIs32Bit: Bool? = nil, onTimedSocket: Bool = false) -> Self {
        guard interruptedCall == .eintr, let call = systemCall(is32Bit: callIs32Bit),
            call.isNeverRestarted || onTimedSocket && call.socket != nil
        else { return self }
        var mended = self
        mended.rax = Self.restartNoHandResult
        return mended
    }

    /// Turns a sleep that would go on through `restart_syscall` into the call itself, from its arguments: for a thread that may not call
    /// `restart_syscall`. The caller has to shorten the timeout argument. Nil where that is not possible.
    ///
    /// - Preconditions: these are the registers of a freeze stop.
    package func madeAgain(callIs32Bit: Bool) -> Self? {
        guard interruptedCall == .restartBlock, !callIs32Bit, let call = systemCall(is32Bit: false), !call.isRestart,
            [SystemCallNumbers.nanosleep, SystemCallNumbers.clock_nanosleep, SystemCallNumbers.poll, SystemCallNumbers.futex].contains(call.number)
        else { return nil }
        var again = self
        again.rax = Self.restartNoHandResult
        return again
    }

    /// The registers as the kernel would have set them on resume with no handler to run. The stub in an original task
    /// needs them: it loads registers without the kernel, which therefore cannot adjust them.
    ///
    /// - Parameter callIs32Bit: whether it is a call of the i386 table; nil: it is if the thread runs 32-bit code.
    package func registersLeadingHome(callIs32Bit: Bool? = nil) -> Self {
        var home = self
        let is32Bit = callIs32Bit ?? is32Bit
        switch interruptedCall {
        case .none, .eintr:
            return self
        case .restartSys, .restartNoIntr, .restartNoHand:
            home.rax = originalRAX
        case .restartBlock:
            home.rax = is32Bit ? Self.restartCall32 : Self.restartCall | originalRAX & Self.x32Bit
        }
        home.rip &-= Self.callInstructionLength
        return home
    }
}
