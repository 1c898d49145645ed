internal import CKernel
internal import Glibc
internal import LinuxABI

/// The rights of another user to files, for a moment. Only the calling thread has them.
///
/// - Source: setfsuid(2), setgroups(2), capset(2).
package struct BorrowedRights {
    private let user: UInt32
    private let group: UInt32
    private let groups: [UInt32]
    private let effective: UInt64

    /// - Parameter effective: capabilities, with those by which this process gets its own rights back (CAP_SETUID, CAP_SETGID).
    package init(user: UInt32, group: UInt32, groups: [UInt32], effective: UInt64) {
        self.user = user
        self.group = group
        self.groups = groups
        self.effective = effective
    }

    /// Takes the rights, calls `body`, gives them back.
    ///
    /// - Errors: `EPERM`: this process may not. Then `body` has not run, and the rights are as they were.
    package func use(_ body: () -> Void) throws(SystemError) {
        let own = try Self.current()
        let dumpable = ckernel_prctl(Int(Prctl.PR_GET_DUMPABLE), 0, 0, 0, 0)
        defer {
            try? own.take(insteadOf: self)
            // A change of the user took it away: then `/proc/self` would belong to root.
            if dumpable == 1 { _ = ckernel_prctl(Int(Prctl.PR_SET_DUMPABLE), 1, 0, 0, 0) }
        }
        try take(insteadOf: own)
        body()
    }

    private static func current() throws(SystemError) -> BorrowedRights {
        let count = try SystemError.check(ckernel_syscall(Int(SYS_getgroups), 0, 0, 0, 0, 0, 0), "getgroups")
        var groups = [UInt32](repeating: 0, count: count)
        // The kernel writes at most `count` of them.
        let filled = unsafe groups.withUnsafeMutableBufferPointer { buffer in
            ckernel_syscall(Int(SYS_getgroups), count, Int(bitPattern: buffer.baseAddress), 0, 0, 0, 0)
        }
        _ = try SystemError.check(filled, "getgroups")
        return BorrowedRights(
            user: setFileSystem(Int(SYS_setfsuid), .max), group: setFileSystem(Int(SYS_setfsgid), .max), groups: groups,
            effective: Capabilities.currentEffective)
    }

    private func take(insteadOf other: BorrowedRights) throws(SystemError) {
        // The groups first, the user last: its change can take capabilities away, and those that are wanted are set then. An
        // ordinary user may not even set the groups that it has, in a user namespace that it made itself.
        if Set(groups) != Set(other.groups) {
            let result = unsafe groups.withUnsafeBufferPointer { buffer in
                ckernel_syscall(Int(SYS_setgroups), groups.count, Int(bitPattern: buffer.baseAddress), 0, 0, 0, 0)
            }
            _ = try SystemError.check(result, "setgroups")
        }
        _ = Self.setFileSystem(Int(SYS_setfsgid), group)
        _ = Self.setFileSystem(Int(SYS_setfsuid), user)
        guard Self.setFileSystem(Int(SYS_setfsgid), .max) == group, Self.setFileSystem(Int(SYS_setfsuid), .max) == user else {
            throw SystemError(EPERM, in: "setfsuid")
        }
        try Capabilities.setEffective(effective)
    }

    /// - Returns: the number before; all ones change nothing.
    private static func setFileSystem(_ call: Int, _ number: UInt32) -> UInt32 {
        UInt32(truncatingIfNeeded: ckernel_syscall(call, Int(number), 0, 0, 0, 0, 0))
    }
}

extension Capabilities {
    /// Sets the effective capabilities of the calling thread, among those that are permitted.
    static func setEffective(_ set: UInt64) throws(SystemError) {
        // Header of version 3 and pid 0; two halves of effective, permitted, inheritable.
        var header = [CapabilityVersion._LINUX_CAPABILITY_VERSION_3, 0]
        var halves = [UInt32](repeating: 0, count: 6)
        func call(_ number: Int, _ name: String) throws(SystemError) {
            let result = unsafe header.withUnsafeMutableBufferPointer { header in
                unsafe halves.withUnsafeMutableBufferPointer { halves in
                    ckernel_syscall(number, Int(bitPattern: header.baseAddress), Int(bitPattern: halves.baseAddress), 0, 0, 0, 0)
                }
            }
            _ = try SystemError.check(result, name)
        }
        try call(Int(SYS_capget), "capget")
        halves[0] = UInt32(truncatingIfNeeded: set)
        halves[3] = UInt32(truncatingIfNeeded: set >> 32)
        try call(Int(SYS_capset), "capset")
    }
}
