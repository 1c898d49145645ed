internal import Kernel

/// Fault points, switched on by an environment variable before a command looks at its arguments.
package enum FaultSetting {
    /// Hidden: for tests and for those who write them.
    package static let option = "--list-fault-points"

    /// Reads the variable; prints the list and ends where the option is given.
    ///
    /// A setting that is none ends the command with status 64: a test that broke nothing would prove nothing.
    package static func apply(_ arguments: [String]) {
        if arguments.contains(option) {
            Messages.result(FaultPoint.list)
            Processes.exitNow(0)
        }
        do throws(FaultPoint.InvalidSetting) { try FaultPoint.checkEnvironment() } catch {
            Messages.error("cannot start: EINVAL (\(error))")
            Processes.exitNow(64)
        }
    }
}
