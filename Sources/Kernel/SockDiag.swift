internal import CKernel
internal import Glibc

/// Dumps of sock_diag(7) in the network namespace of this process.
///
/// - Source: sock_diag(7), linux/sock_diag.h.
enum SockDiag {
    /// One message of the answer: what is behind its header.
    ///
    /// - Parameter request: what is behind `struct nlmsghdr`, e.g. `struct inet_diag_req_v2`.
    /// - Errors: `ENOENT`: this kernel has no such table.
    @inline(never)
    static func dump(_ request: [UInt8]) throws(SystemError) -> [[UInt8]] {
        let made = ckernel_syscall(Int(SYS_socket), Int(AF_NETLINK), Int(SOCK_DGRAM.rawValue) | Int(O_CLOEXEC), 4 /* NETLINK_SOCK_DIAG */, 0, 0, 0)
        let channel = Descriptor(owning: Int32(try SystemError.check(made, "socket(NETLINK_SOCK_DIAG)")))
        // SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP
        let header: [UInt32] = [UInt32(16 + request.count), 20 | 0x301 << 16, 1, 0]
        try channel.write(header.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> ($0 * 8)) } } + request)
        var found: [[UInt8]] = []
        while true {
            let answer = try channel.read(upTo: 1 << 16)
            if answer.isEmpty { return found }
            if try take(answer, &found) { return found }
        }
    }

    /// - Returns: whether it was the end.
    static func take(_ answer: [UInt8], _ found: inout [[UInt8]]) throws(SystemError) -> Bool {
        var place = 0
        while place + 16 <= answer.count {
            let (size, type) = (Int(answer.word(at: place)), answer.word(at: place + 4) & 0xffff)
            guard size >= 16, place + size <= answer.count else { return true }
            // NLMSG_ERROR, NLMSG_DONE: an error is in the word behind the header.
            if type == 2 || type == 3 {
                let error = size >= 20 ? Int32(bitPattern: answer.word(at: place + 16)) : 0
                if error < 0 { throw SystemError(-error, in: "sock_diag") }
                return true
            }
            found.append(Array(answer[place + 16..<place + size]))
            place += (size + 3) & ~3
        }
        return false
    }

    /// The attributes behind the first `start` bytes of a message: by type.
    static func attributes(of message: [UInt8], from start: Int) -> [UInt32: [UInt8]] {
        var found: [UInt32: [UInt8]] = [:]
        var place = start
        while place + 4 <= message.count {
            let size = Int(message.word(at: place) & 0xffff)
            guard size >= 4, place + size <= message.count else { return found }
            found[message.word(at: place) >> 16 & 0x3fff] = Array(message[place + 4..<place + size])
            place += (size + 3) & ~3
        }
        return found
    }
}

extension [UInt8] {
    /// 4 bytes, the lowest first; 0 behind the end.
    func word(at place: Int) -> UInt32 {
        guard place >= 0, place + 4 <= count else { return 0 }
        return (0..<4).reduce(0) { $0 | UInt32(self[place + $1]) << ($1 * 8) }
    }
}
