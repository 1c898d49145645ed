internal import CKernel
internal import Glibc

/// The unix sockets of this network namespace that have a name of their own.
///
/// - Source: net/unix/af_unix.c, `unix_seq_show`: zero bytes of a name are shown as `@`.
package enum UnixSocketTable {
    /// The type of each, and its name. Accepted sockets, which have that of another, are not among them.
    package static func names() -> Set<[UInt8]> {
        guard let text = try? readKernelText("/proc/self/net/unix", capacity: 1 << 16) else { return [] }
        return names(in: text)
    }

    /// `Num RefCount Protocol Flags Type St Inode Path`: flags with 0x10000 for one that listens, state 1 for one that is not
    /// connected; numbers in hexadecimal digits.
    static func names(in text: [UInt8]) -> Set<[UInt8]> {
        var found: Set<[UInt8]> = []
        for line in text.split(separator: .newline).dropFirst() {
            let fields = line.split(separator: .blank, maxSplits: 7, omittingEmptySubsequences: true)
            func number(_ index: Int) -> UInt32? { UInt32(String(decoding: fields[index], as: UTF8.self), radix: 16) }
            guard fields.count == 8, let flags = number(3), let type = number(4), let state = number(5) else { continue }
            if state == 1 || flags & 0x1_0000 != 0 || type == 2 { found.insert([UInt8(truncatingIfNeeded: type)] + fields[7]) }
        }
        return found
    }

    /// Sockets that lead to nothing but each other, in flight in themselves, keep their names when the last process with a
    /// descriptor of them has ended. The kernel looks for such ones, a little later, whenever a unix socket is closed: this
    /// closes one, and gives it 10 ms.
    package static func collectGarbage() {
        _ = try? UnixSocketLook(newOfType: UInt32(SOCK_STREAM.rawValue))
        _ = unsafe poll(nil, 0, 10)
    }

    /// The inodes, without the upper 32 bits, of the files that sockets of this network namespace are bound to. Nil: the kernel does
    /// not tell.
    ///
    /// - Source: sock_diag(7), UDIAG_SHOW_VFS.
    @inline(never)
    package static func boundInodes() -> Set<UInt32>? {
        let made = ckernel_syscall(Int(SYS_socket), Int(AF_NETLINK), Int(SOCK_DGRAM.rawValue) | Int(O_CLOEXEC), 4 /* NETLINK_SOCK_DIAG */, 0, 0, 0)
        guard made >= 0 else { return nil }
        let channel = Descriptor(owning: Int32(made))
        // nlmsghdr (SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP), then unix_diag_req: any state, any inode, VFS, any cookie.
        let words: [UInt32] = [40, 20 | 0x301 << 16, 1, 0, 1, .max, 0, 2, .max, .max]
        do throws(SystemError) {
            try channel.write(words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } })
            var found: Set<UInt32> = []
            while true {
                let answer = try channel.read(upTo: 1 << 16)
                guard let isLast = read(answer, into: &found) else { return nil }
                if isLast { return found }
            }
        } catch { return nil }
    }

    /// Messages of a dump: nlmsghdr, unix_diag_msg, attributes, of which VFS (1) tells the inode; NLMSG_DONE (3) at the end.
    ///
    /// - Returns: whether that was the last; nil: the kernel tells of an error.
    static func read(_ answer: [UInt8], into found: inout Set<UInt32>) -> Bool? {
        func word(_ place: Int) -> UInt32 {
            guard place + 4 <= answer.count else { return 0 }
            return (0..<4).reduce(0) { $0 | UInt32(answer[place + $1]) << ($1 * 8) }
        }
        var start = 0
        while start + 16 <= answer.count {
            let (size, kind) = (Int(word(start)), word(start + 4) & 0xffff)
            if kind == 3 { return true }
            guard kind == 20, size >= 32, start + size <= answer.count else { return nil }
            var place = start + 32
            while place + 4 <= start + size {
                let (length, type) = (Int(word(place) & 0xffff), word(place) >> 16 & 0x3fff)
                guard length >= 4, place + length <= start + size else { return nil }
                if type == 1, length >= 12 { found.insert(word(place + 4)) }
                place += (length + 3) & ~3
            }
            start += (size + 3) & ~3
        }
        return start == 0 ? nil : false
    }
}
