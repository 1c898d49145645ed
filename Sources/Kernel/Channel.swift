internal import CKernel
internal import Glibc
internal import LinuxABI

/// A pipe for short messages between parent and child. End of file tells that the other process has ended.
package enum Channel {
    /// SIGIO is sent to this process when something arrives, or the other end closes.
    package static func announce(_ number: Int32) {
        _ = ckernel_syscall(Int(SYS_fcntl), Int(number), Int(F_SETOWN), Int(getpid()), 0, 0, 0)
        let flags = ckernel_syscall(Int(SYS_fcntl), Int(number), Int(F_GETFL), 0, 0, 0, 0)
        _ = ckernel_syscall(
            Int(SYS_fcntl), Int(number), Int(F_SETFL), flags | Int(O_ASYNC) | Int(O_NONBLOCK), 0, 0, 0)
    }

    /// What has arrived: nil nothing yet, empty: the other end is gone.
    package static func poll(_ number: Int32) -> [UInt8]? {
        var look = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
        guard unsafe Glibc.poll(&look, 1, 0) > 0 else { return nil }
        return try? readBytes(number, upTo: 64, at: nil)
    }

    /// Waits for a byte. False: the other end closed.
    package static func awaitByte(_ number: Int32) -> Bool {
        guard let bytes = try? readBytes(number, upTo: 1, at: nil) else { return false }
        return !bytes.isEmpty
    }

    package static func send(_ bytes: [UInt8], over number: Int32) {
        let end = Descriptor(owning: number)
        try? end.write(bytes)
        _ = end.release()
    }

    /// Waits until there is something to read, or the other end has closed. False: the deadline (monotonic clock) came first.
    @inline(never)
    package static func wait(_ number: Int32, until deadline: Int64) -> Bool {
        while true {
            let left = deadline - SystemClock.monotonic.now()
            if left <= 0 { return false }
            var look = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
            // EINTR: once more.
            if unsafe Glibc.poll(&look, 1, Int32(min(left / 1_000_000 + 1, 1_000_000))) > 0 { return true }
        }
    }

    /// What came of waiting for a line.
    package enum Line: Equatable, Sendable {
        /// Without its newline; at most 256 bytes.
        case text([UInt8])
        case closed
        case late
    }

    /// Reads up to the first newline and no byte beyond it.
    package static func line(_ number: Int32, until deadline: Int64) -> Line {
        var text: [UInt8] = []
        while text.count < 256 {
            guard wait(number, until: deadline) else { return .late }
            guard let byte = (try? readBytes(number, upTo: 1, at: nil))?.first else { return .closed }
            if byte == UInt8(ascii: "\n") { break }
            text.append(byte)
        }
        return .text(text)
    }

    /// Writes a line.
    package static func tell(_ line: String, over number: Int32) throws(SystemError) {
        let end = Descriptor(owning: number)
        do throws(SystemError) { try end.write(Array((line + "\n").utf8)) } catch {
            _ = end.release()
            throw error
        }
        _ = end.release()
    }

    /// Tells the reader of a stream that nothing more comes; a socket can still be read from.
    package static func endOutput(_ number: Int32) {
        if ckernel_syscall(Int(SYS_shutdown), Int(number), Int(SHUT_WR), 0, 0, 0, 0) == 0 { return }
        guard let nothing = try? Descriptor.open("/dev/null", O_WRONLY) else { return DescriptorTable.close(number) }
        _ = ckernel_syscall(Int(SYS_dup3), Int(nothing.number), Int(number), 0, 0, 0, 0)
    }
}
