import ArgumentParser
import CommandSupport
import Kernel
import LinuxABI

/// `--user`: a restart with no more than a user has.
///
/// Root becomes that user and starts crrestart again, before the image is opened: what follows is what the user could have typed, and
/// the kernel refuses what the user may not do.
enum UserArguments {
    /// Does not return if `name` is given.
    ///
    /// - Parameter arguments: those of the command.
    static func become(_ name: String?, _ arguments: [String]) throws {
        guard let name else { return }
        func fail(_ sentence: String) -> ExitCode {
            Messages.error(sentence)
            return ExitCode(1)
        }
        let shown = printable(Array(name.utf8))
        guard Processes.isRoot else { throw fail("cannot restart as user \(shown): EPERM (only root can become another user; without --user you restart as yourself)") }
        do throws(SystemError) {
            guard let account = try UserAccount.find(name) else { throw SystemError(Errno.ENOENT, in: "id \(shown) does not know that user") }
            if account.user == 0 { throw SystemError(Errno.EINVAL, in: "--user is for restarts with less than root has") }
            try account.become()
            try Processes.startAgain(without(arguments))
        } catch { throw fail("cannot restart as user \(shown): \(error.name) (\(error.call))") }
    }

    /// The arguments without `--user`.
    static func without(_ arguments: [String]) -> [String] {
        var rest: [String] = []
        var skipsNext = false
        for (index, argument) in arguments.enumerated() {
            if skipsNext {
                skipsNext = false
            } else if argument == "--" {
                return rest + arguments[index...]
            } else if argument == "--user" {
                skipsNext = true
            } else if !argument.hasPrefix("--user=") {
                rest.append(argument)
            }
        }
        return rest
    }
}
