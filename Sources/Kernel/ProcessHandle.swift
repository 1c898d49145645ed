internal import CKernel
internal import Glibc
internal import LinuxABI

/// A process by descriptor: signals can never reach another one that got its number.
package struct ProcessHandle: ~Copyable {
    private let descriptor: Descriptor

    package init(_ pid: Int32) throws(SystemError) { descriptor = try Descriptor.open(process: pid) }

    /// - Errors: `ESRCH`: it has ended.
    package borrowing func send(_ signal: Int32) throws(SystemError) {
        try ProcessHandles.send(signal, to: descriptor.number)
    }
}

/// Many of them, each with its process's number; they are closed together.
package final class ProcessHandles {
    /// In the order in which they were given.
    package let pids: [Int32]
    package private(set) var numbers: [Int32] = []

    /// - Errors: `EMFILE`: there are more processes than descriptors left.
    package init(_ pids: [Int32]) throws(SystemError) {
        self.pids = pids
        do throws(SystemError) {
            for pid in pids { numbers.append(try Descriptor.open(process: pid).release()) }
        } catch {
            close()
            throw error
        }
    }

    deinit { close() }

    private func close() { for number in numbers { DescriptorTable.close(number) } }

    /// Sends a signal to the process at a position; 0 only asks whether that is allowed.
    ///
    /// - Errors: `ESRCH`: it has ended; `EPERM`.
    package func send(_ signal: Int32, to position: Int) throws(SystemError) { try Self.send(signal, to: numbers[position]) }

    /// The positions of those that have not ended yet, after a wait of at most `milliseconds` for the first of them. A process
    /// has ended when its last thread has, whether its parent has waited for it or not.
    ///
    /// - Source: pidfd_open(2): readable.
    @inline(never)
    package func living(among positions: [Int], waiting milliseconds: Int32) -> [Int] {
        if positions.isEmpty { return [] }
        var looks = positions.map { pollfd(fd: numbers[$0], events: Int16(POLLIN), revents: 0) }
        _ = unsafe poll(&looks, UInt(looks.count), milliseconds)
        return zip(positions, looks).filter { $1.revents == 0 }.map { $0.0 }
    }

    @inline(never)
    fileprivate static func send(_ signal: Int32, to number: Int32) throws(SystemError) {
        try FaultPoint.pidfdSignal.pass("pidfd_send_signal")
        let result = ckernel_syscall(Int(SYS_pidfd_send_signal), Int(number), Int(signal), 0, 0, 0, 0)
        _ = try SystemError.check(result, "pidfd_send_signal")
    }
}
