/// Where an x86 call that is made again from its arguments finds its timeout, and in which form.
///
/// These calls have no restart block: interrupted and made again they would wait their whole time anew,
/// unless the argument is shortened to what is left.
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
        /// `struct timespec` of newer calls of i386: of the nanoseconds' word half is padding, which may hold anything.
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

        /// The form that a call of i386 takes where an x86_64 one takes this.
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

        /// Where i386 has the argument that x86_64 has here.
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
    /// The kernel itself writes what is left to the caller's structure when the call is interrupted, wherever
    /// that structure can be written.
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
        self.init(ofCall: UInt64(native))
        guard call.is32Bit else { return }
        register = register.compat
        form = form.compat(isWide: call.hasWideTimes)
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
        // A negative number of 32 bits is one of 64.
        let seconds =
            size == 16 ? bytes.u64(at: 0) : UInt64(bitPattern: Int64(Int32(bitPattern: bytes.u32(at: 0))))
        let fraction =
            switch self {
            case .timespec32, .timeval32: UInt64(bytes.u32(at: 4))
            case .paddedTimespec: UInt64(bytes.u32(at: 8))
            case .timespec, .timeval, .milliseconds: bytes.u64(at: 8)
            }
        let unit: UInt64 = isTimeval ? 1000 : 1
        // The kernel's clocks end after 292 years.
        guard seconds < 9_223_372_036, fraction < 1_000_000_000 / unit else { return nil }
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
    /// - Parameter is32Bit: by which conventions the call was made; nil: as code of this kind usually does.
    package func timeoutOfRepeatedCall(is32Bit: Bool? = nil) -> TimeoutArgument? {
        guard interruptedCall == .restartNoHand, let call = systemCall(is32Bit: is32Bit),
            let argument = TimeoutArgument(of: call)
        else { return nil }
        let value = self[argument.register] & (call.is32Bit ? 0xffff_ffff : .max)
        if argument.form == .milliseconds { return Int32(truncatingIfNeeded: value) < 0 ? nil : argument }
        return value == 0 ? nil : argument
    }
}
