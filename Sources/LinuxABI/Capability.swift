/// Capabilities by number: capability N is bit N of a set.
///
/// - Source: linux/capability.h.
package enum Capability {
    package static let CAP_CHOWN: UInt64 = 0
    package static let CAP_DAC_OVERRIDE: UInt64 = 1
    package static let CAP_DAC_READ_SEARCH: UInt64 = 2
    package static let CAP_FOWNER: UInt64 = 3
    package static let CAP_FSETID: UInt64 = 4
    package static let CAP_KILL: UInt64 = 5
    package static let CAP_SETGID: UInt64 = 6
    package static let CAP_SETUID: UInt64 = 7
    package static let CAP_SETPCAP: UInt64 = 8
    package static let CAP_LINUX_IMMUTABLE: UInt64 = 9
    package static let CAP_NET_BIND_SERVICE: UInt64 = 10
    package static let CAP_NET_BROADCAST: UInt64 = 11
    package static let CAP_NET_ADMIN: UInt64 = 12
    package static let CAP_NET_RAW: UInt64 = 13
    package static let CAP_IPC_LOCK: UInt64 = 14
    package static let CAP_IPC_OWNER: UInt64 = 15
    package static let CAP_SYS_MODULE: UInt64 = 16
    package static let CAP_SYS_RAWIO: UInt64 = 17
    package static let CAP_SYS_CHROOT: UInt64 = 18
    package static let CAP_SYS_PTRACE: UInt64 = 19
    package static let CAP_SYS_PACCT: UInt64 = 20
    package static let CAP_SYS_ADMIN: UInt64 = 21
    package static let CAP_SYS_BOOT: UInt64 = 22
    package static let CAP_SYS_NICE: UInt64 = 23
    package static let CAP_SYS_RESOURCE: UInt64 = 24
    package static let CAP_SYS_TIME: UInt64 = 25
    package static let CAP_SYS_TTY_CONFIG: UInt64 = 26
    package static let CAP_MKNOD: UInt64 = 27
    package static let CAP_LEASE: UInt64 = 28
    package static let CAP_AUDIT_WRITE: UInt64 = 29
    package static let CAP_AUDIT_CONTROL: UInt64 = 30
    package static let CAP_SETFCAP: UInt64 = 31
    package static let CAP_MAC_OVERRIDE: UInt64 = 32
    package static let CAP_MAC_ADMIN: UInt64 = 33
    package static let CAP_SYSLOG: UInt64 = 34
    package static let CAP_WAKE_ALARM: UInt64 = 35
    package static let CAP_BLOCK_SUSPEND: UInt64 = 36
    package static let CAP_AUDIT_READ: UInt64 = 37
    package static let CAP_PERFMON: UInt64 = 38
    package static let CAP_BPF: UInt64 = 39
    package static let CAP_CHECKPOINT_RESTORE: UInt64 = 40
    package static let CAP_LAST_CAP: UInt64 = 40

    /// A set of some capabilities, as `/proc/PID/status` and capset(2) tell it.
    package static func set(_ capabilities: UInt64...) -> UInt64 {
        capabilities.reduce(0) { $0 | 1 << $1 }
    }
}

/// Versions of the header of capset(2).
///
/// - Source: linux/capability.h.
package enum CapabilityVersion {
    package static let _LINUX_CAPABILITY_VERSION_3: UInt32 = 0x2008_0522
}

/// Secure bits as masks, PR_SET_SECUREBITS.
///
/// - Source: linux/securebits.h.
package enum SecureBit {
    /// Those of Linux 6.14, each with its lock.
    package static let all: UInt32 = 0xfff
    package static let SECBIT_NOROOT: UInt32 = 1
    package static let SECBIT_NOROOT_LOCKED: UInt32 = 2
    package static let SECBIT_NO_SETUID_FIXUP: UInt32 = 4
    package static let SECBIT_NO_SETUID_FIXUP_LOCKED: UInt32 = 8
    package static let SECBIT_KEEP_CAPS: UInt32 = 0x10
    package static let SECBIT_KEEP_CAPS_LOCKED: UInt32 = 0x20
    package static let SECBIT_NO_CAP_AMBIENT_RAISE: UInt32 = 0x40
    package static let SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED: UInt32 = 0x80
    package static let SECBIT_EXEC_RESTRICT_FILE: UInt32 = 0x100
    package static let SECBIT_EXEC_RESTRICT_FILE_LOCKED: UInt32 = 0x200
    package static let SECBIT_EXEC_DENY_INTERACTIVE: UInt32 = 0x400
    package static let SECBIT_EXEC_DENY_INTERACTIVE_LOCKED: UInt32 = 0x800
}
