internal import CKernel
internal import Glibc
internal import LinuxABI

/// A System V message queue of our ipc namespace.
///
/// - Source: proc(5), `/proc/sysvipc/msg`; msgctl(2), msgop(2).
package struct MessageQueueState: Equatable, Sendable {
    package struct Message: Equatable, Sendable {
        /// `mtype`, above 0.
        package var type: Int64
        package var text: [UInt8]
    }

    /// As msgget(2) gave it.
    package var number: Int32
    package var key: UInt32
    package var mode: UInt32
    package var owner: UInt32
    package var group: UInt32
    /// Bytes of all texts.
    package var size: Int
    /// The processes that sent and took the last message, by their pids in this pid namespace; 0: none that has one here.
    package var lastSender: Int32
    package var lastReceiver: Int32
    /// Bytes that fit in, and what is in it; nothing until `readMessages`.
    package var limit: UInt64 = 0
    package var messages: [Message] = []
}

extension MessageQueueState {
    /// All queues, without their messages.
    package static func all() throws(SystemError) -> [MessageQueueState] {
        try parse(try readKernelText("/proc/sysvipc/msg"))
    }

    static func parse(_ text: [UInt8]) throws(SystemError) -> [MessageQueueState] {
        var queues: [MessageQueueState] = []
        var cursor = ByteCursor(text)
        cursor.skipLine()
        while !cursor.isAtEnd {
            // key msqid perms cbytes qnum lspid lrpid uid gid ...
            guard let key = cursor.signed(), let number = cursor.decimal(), let mode = cursor.octal(), let size = cursor.decimal(),
                cursor.decimal() != nil, let sender = cursor.decimal(), let receiver = cursor.decimal(), let owner = cursor.decimal(),
                let group = cursor.decimal()
            else { throw malformed("/proc/sysvipc/msg") }
            queues.append(
                MessageQueueState(
                    number: Int32(truncatingIfNeeded: number), key: UInt32(truncatingIfNeeded: key), mode: UInt32(mode) & 0o777,
                    owner: UInt32(truncatingIfNeeded: owner), group: UInt32(truncatingIfNeeded: group), size: Int(truncatingIfNeeded: size),
                    lastSender: Int32(truncatingIfNeeded: sender), lastReceiver: Int32(truncatingIfNeeded: receiver)))
            cursor.skipLine()
        }
        return queues
    }

    /// The queue that a stopped or sleeping thread is in msgsnd(2) or msgrcv(2) with, by its number.
    package static func awaited(by thread: Int32) -> Int32? {
        guard let text = try? readKernelText("/proc/\(thread)/syscall", capacity: 256), let call = LastSleep.parseCall(text),
            call[0] == UInt64(SYS_msgsnd) || call[0] == UInt64(SYS_msgrcv)
        else { return nil }
        return Int32(truncatingIfNeeded: call[1])
    }

    /// Asks for the messages, and takes none of them.
    ///
    /// - Throws: `EACCES` without the right to read the queue, `EINVAL` where it is gone, `ENOSYS` where the kernel shows no
    ///   message that it does not give away (CONFIG_CHECKPOINT_RESTORE).
    package mutating func readMessages() throws(SystemError) {
        limit = try MessageQueues.description(of: number)[MessageQueues.limitWord]
        messages = []
        while let message = try copy(of: messages.count) { messages.append(message) }
    }

    /// - Source: msgop(2), MSG_COPY.
    @inline(never)
    private func copy(of index: Int) throws(SystemError) -> Message? {
        var buffer = [UInt8](repeating: 0, count: 8 + size)
        // In bounds: the kernel writes the type and at most `size` bytes; a queue that has grown meanwhile is cut (MSG_NOERROR).
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            ckernel_syscall(
                Int(SYS_msgrcv), Int(number), Int(bitPattern: bytes.baseAddress), size, index,
                Int(IPC.MSG_COPY | IPC.IPC_NOWAIT | IPC.MSG_NOERROR), 0)
        }
        if result == -Int(ENOMSG) { return nil }
        let count = try SystemError.check(result, "msgrcv(MSG_COPY)")
        return Message(type: Int64(bitPattern: littleEndian8(buffer, at: 0)), text: Array(buffer[8..<8 + count]))
    }
}

/// Makes, fills and removes message queues.
package enum MessageQueues {
    private static let nextNumber = "/proc/sys/kernel/msg_next_id"
    /// `struct msqid64_ds` in words of 64 bits: key and uid, gid and cuid, cgid and mode; at 11 msg_qbytes.
    private static let words = 15
    fileprivate static let limitWord = 11

    /// Whether a queue's number can be chosen (CONFIG_CHECKPOINT_RESTORE and CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE).
    package static func mayChooseNumber() -> Bool { (try? Descriptor.open(nextNumber, O_WRONLY)) != nil }

    /// Bytes of the longest message, and of all texts of a queue, that need no privilege.
    package static func limits() -> (message: UInt64, queue: UInt64) {
        func number(_ name: String) -> UInt64 {
            guard let text = try? readKernelText("/proc/sys/kernel/\(name)", capacity: 64) else { return 0 }
            var cursor = ByteCursor(text)
            return cursor.decimal() ?? 0
        }
        return (number("msgmax"), number("msgmnb"))
    }

    @inline(never)
    fileprivate static func description(of number: Int32) throws(SystemError) -> [UInt64] {
        var buffer = [UInt64](repeating: 0, count: words)
        // In bounds: the kernel writes one structure.
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            ckernel_syscall(Int(SYS_msgctl), Int(number), Int(IPC.IPC_STAT), Int(bitPattern: bytes.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(result, "msgctl(IPC_STAT)")
        return buffer
    }

    /// Makes an empty queue with this number.
    ///
    /// - Throws: `EEXIST` where the key or the number is taken.
    package static func make(number: Int32, key: UInt32, mode: UInt32) throws(SystemError) {
        try Descriptor.open(nextNumber, O_WRONLY).write(Array("\(number)".utf8))
        let flags = IPC.IPC_CREAT | IPC.IPC_EXCL | UInt64(mode)
        let made = try SystemError.check(
            ckernel_syscall(Int(SYS_msgget), Int(Int32(bitPattern: key)), Int(flags), 0, 0, 0, 0), "msgget")
        if made != Int(number) {
            remove(Int32(made))
            throw SystemError(EEXIST, in: "msgget: its number is taken")
        }
    }

    /// Sets owner, permissions and limit.
    @inline(never)
    package static func setOwner(of number: Int32, owner: UInt32, group: UInt32, mode: UInt32, limit: UInt64) throws(SystemError) {
        var buffer = try description(of: number)
        buffer[0] = buffer[0] & 0xffff_ffff | UInt64(owner) << 32
        buffer[1] = buffer[1] & ~0xffff_ffff | UInt64(group)
        buffer[2] = buffer[2] & 0xffff_ffff | UInt64(mode) << 32
        buffer[limitWord] = limit
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            ckernel_syscall(Int(SYS_msgctl), Int(number), Int(IPC.IPC_SET), Int(bitPattern: bytes.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(result, "msgctl(IPC_SET)")
    }

    @inline(never)
    package static func send(_ type: Int64, _ text: [UInt8], to number: Int32) throws(SystemError) {
        var buffer: [UInt8] = []
        for byte in 0..<8 { buffer.append(UInt8(truncatingIfNeeded: UInt64(bitPattern: type) >> UInt64(byte * 8))) }
        buffer += text
        // In bounds: the kernel reads the type and the text.
        let result = unsafe buffer.withUnsafeBytes { bytes in
            ckernel_syscall(
                Int(SYS_msgsnd), Int(number), Int(bitPattern: bytes.baseAddress), text.count, Int(IPC.IPC_NOWAIT), 0, 0)
        }
        _ = try SystemError.check(result, "msgsnd")
    }

    package static func remove(_ number: Int32) {
        _ = ckernel_syscall(Int(SYS_msgctl), Int(number), Int(IPC.IPC_RMID), 0, 0, 0, 0)
    }
}
