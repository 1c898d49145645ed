internal import CKernel
internal import Glibc
internal import LinuxABI

extension UnixSocketLook {
    /// Everything that waits in it, in order.
    ///
    /// SO_PEEK_OFF walks through what follows the first message, and gets its old value back. If this process dies
    /// meanwhile, the option keeps a wrong value: only MSG_PEEK of the program itself would see that.
    ///
    /// - Preconditions: no other process receives from it.
    package borrowing func messages(isStream: Bool, ended: Bool) throws(SystemError) -> [Message] {
        let old = option(SocketOptions.SO_PEEK_OFF)
        // An offset is one number, -1: there is none.
        let isUsed = old.map { $0 != [0xff, 0xff, 0xff, 0xff] } ?? false
        if isUsed { try socket.setPeekOffset(0) }
        var moved = isUsed
        var messages: [Message] = []
        do throws(SystemError) {
            if isStream {
                try lookIntoStream(&messages, &moved)
            } else {
                for one in try socket.packets(&moved, ended: ended) {
                    messages.append(Message(bytes: one.bytes, files: one.files, sender: one.sender, from: Self.trimmed(one.from, one.from.count)))
                }
            }
        } catch {
            for message in messages { Self.close(message.files) }
            if moved, let old { try socket.setPeekOffset(old) }
            throw error
        }
        if moved, let old { try socket.setPeekOffset(old) }
        return messages
    }

    /// A peek returns what waits up to the first piece with descriptors, including that, so each ends a message.
    private borrowing func lookIntoStream(_ messages: inout [Message], _ moved: inout Bool) throws(SystemError) {
        let total = socket.bytesWaiting()
        var offset = 0
        func look(_ place: Int, _ count: Int) throws(SystemError) -> SocketHandle.Peek? {
            if place > 0 || moved {
                moved = true
                try socket.setPeekOffset(place)
            }
            return try socket.peek(count)
        }
        while offset < total {
            guard let whole = try look(offset, total - offset), !whole.bytes.isEmpty else {
                throw SystemError(EIO, in: "recvmsg: \(offset) of \(total) bytes")
            }
            var plain = 0
            if !whole.files.isEmpty && whole.bytes.count > 1 {
                moved = true
                try socket.setPeekOffset(offset)
                plain = try bytesBeforeLastPiece(of: whole.bytes.count)
            }
            if plain > 0 { messages.append(Message(bytes: Array(whole.bytes[..<plain]), sender: whole.sender)) }
            messages.append(Message(bytes: Array(whole.bytes[plain...]), files: whole.files, sender: whole.sender))
            offset += whole.bytes.count
        }
    }

    /// Where the last of the pieces begins of which the next `count` bytes of a stream consist. A piece is copied as a whole or not
    /// at all: into a room that is one byte too small for all of them, the last one is not. (A peek of a few bytes does not
    /// tell: it returns the descriptors of the piece that follows.)
    ///
    /// - Source: net/unix/af_unix.c, `unix_stream_read_generic`.
    @inline(never)
    private borrowing func bytesBeforeLastPiece(of count: Int) throws(SystemError) -> Int {
        let page = Int(Kernel.pageSize)
        let room = (count + page - 1) / page * page
        guard let start = unsafe mmap(nil, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), unsafe start != MAP_FAILED else {
            throw SystemError(ENOMEM, in: "mmap")
        }
        defer { unsafe munmap(start, room + page) }
        guard unsafe mprotect(start + room, page, PROT_NONE) == 0 else { throw SystemError(ENOMEM, in: "mprotect") }
        // The kernel writes below the page that nothing can be written to, and no further.
        let place = unsafe Int(bitPattern: start) + room - (count - 1)
        let result = ckernel_syscall(Int(SYS_recvfrom), Int(copy), place, count, Int(Socket.MSG_PEEK | Socket.MSG_DONTWAIT), 0, 0)
        if result == -Int(EFAULT) { return 0 }
        let size = try SystemError.check(result, "recvfrom(MSG_PEEK)")
        guard size < count else { throw SystemError(EIO, in: "recvfrom: \(size) of \(count) bytes") }
        return size
    }

    package static func close(_ files: [Int32]) { for file in files { _ = Descriptor(owning: file) } }
}
