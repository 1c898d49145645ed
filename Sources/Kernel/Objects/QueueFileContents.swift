internal import Glibc

/// What no call tells of a POSIX message queue.
///
/// - Source: ipc/mqueue.c, `struct mqueue_inode_info`.
package struct QueueFileContents: Equatable, Sendable {
    package struct Message: Equatable, Sendable {
        package var priority: UInt32
        package var text: [UInt8]
    }

    /// The value that comes with the signal (SIGEV_SIGNAL), `sigev_value`.
    package var value: UInt64 = 0
    /// Of SIGEV_THREAD: the inode of the netlink socket by which the program's helper thread is told, and what that is told.
    package var socket: UInt64 = 0
    package var cookie: [UInt8] = []
    /// What waits, by increasing priority, within one priority in order.
    package var messages: [Message] = []

    package init() {}
}

extension KernelReader {
    /// The notification of a queue, and with `hasMessages` all that waits in it. Nothing is taken.
    ///
    /// - Parameter tellsThread: it notifies by SIGEV_THREAD. Otherwise the kernel has no socket there, but what another queue left.
    /// - Preconditions: the processes that use the queue stand still; else it may be a moment's nonsense.
    /// - Errors: `E2BIG`: more than a mebibyte waits.
    package func queueContents(of pid: Int32, descriptor: Int32, hasMessages: Bool, tellsThread: Bool) throws(SystemError) -> QueueFileContents {
        // By its own file: the queue may have no name.
        let copy = try Descriptor.open(task: pid).duplicate(remote: descriptor)
        let queue = try word(try file(copy), "file", "f_inode") &- UInt64(try offset("mqueue_inode_info", "vfs_inode"))
        var contents = QueueFileContents()
        contents.value = try word(queue &+ UInt64(try offset("mqueue_inode_info", "notify")), "sigevent", "sigev_value")
        if tellsThread {
            let cookie = try word(queue, "mqueue_inode_info", "notify_cookie")
            let socket = try word(queue, "mqueue_inode_info", "notify_sock")
            contents.cookie = try read(try word(cookie, "sk_buff", "data"), Self.bytesOfCookie)
            let file = try word(socket, "sock", "sk_socket") &- UInt64(try offset("socket_alloc", "socket"))
            contents.socket = try word(file &+ UInt64(try offset("socket_alloc", "vfs_inode")), "inode", "i_ino")
        }
        if hasMessages {
            var size = 0
            try readMessages(try word(queue, "mqueue_inode_info", "msg_tree.rb_node"), depth: 0, &contents.messages, &size)
        }
        return contents
    }

    /// NOTIFY_COOKIE_LEN
    private static let bytesOfCookie = 32
    private static let mostBytes = 1 << 20
    /// A red-black tree of as many priorities as there are has no more levels.
    private static let mostLevels = 40

    /// A tree with a list of messages for each priority.
    private func readMessages(_ node: UInt64, depth: Int, _ found: inout [QueueFileContents.Message], _ size: inout Int) throws(SystemError) {
        if node == 0 { return }
        guard depth < Self.mostLevels else { throw SystemError(EAGAIN, in: "read the messages of a queue") }
        try readMessages(try word(node, "rb_node", "rb_left"), depth: depth + 1, &found, &size)
        let place = node &- UInt64(try offset("posix_msg_tree_node", "rb_node"))
        let head = place &+ UInt64(try offset("posix_msg_tree_node", "msg_list"))
        let link = UInt64(try offset("msg_msg", "m_list"))
        var entry = try word(head)
        while entry != head {
            guard entry != 0 else { throw SystemError(EAGAIN, in: "read the messages of a queue") }
            let message = entry &- link
            let text = try self.text(of: message)
            size += max(text.count, 1)
            guard size <= Self.mostBytes else { throw SystemError(E2BIG, in: "read the messages of a queue") }
            found.append(.init(priority: UInt32(truncatingIfNeeded: try word(message, "msg_msg", "m_type")), text: text))
            entry = try word(entry)
        }
        try readMessages(try word(node, "rb_node", "rb_right"), depth: depth + 1, &found, &size)
    }

    /// The first part of a message lies behind its header, each further one behind a header of its own, one page together.
    ///
    /// - Source: ipc/msgutil.c, `load_msg`.
    private func text(of message: UInt64) throws(SystemError) -> [UInt8] {
        var left = Int(clamping: try word(message, "msg_msg", "m_ts"))
        guard left <= Self.mostBytes else { throw SystemError(E2BIG, in: "read the messages of a queue") }
        var header = try layout.size("msg_msg")
        var place = message
        var next = try word(message, "msg_msg", "next")
        var text: [UInt8] = []
        while true {
            let part = min(left, Int(Kernel.pageSize) - header)
            text += try read(place &+ UInt64(header), part)
            left -= part
            if left == 0 { return text }
            guard next != 0 else { throw SystemError(EAGAIN, in: "read the messages of a queue") }
            (place, header) = (next, try layout.size("msg_msgseg"))
            next = try word(place, "msg_msgseg", "next")
        }
    }
}
