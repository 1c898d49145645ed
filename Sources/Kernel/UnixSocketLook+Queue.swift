internal import CKernel
internal import Glibc
internal import LinuxABI

extension UnixSocketLook {
    struct Peek {
        var bytes: [UInt8]
        /// Of the whole message, of which `bytes` may be a part.
        var count: Int
        var files: [Int32]
        var sender: Credentials?
        var from: [UInt8]
    }

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
        if isUsed { try setPeekOffset(0) }
        var moved = isUsed
        var messages: [Message] = []
        do throws(SystemError) {
            if isStream {
                try lookIntoStream(&messages, &moved)
            } else {
                try lookIntoPackets(&messages, &moved, ended: ended)
            }
        } catch {
            for message in messages { Self.close(message.files) }
            if moved, let old { try setPeekOffset(old) }
            throw error
        }
        if moved, let old { try setPeekOffset(old) }
        return messages
    }

    /// A peek returns what waits up to the first piece with descriptors, including that, so each ends a message.
    private borrowing func lookIntoStream(_ messages: inout [Message], _ moved: inout Bool) throws(SystemError) {
        let total = bytesWaiting()
        var offset = 0
        func look(_ place: Int, _ count: Int) throws(SystemError) -> Peek? {
            if place > 0 || moved {
                moved = true
                try setPeekOffset(place)
            }
            return try peek(count)
        }
        while offset < total {
            guard let whole = try look(offset, total - offset), !whole.bytes.isEmpty else {
                throw SystemError(EIO, in: "recvmsg: \(offset) of \(total) bytes")
            }
            var plain = 0
            if !whole.files.isEmpty && whole.bytes.count > 1 {
                moved = true
                try setPeekOffset(offset)
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
        let result = ckernel_syscall(Int(SYS_recvfrom), Int(copy.number), place, count, Int(Socket.MSG_PEEK | Socket.MSG_DONTWAIT), 0, 0)
        if result == -Int(EFAULT) { return 0 }
        let size = try SystemError.check(result, "recvfrom(MSG_PEEK)")
        guard size < count else { throw SystemError(EIO, in: "recvfrom: \(size) of \(count) bytes") }
        return size
    }

    /// - Parameter ended: it receives no more: an empty message cannot be told from the end.
    private borrowing func lookIntoPackets(_ messages: inout [Message], _ moved: inout Bool, ended: Bool) throws(SystemError) {
        var offset = 0
        while true {
            if !messages.isEmpty || moved {
                moved = true
                try setPeekOffset(offset)
            }
            guard var one = try peek(1 << 16) else { return }
            if one.count > one.bytes.count {
                Self.close(one.files)
                moved = true
                try setPeekOffset(offset)
                guard let whole = try peek(one.count) else { return }
                one = whole
            }
            if one.bytes.isEmpty && ended { return }
            messages.append(Message(bytes: one.bytes, files: one.files, sender: one.sender, from: one.from))
            offset += one.bytes.count
        }
    }

    package static func close(_ files: [Int32]) { for file in files { _ = Descriptor(owning: file) } }

    private borrowing func setPeekOffset(_ offset: Int) throws(SystemError) {
        try setPeekOffset((0..<4).map { UInt8(truncatingIfNeeded: offset >> ($0 * 8)) })
    }

    @inline(never)
    private borrowing func setPeekOffset(_ value: [UInt8]) throws(SystemError) {
        let result = unsafe value.withUnsafeBytes { bytes in
            ckernel_syscall(
                Int(SYS_setsockopt), Int(copy.number), Int(SOL_SOCKET), Int(SocketOptions.SO_PEEK_OFF), Int(bitPattern: bytes.baseAddress), 4, 0)
        }
        _ = try SystemError.check(result, "setsockopt(SO_PEEK_OFF)")
    }

    /// One recvmsg(2) with MSG_PEEK. Nil: nothing (more) waits.
    @inline(never)
    private borrowing func peek(_ count: Int) throws(SystemError) -> Peek? {
        var bytes = [UInt8](repeating: 0, count: max(1, count))
        var name = [UInt8](repeating: 0, count: 128)
        // SCM_MAX_FD (253) descriptors, credentials, and room for time stamps and labels.
        var control = [UInt8](repeating: 0, count: 8192)
        var nameSize = UInt32(0)
        var controlSize = 0
        // The arrays outlive the call, and the kernel respects their sizes.
        let result = unsafe bytes.withUnsafeMutableBytes { bytes in
            unsafe name.withUnsafeMutableBytes { name in
                unsafe control.withUnsafeMutableBytes { control in
                    var part = unsafe iovec(iov_base: bytes.baseAddress, iov_len: count)
                    return unsafe withUnsafeMutablePointer(to: &part) { part in
                        var header = unsafe msghdr(
                            msg_name: name.baseAddress, msg_namelen: UInt32(name.count), msg_iov: part, msg_iovlen: 1,
                            msg_control: control.baseAddress, msg_controllen: control.count, msg_flags: 0)
                        let flags = Socket.MSG_PEEK | Socket.MSG_TRUNC | Socket.MSG_DONTWAIT | Socket.MSG_CMSG_CLOEXEC
                        let result = unsafe withUnsafeMutablePointer(to: &header) { header in
                            ckernel_syscall(Int(SYS_recvmsg), Int(copy.number), Int(bitPattern: header), Int(flags), 0, 0, 0)
                        }
                        nameSize = unsafe header.msg_namelen
                        controlSize = unsafe Int(header.msg_controllen)
                        return result
                    }
                }
            }
        }
        if result == -Int(EAGAIN) { return nil }
        let size = try SystemError.check(result, "recvmsg(MSG_PEEK)")
        var peek = Peek(
            bytes: Array(bytes.prefix(min(size, count))), count: size, files: [], sender: nil,
            from: Self.trimmed(name, Int(nameSize)))
        peek.read(Array(control.prefix(controlSize)))
        return peek
    }
}

extension UnixSocketLook.Peek {
    /// `cmsghdr`: 8 bytes of length, level, type; then the data, in steps of 8 bytes.
    fileprivate mutating func read(_ control: [UInt8]) {
        func word(_ place: Int) -> UInt32 {
            guard place + 4 <= control.count else { return 0 }
            return (0..<4).reduce(0) { $0 | UInt32(control[place + $1]) << ($1 * 8) }
        }
        var place = 0
        while place + 16 <= control.count {
            let size = Int(word(place))
            guard size >= 16, place + size <= control.count else { return }
            switch (UInt64(word(place + 8)), UInt64(word(place + 12))) {
            case (Socket.SOL_SOCKET, Socket.SCM_RIGHTS):
                for one in stride(from: place + 16, to: place + size - 3, by: 4) { files.append(Int32(bitPattern: word(one))) }
            case (Socket.SOL_SOCKET, Socket.SCM_CREDENTIALS) where size >= 28:
                sender = UnixSocketLook.Credentials(pid: word(place + 16), user: word(place + 20), group: word(place + 24))
            // SCM_PIDFD: a descriptor of ours.
            case (Socket.SOL_SOCKET, 4) where size >= 20: UnixSocketLook.close([Int32(bitPattern: word(place + 16))].filter { $0 >= 0 })
            default: break
            }
            place += (size + 7) & ~7
        }
    }
}
