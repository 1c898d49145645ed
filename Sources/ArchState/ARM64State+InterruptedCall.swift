/// What the kernel would do next with the system call that a stopped aarch64 thread is in.
///
/// Unlike x86, the kernel moves pc back onto the call *before* it stops for a tracer, so the registers depend on the stop:
///
///     stop                        x0              pc             call (NT_ARM_SYSTEM_CALL)
///     exit of a call              its result      after `svc`    its number
///     signal stop, -ERESTART*     orig_x0         on `svc`       -1
///     signal stop, other result   its result      after `svc`    -1
///     not from a call             as it was       as it was      -1
///
/// x8 keeps the number throughout. orig_x0 itself is in no register set.
/// Source: arch/arm64/kernel/signal.c, `do_signal`.
extension ARM64State.General {
    /// `svc #0`
    package static let callInstruction: UInt32 = 0xd400_0001
    static let callInstructionLength: UInt64 = 4
    /// Number of `restart_syscall`.
    static let restartCall: UInt64 = 128

    /// What the kernel would do next at a stop where x0 still holds the result of the call. At a signal stop it has
    /// already been done, and `isOnCall` tells whether the call is made again.
    package var interruptedCall: InterruptedCall {
        InterruptedCall(rax: x[0], originalRAX: UInt64(bitPattern: Int64(call)))
    }

    /// Whether the thread makes the call of x8 next, as after a signal stop that found it in one.
    ///
    /// - Parameter instruction: the four bytes at pc.
    package func isOnCall(instruction: UInt32) -> Bool { instruction == Self.callInstruction }

    /// Whether the call in x8 can have armed a restart block. A thread that is on such a call after a signal stop goes on
    /// through `restart_syscall` if its restart block is armed; no register tells whether it is.
    ///
    /// Source: callers of `set_restart_fn`; `poll` has no number here.
    package var mayHaveRestartBlock: Bool {
        // nanosleep, clock_nanosleep, futex, restart_syscall
        [101, 115, 98, Self.restartCall].contains(x[8])
    }

    /// The registers as the kernel would have set them on resume with no handler to run. The stub in an original task
    /// needs them: it loads registers without the kernel, which therefore cannot adjust them.
    ///
    /// - Parameter hasRestartBlock: the thread is on a call (see `isOnCall`) whose restart block is armed.
    package func registersLeadingHome(hasRestartBlock: Bool = false) -> Self {
        var home = self
        switch interruptedCall {
        case .none, .eintr:
            if hasRestartBlock { home.x[8] = Self.restartCall }
            return home
        case .restartSys, .restartNoIntr, .restartNoHand:
            home.x[0] = originalX0
        case .restartBlock:
            home.x[0] = originalX0
            home.x[8] = Self.restartCall
        }
        home.pc &-= Self.callInstructionLength
        home.call = -1
        return home
    }

    /// Undoes an `EINTR` that only the freeze stop caused: in these registers the thread makes the call again, and if a
    /// signal with a handler comes, gets its legitimate `EINTR` then.
    ///
    /// On aarch64 the result -ERESTARTNOHAND has no effect at a signal stop, so pc itself is put back onto the call. A
    /// handler that was about to run does so before the call, as if its signal had come a moment earlier.
    ///
    /// - Preconditions: these are the registers of a freeze stop, before the result reached the program;
    ///   `instructionBefore` are the four bytes before pc.
    /// - Parameter firstArgument: x0 of the call, as `/proc/TID/syscall` told it while the thread slept.
    /// - Parameter onTimedSocket: the call's descriptor is a socket with a timeout of its own.
    package func mended(firstArgument: UInt64, instructionBefore: UInt32, onTimedSocket: Bool = false) -> Self {
        guard x[0] == UInt64(bitPattern: -4), instructionBefore == Self.callInstruction else { return self }
        guard
            Self.isNeverRestarted(x[8]) || onTimedSocket && Self.isNeverRestartedOnTimedSocket(x[8])
        else { return self }
        var mended = self
        mended.x[0] = firstArgument
        mended.originalX0 = firstArgument
        mended.pc &-= Self.callInstructionLength
        mended.call = -1
        return mended
    }

    /// The class of `InterruptedCall.isNeverRestarted` by aarch64 numbers.
    static func isNeverRestarted(_ number: UInt64) -> Bool {
        switch number {
        // epoll_pwait, epoll_pwait2, rt_sigtimedwait, semop, semtimedop, io_getevents, io_pgetevents, io_uring_enter
        case 22, 441, 137, 193, 192, 4, 292, 426: true
        default: false
        }
    }

    /// The class of `InterruptedCall.isNeverRestartedOnTimedSocket` by aarch64 numbers.
    static func isNeverRestartedOnTimedSocket(_ number: UInt64) -> Bool {
        switch number {
        // accept, accept4, connect, read, readv, recvfrom, recvmsg, recvmmsg
        case 202, 242, 203, 63, 65, 207, 212, 243: true
        // write, writev, sendto, sendmsg, sendmmsg
        case 64, 66, 206, 211, 269: true
        default: false
        }
    }
}
