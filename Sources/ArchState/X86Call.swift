/// A system call of a thread, of either of the two tables of x86.
package struct X86Call: Equatable, Sendable {
    /// Whether it is a call of the i386 table: all calls of 32-bit code are, and those of 64-bit code by `int $0x80`.
    package var is32Bit: Bool
    /// In its own table.
    package var number: Int
    /// Six, in order.
    package var arguments: [UInt64]

    /// The number of the x86_64 call that has the same arguments in the same order; nil where there is none.
    ///
    /// A register can hold any value; a negative one is no number of a call.
    package var native: Int? {
        guard number >= 0 else { return nil }
        return is32Bit ? CompatCallNumbers.native(number) : number
    }
    package var name: String? { is32Bit ? CompatCallNumbers.name(number) : SystemCallNumbers.name(number) }
    /// Whether times that the call is given are of 64-bit words.
    package var hasWideTimes: Bool { !is32Bit || CompatCallNumbers.hasWideTimes(number) }
    /// Whether it is `restart_syscall`: then the number of the interrupted call is not known.
    package var isRestart: Bool { native == Int(X86GeneralRegisters.restartCall) }

    /// The semaphore set that it waits for; nil if it is no such call.
    package var semaphoreSet: Int32? {
        switch native {
        case SystemCallNumbers.semop, SystemCallNumbers.semtimedop: return Int32(truncatingIfNeeded: arguments[0])
        default: return ipcOperation == nil ? nil : Int32(truncatingIfNeeded: arguments[1])
        }
    }

    /// ipc(2) on a semaphore set: SEMOP 1 or SEMTIMEDOP 4.
    var ipcOperation: UInt64? {
        guard is32Bit, number == CompatCallNumbers.ipc else { return nil }
        let operation = arguments[0] & 0xffff
        return operation == 1 || operation == 4 ? operation : nil
    }

    /// Whether it gives `EINTR` when it is interrupted, even without a signal to handle, and can be made
    /// again. See ``InterruptedCall/isNeverRestarted(_:)``.
    var isNeverRestarted: Bool {
        if is32Bit && (number == CompatCallNumbers.oldSelect || ipcOperation != nil) { return true }
        return native.map { InterruptedCall.isNeverRestarted(UInt64($0)) } ?? false
    }

    /// Whether the end of a wait is known to nothing but the call's own kernel stack, and is gone when the call is interrupted.
    package enum TimerLoss: Equatable, Sendable {
        case never
        case always
        /// Unless the kernel can write back what is left, to the timeout structure at this address.
        case unlessWritten(at: UInt64)
    }

    /// Whether a call loses its time when it is interrupted: it gives `EINTR` and has a timeout among its arguments.
    ///
    /// - Parameters:
    ///   - number: taken as one of either table, because what is known before an interruption does not tell which it is.
    ///   - arguments: six, as `/proc/PID/syscall` has them.
    /// - Source: fs/select.c, `poll_select_finish`, for those whose time is written back.
    package static func timerLoss(_ number: UInt64, _ arguments: [UInt64]) -> TimerLoss {
        guard let number = Int(exactly: number), arguments.count == 6 else { return .always }
        let losses = [false, true].map { X86Call(is32Bit: $0, number: number, arguments: arguments).timerLoss }
        // A number that has a timeout in both tables is that of the same call, with the same arguments.
        return losses.first { $0 != .never } ?? .never
    }

    private var timerLoss: TimerLoss {
        guard isNeverRestarted, let argument = TimeoutArgument(of: self) else { return .never }
        let value = arguments[argument.register.place(is32Bit: is32Bit)]
        if argument.form == .milliseconds { return Int32(truncatingIfNeeded: value) >= 0 ? .always : .never }
        guard value != 0 else { return .never }
        return argument.isUpdatedByKernel ? .unlessWritten(at: value) : .always
    }

    /// Numbers, of either table, of calls that may lose their time.
    package static let numbersThatMayLoseTimers: [Int] = (0..<512).filter { number in
        [false, true].contains { is32Bit in
            // SEMTIMEDOP, should it be ipc(2).
            let call = X86Call(is32Bit: is32Bit, number: number, arguments: [4, 0, 0, 0, 0, 0])
            return call.isNeverRestarted && TimeoutArgument(of: call) != nil
        }
    }

    /// Whether it gives `EINTR` like those when its descriptor is a socket with a timeout of its own, and where the
    /// descriptor is.
    package enum SocketArgument: Equatable, Sendable {
        case descriptor(UInt64)
        /// socketcall(2): 32 bits at this address.
        case address(UInt64)
    }

    package var socket: SocketArgument? {
        if is32Bit && number == CompatCallNumbers.socketcall {
            // connect, accept, send to recvfrom, sendmsg to sendmmsg. Source: include/uapi/linux/net.h.
            let waits: Set<UInt64> = [3, 5, 9, 10, 11, 12, 16, 17, 18, 19, 20]
            return waits.contains(arguments[0]) ? .address(arguments[1]) : nil
        }
        guard let native, InterruptedCall.isNeverRestartedOnTimedSocket(UInt64(native)) else { return nil }
        return .descriptor(arguments[0])
    }
}

extension X86GeneralRegisters {
    /// The call that the thread is in; nil where it is in none.
    ///
    /// - Parameter is32Bit: whether it is a call of the i386 table; nil: it is if the thread runs 32-bit code.
    package func systemCall(is32Bit: Bool? = nil) -> X86Call? {
        callNumber.map { call($0, is32Bit: is32Bit ?? self.is32Bit) }
    }

    /// These registers taken as the arguments of a call.
    package func call(_ number: Int, is32Bit: Bool) -> X86Call {
        guard is32Bit else {
            return X86Call(is32Bit: false, number: number, arguments: [rdi, rsi, rdx, r10, r8, r9])
        }
        return X86Call(
            is32Bit: true, number: number, arguments: [rbx, rcx, rdx, rsi, rdi, rbp].map { $0 & 0xffff_ffff })
    }
}
