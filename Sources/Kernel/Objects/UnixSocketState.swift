internal import CKernel
internal import Glibc

/// What sock_diag(7) tells of one unix socket.
///
/// - Source: linux/unix_diag.h; net/unix/diag.c.
package struct UnixSocketState: Equatable, Sendable {
    /// TCP_LISTEN in the kernel's words.
    private static let listen: UInt8 = 10

    package var isListening: Bool
    /// The inode of the socket that it is connected with; 0: that one has no descriptor (any more, or not yet, because its
    /// connection was not accepted); nil: it is not connected.
    package var peer: UInt32?
    /// Of a listening socket: the inodes of those that wait to be accepted, in order; 0: that one is closed already.
    package var waiting: [UInt32] = []
    /// Of a listening socket: what listen(2) was given.
    package var backlog: UInt32 = 0
    /// 1: it receives no more, 2: it sends no more.
    package var shutdown: UInt8 = 0
    /// Of the file that a path-like name was made as.
    package var fileInode: UInt32?

    /// - Errors: `ENOENT`: there is none in the network namespace of this process.
    @inline(never)
    package init(of inode: UInt64) throws(SystemError) {
        let made = ckernel_syscall(Int(SYS_socket), Int(AF_NETLINK), Int(SOCK_DGRAM.rawValue) | Int(O_CLOEXEC), 4 /* NETLINK_SOCK_DIAG */, 0, 0, 0)
        let channel = Descriptor(owning: Int32(try SystemError.check(made, "socket(NETLINK_SOCK_DIAG)")))
        try channel.write(Self.request(inode))
        // A listening socket tells 4 bytes of each socket that waits; the greatest backlog is 65535 unless an administrator has raised it.
        let answer = try channel.read(upTo: 1 << 20)
        guard let state = Self(parsing: answer) else { throw SystemError(ENOENT, in: "sock_diag of unix socket \(inode)") }
        self = state
    }

    /// nlmsghdr (SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST), then unix_diag_req: any state, the inode, VFS | PEER | ICONS | RQLEN, any
    /// cookie.
    static func request(_ inode: UInt64) -> [UInt8] {
        let words: [UInt32] = [40, 20 | 1 << 16, 1, 0, 1, .max, UInt32(truncatingIfNeeded: inode), 2 | 4 | 8 | 16, .max, .max]
        return words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } }
    }

    /// nlmsghdr, unix_diag_msg (16 bytes: family, type, state, ...), then attributes: VFS 1, PEER 2, ICONS 3, RQLEN 4, SHUTDOWN 6.
    init?(parsing answer: [UInt8]) {
        func word(_ place: Int) -> UInt32 {
            guard place + 4 <= answer.count else { return 0 }
            return (0..<4).reduce(0) { $0 | UInt32(answer[place + $1]) << ($1 * 8) }
        }
        guard answer.count >= 32, word(4) & 0xffff == 20 else { return nil }
        isListening = answer[18] == Self.listen
        let end = min(answer.count, Int(word(0)))
        var place = 32
        while place + 4 <= end {
            let (size, type) = (Int(word(place) & 0xffff), word(place) >> 16 & 0x3fff)
            guard size >= 4, place + size <= end else { return nil }
            switch type {
            case 1 where size >= 12: fileInode = word(place + 4)
            case 2 where size >= 8: peer = word(place + 4)
            case 3: waiting = stride(from: place + 4, to: place + size - 3, by: 4).map { word($0) }
            case 4 where size >= 12 && isListening: backlog = word(place + 8)
            case 6 where size >= 5: shutdown = answer[place + 4]
            default: break
            }
            place += (size + 3) & ~3
        }
    }
}
