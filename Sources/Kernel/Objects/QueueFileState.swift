internal import CKernel
internal import Glibc
internal import LinuxABI

/// A POSIX message queue.
///
/// - Source: mq_overview(7), mq_getattr(3); ipc/mqueue.c, `mqueue_read_file`.
package struct QueueFileState: Equatable, Sendable {
    package var mostMessages: UInt64
    package var longestMessage: UInt64
    package var messages: UInt64
    /// Which process is told of the next message (mq_notify(3)); nil: none.
    package var notification: Notification?

    package struct Notification: Equatable, Sendable {
        /// Its pid in this pid namespace.
        package var process: Int32
        /// SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD.
        package var method: UInt32
        /// Of SIGEV_SIGNAL.
        package var signal: UInt32
    }

    /// Opens the queue once more, through the descriptor of a process: it is not changed by that.
    package static func read(of pid: Int32, descriptor: Int32) throws(SystemError) -> QueueFileState {
        let file = try Descriptor.open("/proc/\(pid)/fd/\(descriptor)", O_RDONLY | O_NONBLOCK)
        var state = try attributes(of: file)
        state.notification = notification(in: try file.read(upTo: 256))
        return state
    }

    /// `QSIZE:129 NOTIFY:0 SIGNO:10 NOTIFY_PID:8260`
    static func notification(in text: [UInt8]) -> Notification? {
        func number(_ name: String) -> Int64? {
            let start = Array("\(name):".utf8)
            guard let word = text.split(whereSeparator: { $0 <= .blank }).first(where: { $0.starts(with: start) }) else { return nil }
            var cursor = ByteCursor(Array(word.dropFirst(start.count)))
            return cursor.signed()
        }
        guard let process = number("NOTIFY_PID"), process != 0 else { return nil }
        return Notification(
            process: Int32(truncatingIfNeeded: process), method: UInt32(truncatingIfNeeded: number("NOTIFY") ?? 0),
            signal: UInt32(truncatingIfNeeded: number("SIGNO") ?? 0))
    }

    @inline(never)
    private static func attributes(of file: borrowing Descriptor) throws(SystemError) -> QueueFileState {
        // struct mq_attr: flags, maxmsg, msgsize, curmsgs, four reserved.
        var words = [UInt64](repeating: 0, count: 8)
        let number = Int(file.number)
        let asked = unsafe words.withUnsafeMutableBytes { bytes in
            ckernel_syscall(Int(SYS_mq_getsetattr), number, 0, Int(bitPattern: bytes.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(asked, "mq_getattr")
        return QueueFileState(mostMessages: words[1], longestMessage: words[2], messages: words[3])
    }

    /// The queue of this name; nil: there is none.
    ///
    /// - Parameter access: O_RDONLY, O_WRONLY or O_RDWR.
    /// - Throws: `EACCES`.
    package static func find(_ name: [UInt8], access: UInt32) throws(SystemError) -> QueueFileState? {
        let opened = withPath(name) { text in
            ckernel_syscall(Int(SYS_mq_open), text, Int(access | OpenFlag.O_NONBLOCK | OpenFlag.O_CLOEXEC), 0, 0, 0, 0)
        }
        if opened == -Int(ENOENT) { return nil }
        let file = Descriptor(owning: Int32(try SystemError.check(opened, "mq_open")))
        return try attributes(of: file)
    }

    /// Makes an empty queue.
    @inline(never)
    package func make(_ name: [UInt8], mode: UInt32, owner: UInt32, group: UInt32) throws(SystemError) {
        let words = [0, mostMessages, longestMessage, 0, 0, 0, 0, 0]
        let flags = OpenFlag.O_CREAT | OpenFlag.O_EXCL | OpenFlag.O_RDWR | OpenFlag.O_CLOEXEC
        let opened = unsafe words.withUnsafeBytes { attributes in
            withPath(name) { text in
                ckernel_syscall(Int(SYS_mq_open), text, Int(flags), Int(mode), Int(bitPattern: attributes.baseAddress), 0, 0)
            }
        }
        let file = Descriptor(owning: Int32(try SystemError.check(opened, "mq_open")))
        if fchown(file.number, owner, group) != 0 || fchmod(file.number, mode) != 0 {
            let error = SystemError(errno, in: "fchown")
            Self.remove(name)
            throw error
        }
    }

    package init(mostMessages: UInt64, longestMessage: UInt64, messages: UInt64) {
        self.mostMessages = mostMessages
        self.longestMessage = longestMessage
        self.messages = messages
    }

    package static func remove(_ name: [UInt8]) {
        _ = withPath(name) { text in ckernel_syscall(Int(SYS_mq_unlink), text, 0, 0, 0, 0, 0) }
    }
}
