/// Flags of clone3(2), clone(2), unshare(2) and setns(2).
///
/// - Source: linux/sched.h.
package enum CloneFlag {
    package static let CSIGNAL: UInt64 = 0xff
    package static let CLONE_VM: UInt64 = 0x100
    package static let CLONE_FS: UInt64 = 0x200
    package static let CLONE_FILES: UInt64 = 0x400
    package static let CLONE_SIGHAND: UInt64 = 0x800
    package static let CLONE_PIDFD: UInt64 = 0x1000
    package static let CLONE_PTRACE: UInt64 = 0x2000
    package static let CLONE_VFORK: UInt64 = 0x4000
    package static let CLONE_PARENT: UInt64 = 0x8000
    package static let CLONE_THREAD: UInt64 = 0x1_0000
    package static let CLONE_NEWNS: UInt64 = 0x2_0000
    package static let CLONE_SYSVSEM: UInt64 = 0x4_0000
    package static let CLONE_SETTLS: UInt64 = 0x8_0000
    package static let CLONE_PARENT_SETTID: UInt64 = 0x10_0000
    package static let CLONE_CHILD_CLEARTID: UInt64 = 0x20_0000
    package static let CLONE_DETACHED: UInt64 = 0x40_0000
    package static let CLONE_UNTRACED: UInt64 = 0x80_0000
    package static let CLONE_CHILD_SETTID: UInt64 = 0x100_0000
    package static let CLONE_NEWCGROUP: UInt64 = 0x200_0000
    package static let CLONE_NEWUTS: UInt64 = 0x400_0000
    package static let CLONE_NEWIPC: UInt64 = 0x800_0000
    package static let CLONE_NEWUSER: UInt64 = 0x1000_0000
    package static let CLONE_NEWPID: UInt64 = 0x2000_0000
    package static let CLONE_NEWNET: UInt64 = 0x4000_0000
    package static let CLONE_IO: UInt64 = 0x8000_0000
    package static let CLONE_CLEAR_SIGHAND: UInt64 = 0x1_0000_0000
    package static let CLONE_INTO_CGROUP: UInt64 = 0x2_0000_0000
    package static let CLONE_NEWTIME: UInt64 = 0x80
}
