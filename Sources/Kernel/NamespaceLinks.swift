internal import CKernel
internal import Glibc

/// The namespaces of one thread by the kernel's names for them, several of which are read through one open directory: most of
/// what such a link costs is the way to it.
///
/// If the thread is gone the initialiser throws `ENOENT`, and later on every link seems not to be there.
///
/// - Source: namespaces(7), `/proc/pid/ns`.
package struct NamespaceLinks: ~Copyable {
    private let directory: Descriptor

    package init(of pid: Int32, thread: Int32) throws(SystemError) {
        directory = try Descriptor.open("/proc/\(pid)/task/\(thread)/ns", O_RDONLY | O_DIRECTORY)
    }

    /// Nil: this kernel has no such kind; of `pid_for_children`: one that was made by unshare(2) and has no process yet.
    ///
    /// - Parameter name: e.g. `net`.
    @inline(never)
    package borrowing func link(_ name: String) throws(SystemError) -> [UInt8]? {
        try FaultPoint.readLink.pass("readlink ns/\(name)")
        let number = directory.number
        // A type, a number of 32 bits and three signs.
        let capacity = 64
        var result = 0
        // The kernel writes at most `capacity` bytes; exactly that many are taken as filled.
        let target = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            result = withPath(name) { text in
                ckernel_syscall(Int(SYS_readlinkat), Int(number), text, Int(bitPattern: buffer.baseAddress), capacity, 0, 0)
            }
            filled = max(0, result)
        }
        if result == -Int(ENOENT) { return nil }
        _ = try SystemError.check(result, "readlink ns/\(name)")
        return target
    }
}
