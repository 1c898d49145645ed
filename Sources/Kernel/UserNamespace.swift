internal import CKernel
internal import Glibc

/// A user namespace of this process's own, in which it has every capability and keeps its user and group.
///
/// The capabilities hold for what the namespace owns: the pid, mount and time namespaces that are made in it. Of the host they
/// allow nothing: files, limits, sockets and priorities are judged as before.
///
/// - Source: user_namespaces(7).
package enum UserNamespace {
    /// Puts this process into a new one. The user and the group are mapped to themselves; other groups stay in force, and can no
    /// longer be changed. If the process dies meanwhile nothing is left.
    ///
    /// - Precondition: this process has one thread.
    /// - Errors: `EPERM`, `EACCES`: not allowed here (`kernel.unprivileged_userns_clone`, AppArmor, a seccomp filter, a changed root
    ///   directory); `ENOSPC`, `EUSERS`: `user.max_user_namespaces`.
    package static func enter() throws(SystemError) {
        let (user, group) = (geteuid(), getegid())
        try FaultPoint.makeUserNamespace.pass("unshare(CLONE_NEWUSER)")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_unshare), Int(CLONE_NEWUSER), 0, 0, 0, 0, 0), "unshare(CLONE_NEWUSER)")
        try write("deny", to: "setgroups")
        try write("\(user) \(user) 1\n", to: "uid_map")
        try write("\(group) \(group) 1\n", to: "gid_map")
    }

    /// Why this process could not enter a new one, or nil. A forked child tries it.
    package static func refusal() -> SystemError? {
        // The parent reads what the child says, so a lost answer is a refusal, too.
        guard let question = try? ForkedQuestion(at: .forkCheck, { answer() }) else {
            return SystemError(EAGAIN, in: "fork")
        }
        switch question.answer(until: SystemClock.monotonic.now() + 5_000_000_000) {
        case .bytes(let bytes): return bytes.first.flatMap { $0 == 0 ? nil : SystemError(Int32($0), in: "unshare(CLONE_NEWUSER)") }
        case .ended, .late: return SystemError(EPERM, in: "unshare(CLONE_NEWUSER)")
        }
    }

    private static func answer() -> [UInt8] {
        do throws(SystemError) {
            try enter()
            return [0]
        } catch { return [UInt8(truncatingIfNeeded: error.number)] }
    }

    /// Whether the user namespace of a process gives each number the number that it has here: a map of single numbers to themselves,
    /// as ``enter()`` makes it.
    package static func keepsNumbers(of task: Int32) -> Bool {
        ["uid_map", "gid_map"].allSatisfy { name in
            guard let text = try? readFile("/proc/\(task)/\(name)") else { return false }
            let lines = text.split(separator: UInt8(ascii: "\n"))
            return !lines.isEmpty && lines.allSatisfy { line in
                let words = line.split(separator: UInt8(ascii: " "))
                return words.count == 3 && words[0].elementsEqual(words[1])
            }
        }
    }

    private static func write(_ text: String, to name: String) throws(SystemError) {
        try Descriptor.open("/proc/self/\(name)", O_WRONLY).write(Array(text.utf8))
    }
}
