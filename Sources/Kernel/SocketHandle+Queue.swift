internal import CKernel
internal import Glibc
internal import LinuxABI

/// What waits to be received from a socket, without taking it.
///
/// - Source: recv(2) (`MSG_PEEK`), socket(7) (`SO_PEEK_OFF`).
extension SocketHandle {
    package struct Peek: Sendable {
        package var bytes: [UInt8]
        /// Of the whole message, of which `bytes` may be a part.
        package var count: Int
        package var files: [Int32]
        package var sender: UnixSocketLook.Credentials?
        /// The address of the sender, with its family.
        package var from: [UInt8]
        /// Of a row of UDP datagrams that the kernel has joined (UDP_GRO): the size of each; 0: it is one.
        package var segment = 0
    }

    /// Everything that waits in a socket of datagrams, in order. SO_PEEK_OFF walks through what follows the first one, and gets its old
    /// value back.
    ///
    /// - Preconditions: no other process receives from it; no error waits, which a look would take.
    package borrowing func datagrams() throws(SystemError) -> [Peek] {
        let old = option(SocketOption.SOL_SOCKET, SocketOptions.SO_PEEK_OFF)
        var moved = old.map { $0 != [0xff, 0xff, 0xff, 0xff] } ?? false
        if moved { try setPeekOffset(0) }
        do throws(SystemError) {
            let found = try packets(&moved, ended: false)
            if moved, let old { try setPeekOffset(old) }
            return found
        } catch {
            if moved, let old { try setPeekOffset(old) }
            throw error
        }
    }

    /// - Parameters:
    ///   - moved: whether SO_PEEK_OFF has been set; the caller sets it back.
    ///   - ended: it receives no more: an empty message cannot be told from the end.
    borrowing func packets(_ moved: inout Bool, ended: Bool) throws(SystemError) -> [Peek] {
        var found: [Peek] = []
        var offset = 0
        do throws(SystemError) {
            while true {
                if !found.isEmpty || moved {
                    moved = true
                    try setPeekOffset(offset)
                }
                guard var one = try peek(1 << 16) else { return found }
                if one.count > one.bytes.count {
                    UnixSocketLook.close(one.files)
                    moved = true
                    try setPeekOffset(offset)
                    guard let whole = try peek(one.count) else { return found }
                    one = whole
                }
                if one.bytes.isEmpty && ended { return found }
                found.append(one)
                offset += one.bytes.count
            }
        } catch {
            for one in found { UnixSocketLook.close(one.files) }
            throw error
        }
    }

    /// Events of poll(2) that there are. A socket that is shut down has input, too.
    ///
    /// - Returns: `shutdown`: 1: it receives no more, 3: nor does it send.
    @inline(never)
    package borrowing func readiness() -> (hasInput: Bool, hasError: Bool, shutdown: UInt8) {
        let peerClosed: Int16 = 0x2000  // POLLRDHUP
        var look = pollfd(fd: copy.number, events: Int16(POLLIN) | peerClosed, revents: 0)
        _ = unsafe poll(&look, 1, 0)
        let shutdown: UInt8 = look.revents & Int16(POLLHUP) != 0 ? 3 : look.revents & peerClosed != 0 ? 1 : 0
        return (look.revents & Int16(POLLIN) != 0, look.revents & Int16(POLLERR) != 0, shutdown)
    }

    borrowing func setPeekOffset(_ offset: Int) throws(SystemError) {
        try setPeekOffset((0..<4).map { UInt8(truncatingIfNeeded: offset >> ($0 * 8)) } as [UInt8])
    }

    borrowing func setPeekOffset(_ value: [UInt8]) throws(SystemError) {
        try set(SocketOption.SOL_SOCKET, SocketOptions.SO_PEEK_OFF, value)
    }

    /// One recvmsg(2) with MSG_PEEK. Nil: nothing (more) waits.
    @inline(never)
    borrowing func peek(_ count: Int) throws(SystemError) -> Peek? {
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
            from: Array(name.prefix(Int(nameSize))))
        peek.read(Array(control.prefix(controlSize)))
        return peek
    }
}

extension SocketHandle.Peek {
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
            // UDP_GRO
            case (17, 104) where size >= 20: segment = Int(word(place + 16))
            default: break
            }
            place += (size + 7) & ~7
        }
    }
}
