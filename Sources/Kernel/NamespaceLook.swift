internal import CKernel
internal import Glibc
internal import LinuxABI

/// The namespaces of a process by the kernel's names for them, e.g. `pid:[4026531836]`.
///
/// - Source: namespaces(7), `/proc/pid/ns`; ioctl_ns(2).
package enum NamespaceLook {
    /// The pid namespace that a process lives in; a zombie, too.
    package static func pid(of pid: Int32) throws(SystemError) -> [UInt8] { try readLink("/proc/\(pid)/ns/pid") }

    /// The pid namespace around that of a process.
    ///
    /// - Errors: `EPERM`: it is not nested in ours.
    @inline(never)
    package static func parentPid(of pid: Int32) throws(SystemError) -> [UInt8] {
        try FaultPoint.namespaceParent.pass("ioctl(NS_GET_PARENT)")
        let own = try Descriptor.open("/proc/\(pid)/ns/pid")
        let result = ckernel_syscall(Int(SYS_ioctl), Int(own.number), Int(Ioctl.NS_GET_PARENT), 0, 0, 0, 0)
        let parent = Descriptor(owning: Int32(try SystemError.check(result, "ioctl(NS_GET_PARENT)")))
        return try readLink("/proc/self/fd/\(parent.number)")
    }

    /// The pid namespace whose processes a process sees in its `/proc`; nil if its `/proc` shows no process 1.
    package static func shownByProc(of pid: Int32) -> [UInt8]? { try? readLink("/proc/\(pid)/root/proc/1/ns/pid") }
}
