internal import CKernel
internal import Glibc

extension Channel {
    /// Waits until there is something to read, or the end.
    ///
    /// - Parameter isInterrupted: asked several times a second.
    /// - Errors: `EINTR`: it is interrupted.
    package static func awaitInput(_ number: Int32, unless isInterrupted: () -> Bool) throws(SystemError) {
        while true {
            var look = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
            let result = unsafe Glibc.poll(&look, 1, 100)
            // An error is for read(2) to tell.
            if result > 0 { return }
            if isInterrupted() { throw SystemError(EINTR, in: "read") }
        }
    }

    /// What has arrived, at most `count` bytes; empty at the end.
    package static func read(_ number: Int32, upTo count: Int) throws(SystemError) -> [UInt8] { try readBytes(number, upTo: count, at: nil) }
}
