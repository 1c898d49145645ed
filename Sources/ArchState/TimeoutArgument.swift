/// Where an x86_64 call that is made again from its arguments finds its timeout, and in which form.
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
    }

    package enum Register: Sendable { case rdx, r10, r8 }

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

    private init(_ register: Register, _ form: Form, updated: Bool = false) {
        self.register = register
        self.form = form
        isUpdatedByKernel = updated
    }

    /// The structure that the register has to point to; for milliseconds nothing.
    ///
    /// Rounded up to the form's unit: a wait never ends early.
    package func bytes(nanoseconds: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        switch form {
        case .milliseconds: break
        case .timespec:
            bytes.append(little: nanoseconds / 1_000_000_000)
            bytes.append(little: nanoseconds % 1_000_000_000)
        case .timeval:
            let micros = nanoseconds / 1000 + (nanoseconds % 1000 == 0 ? 0 : 1)
            bytes.append(little: micros / 1_000_000)
            bytes.append(little: micros % 1_000_000)
        }
        return bytes
    }

    /// The register's value for a form that needs no memory.
    package static func milliseconds(nanoseconds: UInt64) -> UInt64 {
        let milliseconds = nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 == 0 ? 0 : 1)
        return min(milliseconds, UInt64(Int32.max))
    }

    /// Nanoseconds of a structure as it lies in memory; nil if it is none that the kernel takes.
    package func nanoseconds(of bytes: [UInt8]) -> UInt64? {
        guard bytes.count >= 16 else { return nil }
        let seconds = bytes.u64(at: 0)
        let fraction = bytes.u64(at: 8)
        let unit: UInt64 = form == .timeval ? 1000 : 1
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
            }
        }
        set {
            switch register {
            case .rdx: rdx = newValue
            case .r10: r10 = newValue
            case .r8: r8 = newValue
            }
        }
    }

    /// The timeout argument of a call that is made again from its arguments when the thread goes on.
    ///
    /// Nil in any other state, and where the caller gave no timeout.
    package var timeoutOfRepeatedCall: TimeoutArgument? {
        guard !is32Bit, interruptedCall == .restartNoHand, let argument = TimeoutArgument(ofCall: originalRAX)
        else { return nil }
        let value = self[argument.register]
        switch argument.form {
        case .milliseconds: return Int32(truncatingIfNeeded: value) < 0 ? nil : argument
        case .timespec, .timeval: return value == 0 ? nil : argument
        }
    }
}
