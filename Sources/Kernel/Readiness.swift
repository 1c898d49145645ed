internal import CKernel
internal import Glibc

/// Waits for several descriptors.
///
/// - Source: poll(2), signalfd(2).
package enum Readiness {
    package struct Look: Sendable {
        var number: Int32
        var writing: Bool

        package init(_ number: Int32, writing: Bool = false) { (self.number, self.writing) = (number, writing) }
    }

    /// Those that can be read from, or that have been hung up; for all it is waited until one can be read from or, where asked
    /// for, written to.
    @inline(never)
    package static func wait(_ looks: [Look], milliseconds: Int32) -> (readable: [Int32], writable: [Int32]) {
        var list = looks.map { pollfd(fd: $0.number, events: Int16(POLLIN) | ($0.writing ? Int16(POLLOUT) : 0), revents: 0) }
        // As many structures as are told.
        guard unsafe poll(&list, UInt(list.count), milliseconds) > 0 else { return ([], []) }
        return (
            list.filter { $0.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 }.map(\.fd),
            list.filter { $0.revents & Int16(POLLOUT) != 0 }.map(\.fd)
        )
    }

    /// Writes what can be written at once.
    ///
    /// - Returns: how many bytes.
    @inline(never)
    package static func writeSome(_ bytes: [UInt8], to number: Int32) -> Int {
        var look = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
        guard unsafe poll(&look, 1, 0) > 0, look.revents & Int16(POLLOUT) != 0 else { return 0 }
        let result = unsafe bytes.withUnsafeBytes { buffer in
            // A terminal takes at least one byte without waiting.
            ckernel_syscall(Int(SYS_write), Int(number), Int(bitPattern: buffer.baseAddress), min(buffer.count, 256), 0, 0, 0)
        }
        return max(0, result)
    }
}

extension SignalQueue {
    /// Readable while one of the signals waits.
    @inline(never)
    package func descriptor() throws(SystemError) -> Descriptor {
        var mask = self.mask
        let result = unsafe withUnsafePointer(to: &mask) { set in
            ckernel_syscall(Int(SYS_signalfd4), -1, Int(bitPattern: set), 8, Int(O_CLOEXEC), 0, 0)
        }
        return Descriptor(owning: Int32(try SystemError.check(result, "signalfd4")))
    }
}
