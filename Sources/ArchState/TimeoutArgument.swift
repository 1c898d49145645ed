/// The register and form in which an x86 call has its timeout, for calls that are made again from their arguments.
///
/// These calls have no restart block. Made again after an interruption they would wait for the whole timeout once more,
/// unless the argument is shortened to the time that is left.
///
/// - Source: the calls' man pages; syscall(2) for the order of the registers.
package struct TimeoutArgument: Equatable, Sendable {
    package enum Form: Sendable {
        /// A number in the register; negative: without end.
        case milliseconds
        /// The register points to `struct timespec`; 0: without end.
        case timespec
        /// The register points to `struct timeval`; 0: without end.
        case timeval
        /// The same of 32-bit words, which older calls of i386 take.
        case timespec32
        case timeval32
        /// `struct timespec` of newer calls of i386: the upper half of the nanoseconds is padding and can hold anything.
        case paddedTimespec

        /// Bytes that the register points to.
        package var size: Int {
            switch self {
            case .milliseconds: 0
            case .timespec, .timeval, .paddedTimespec: 16
            case .timespec32, .timeval32: 8
            }
        }

        var isTimeval: Bool { self == .timeval || self == .timeval32 }

        /// The form that an i386 call takes where the x86_64 call with the same arguments takes this one.
        package func compat(isWide: Bool) -> Self {
            switch self {
            case .timespec: isWide ? .paddedTimespec : .timespec32
            case .timeval: .timeval32
            case .milliseconds, .timespec32, .timeval32, .paddedTimespec: self
            }
        }
    }

    package enum Register: Sendable {
        case rdx, r10, r8
        case rsi, rdi, rbp

        /// Which argument of a call it holds, from 0 on.
        func place(is32Bit: Bool) -> Int {
            switch self {
            case .rdi: is32Bit ? 4 : 0
            case .rsi: is32Bit ? 3 : 1
            case .rdx: 2
            case .r10: 3
            case .r8: 4
            case .rbp: 5
            }
        }

        /// The register in which an i386 call has the argument that an x86_64 call has in this one.
        var compat: Self {
            switch self {
            case .r10: .rsi
            case .r8: .rdi
            case .rdx, .rsi, .rdi, .rbp: self
            }
        }
    }

    package var register: Register
    package var form: Form
    /// Whether the kernel itself writes the time that is left to the caller's structure when the call is interrupted, if
    /// that memory can be written.
    package var isUpdatedByKernel: Bool

    /// - Parameter number: of an x86_64 call; nil if it has no relative timeout among its arguments, or keeps
    ///   it in a restart block.
    package init?(ofCall number: UInt64) {
        switch Int(truncatingIfNeeded: number) {
        case SystemCallNumbers.epoll_wait, SystemCallNumbers.epoll_pwait: self.init(.r10, .milliseconds)
        case SystemCallNumbers.epoll_pwait2, SystemCallNumbers.semtimedop: self.init(.r10, .timespec)
        case SystemCallNumbers.rt_sigtimedwait: self.init(.rdx, .timespec)
        case SystemCallNumbers.io_getevents, SystemCallNumbers.io_pgetevents: self.init(.r8, .timespec)
        case SystemCallNumbers.select: self.init(.r8, .timeval, updated: true)
        case SystemCallNumbers.pselect6: self.init(.r8, .timespec, updated: true)
        case SystemCallNumbers.ppoll: self.init(.rdx, .timespec, updated: true)
        default: return nil
        }
    }

    /// - Parameter call: of either table.
    package init?(of call: X86Call) {
        if call.ipcOperation == 4 {
            self.init(.rbp, .timespec32)
            return
        }
        guard let native = call.native else { return nil }
        if let argument = Self.ofSleep(call) {
            self = argument
            return
        }
        self.init(ofCall: UInt64(native))
        guard call.is32Bit else { return }
        register = register.compat
        form = form.compat(isWide: call.hasWideTimes)
    }

    /// Of the x86_64 calls that keep their time in a restart block: they are made again only where that has been turned into a call
    /// from its arguments, see ``X86GeneralRegisters/madeAgain(callIs32Bit:)``.
    private static func ofSleep(_ call: X86Call) -> Self? {
        guard !call.is32Bit else { return nil }
        switch call.number {
        case SystemCallNumbers.nanosleep: return Self(.rdi, .timespec)
        // Not until a point in time (TIMER_ABSTIME).
        case SystemCallNumbers.clock_nanosleep: return call.arguments[1] & 1 == 0 ? Self(.rdx, .timespec) : nil
        case SystemCallNumbers.poll: return Self(.rdx, .milliseconds)
        // FUTEX_WAIT; that of FUTEX_WAIT_BITSET is a point in time.
        case SystemCallNumbers.futex: return call.arguments[1] & 0x7f == 0 ? Self(.r10, .timespec) : nil
        default: return nil
        }
    }

    private init(_ register: Register, _ form: Form, updated: Bool = false) {
        self.register = register
        self.form = form
        isUpdatedByKernel = updated
    }

    /// The structure that the register has to point to; for milliseconds nothing.
    package func bytes(nanoseconds: UInt64) -> [UInt8] { form.bytes(nanoseconds: nanoseconds) }

    /// The register's value for a form that needs no memory.
    package static func milliseconds(nanoseconds: UInt64) -> UInt64 {
        let milliseconds = nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1)
        return min(milliseconds, UInt64(Int32.max))
    }

    /// Nanoseconds of a structure as it lies in memory; nil if it is none that the kernel takes.
    package func nanoseconds(of bytes: [UInt8]) -> UInt64? { form.nanoseconds(of: bytes) }
}

extension TimeoutArgument.Form {
    /// A time as a structure of this form; nothing for milliseconds.
    ///
    /// Rounded up to the form's unit: a wait never ends early.
    package func bytes(nanoseconds: UInt64) -> [UInt8] {
        guard self != .milliseconds else { return [] }
        let unit: UInt64 = isTimeval ? 1000 : 1
        let units = nanoseconds / unit + (nanoseconds % unit == 0 ? 0 : 1)
        let second = 1_000_000_000 / unit
        var bytes: [UInt8] = []
        if size == 16 {
            bytes.append(little: units / second)
            bytes.append(little: units % second)
        } else {
            bytes.append(little: UInt32(min(units / second, UInt64(Int32.max))))
            bytes.append(little: UInt32(units % second))
        }
        return bytes
    }

    /// Nanoseconds of a structure as it lies in memory; nil if it is none that the kernel takes.
    package func nanoseconds(of bytes: [UInt8]) -> UInt64? {
        guard self != .milliseconds, bytes.count >= size else { return nil }
        // Sign-extends a negative 32-bit number.
        let seconds =
            size == 16 ? bytes.u64(at: 0) : UInt64(bitPattern: Int64(Int32(bitPattern: bytes.u32(at: 0))))
        let fraction =
            switch self {
            case .timespec32, .timeval32: UInt64(bytes.u32(at: 4))
            case .paddedTimespec: UInt64(bytes.u32(at: 8))
            case .timespec, .timeval, .milliseconds: bytes.u64(at: 8)
            }
        let unit: UInt64 = isTimeval ? 1000 : 1
        guard seconds <= Int64.max, fraction < 1_000_000_000 / unit else { return nil }
        // The kernel's clocks end after 292 years: what is longer is that long.
        guard seconds < 9_223_372_036 else { return UInt64(Int64.max) }
        return seconds * 1_000_000_000 + fraction * unit
    }
}

extension X86GeneralRegisters {
    package subscript(_ register: TimeoutArgument.Register) -> UInt64 {
        get {
            switch register {
            case .rdx: rdx
            case .r10: r10
            case .r8: r8
            case .rsi: rsi
            case .rdi: rdi
            case .rbp: rbp
            }
        }
        set {
            switch register {
            case .rdx: rdx = newValue
            case .r10: r10 = newValue
            case .r8: r8 = newValue
            case .rsi: rsi = newValue
            case .rdi: rdi = newValue
            case .rbp: rbp = newValue
            }
        }
    }

    /// The timeout argument of a call that is made again from its arguments when the thread goes on.
    ///
    /// Nil in any other state, and where the caller gave no timeout.
    ///
    /// - Parameter is32Bit: whether it is a call of the i386 table; nil: it is if the thread runs 32-bit code.
    package func timeoutOfRepeatedCall(is32Bit: Bool? = nil) -> TimeoutArgument? {
        guard interruptedCall == .restartNoHand, let call = systemCall(is32Bit: is32Bit),
            let argument = TimeoutArgument(of: call)
        else { return nil }
        let value = self[argument.register] & (call.is32Bit ? 0xffff_ffff : .max)
        if argument.form == .milliseconds { return Int32(truncatingIfNeeded: value) < 0 ? nil : argument }
        return value == 0 ? nil : argument
    }
}
