internal import LinuxABI

/// One refused system call: which, and with what errno.
///
/// Higher layers wrap it and add the subject (task, descriptor, path) and what would help.
package struct SystemError: Error, Equatable, Sendable {
    /// Positive errno value.
    package var number: Int32
    /// The call as the manual spells it, e.g. `clone3` or `ptrace(PTRACE_SEIZE)`.
    package var call: String

    package init(_ number: Int32, in call: String) {
        self.number = number
        self.call = call
    }

    /// The symbolic name, e.g. `ENOENT`.
    package var name: String { ErrnoName.of(number) }
}

extension SystemError: CustomStringConvertible {
    package var description: String { "\(call): \(name)" }
}

extension SystemError {
    /// Turns a raw result (`>= 0`, or minus errno as the kernel gives it) into a value or a throw.
    @inline(__always)
    package static func check(_ result: Int, _ call: @autoclosure () -> String) throws(SystemError) -> Int {
        if result < 0 && result >= -4095 { throw SystemError(Int32(-result), in: call()) }
        return result
    }
}
