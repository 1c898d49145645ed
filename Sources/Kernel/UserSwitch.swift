internal import CKernel
internal import Glibc
internal import LinuxABI

/// A user of this host, with the groups that a login would give.
package struct UserAccount: Sendable, Equatable {
    package var user: UInt32
    package var group: UInt32
    package var groups: [UInt32]

    package init(user: UInt32, group: UInt32, groups: [UInt32]) {
        (self.user, self.group, self.groups) = (user, group, groups)
    }

    /// Looks a user up by name or number, wherever this host keeps its users: id(1) is asked, because a static program has no access to
    /// sources other than `/etc/passwd`.
    ///
    /// - Returns: nil if there is none.
    /// - Errors: those of running a program.
    package static func find(_ name: String) throws(SystemError) -> UserAccount? {
        func numbers(_ option: String) throws(SystemError) -> [UInt32]? {
            let run = try ProgramRun.run("/usr/bin/id", [option, "--", name])
            guard run.isDone else { return nil }
            return String(decoding: run.output, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" }).compactMap { UInt32($0) }
        }
        guard let user = try numbers("-u")?.first, let group = try numbers("-g")?.first, let groups = try numbers("-G") else { return nil }
        return UserAccount(user: user, group: group, groups: groups)
    }

    /// Gives up everything that this user does not have: groups, users, all capabilities. There is no way back.
    ///
    /// - Preconditions: this process has one thread, and CAP_SETUID and CAP_SETGID.
    /// - Errors: of the call that failed. This process must end then: it is neither one user nor the other.
    @inline(never)
    package func become() throws(SystemError) {
        try FaultPoint.becomeUser.pass("setresuid")
        let set = unsafe groups.withUnsafeBytes { buffer in
            ckernel_syscall(Int(SYS_setgroups), groups.count, Int(bitPattern: buffer.baseAddress), 0, 0, 0, 0)
        }
        _ = try SystemError.check(set, "setgroups")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_setresgid), Int(group), Int(group), Int(group), 0, 0, 0), "setresgid")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_setresuid), Int(user), Int(user), Int(user), 0, 0, 0), "setresuid")
        // struct __user_cap_header_struct of version 3 and two empty halves: secure bits may have kept some.
        var header: (version: UInt32, pid: Int32) = (UInt32(CapabilityVersion._LINUX_CAPABILITY_VERSION_3), 0)
        let none = [UInt32](repeating: 0, count: 6)
        let dropped = unsafe withUnsafeMutablePointer(to: &header) { head in
            unsafe none.withUnsafeBytes { buffer in
                ckernel_syscall(Int(SYS_capset), Int(bitPattern: head), Int(bitPattern: buffer.baseAddress), 0, 0, 0, 0)
            }
        }
        _ = try SystemError.check(dropped, "capset")
        let status = try TaskStatus(of: Processes.ownPid)
        let own = (status.users + status.groups).allSatisfy { $0 == user || $0 == group }
        guard own, status.users.allSatisfy({ $0 == user }), status.groups.allSatisfy({ $0 == group }), status.permittedCapabilities == 0,
            status.inheritableCapabilities == 0, status.ambientCapabilities == 0, Set(status.supplementaryGroups) == Set(groups)
        else { throw SystemError(EPERM, in: "setresuid") }
    }
}

extension Processes {
    /// Becomes the program that this process runs, from its beginning, with other arguments.
    ///
    /// - Errors: that of execve(2).
    @inline(never)
    package static func startAgain(_ arguments: [String]) throws(SystemError) -> Never {
        let words = unsafe arguments.map { unsafe strdup($0) } + [nil]
        // Ended by nil each; the kernel copies them before this process's memory goes.
        let result = unsafe words.withUnsafeBufferPointer { list in
            unsafe "/proc/self/exe".withCString { path in
                unsafe ckernel_syscall(
                    Int(SYS_execve), Int(bitPattern: path), Int(bitPattern: list.baseAddress), Int(bitPattern: environ), 0, 0, 0)
            }
        }
        for word in unsafe words { unsafe free(word) }
        _ = try SystemError.check(result, "execve")
        throw SystemError(ENOEXEC, in: "execve")
    }
}
