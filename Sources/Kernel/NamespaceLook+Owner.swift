internal import CKernel
internal import Glibc
internal import LinuxABI

extension NamespaceLook {
    /// The user namespace that owns a namespace.
    ///
    /// - Parameters:
    ///   - link: of the namespace, in `/proc/PID/ns`.
    /// - Errors: `EPERM`: the owner is not nested in ours.
    /// - Source: ioctl_ns(2), NS_GET_USERNS.
    @inline(never)
    package static func owner(of link: String) throws(SystemError) -> [UInt8] {
        let namespace = try Descriptor.open(link)
        let result = ckernel_syscall(Int(SYS_ioctl), Int(namespace.number), Int(Ioctl.NS_GET_USERNS), 0, 0, 0, 0)
        let owner = Descriptor(owning: Int32(try SystemError.check(result, "ioctl(NS_GET_USERNS)")))
        return try readLink("/proc/self/fd/\(owner.number)")
    }
}
