import Testing

@testable import Kernel

/// What sock_diag tells of TCP sockets.
@Suite struct TCPTableTests {
    /// `struct inet_diag_msg` of a connection in FIN-WAIT-1 that no descriptor leads to.
    private func message(_ family: UInt8) -> [UInt8] {
        var message = [UInt8](repeating: 0, count: 72)
        (message[0], message[1]) = (family, 4)
        message.replaceSubrange(4..<8, with: [0, 80, 0x12, 0x34])
        message.replaceSubrange(8..<12, with: [10, 0, 0, 1])
        message.replaceSubrange(24..<28, with: [10, 0, 0, 2])
        message[56] = 3
        message.replaceSubrange(60..<64, with: [1, 2, 0, 0])
        return message
    }

    @Test func connection() throws {
        let entry = try #require(TCPTable.entry(message(2)))
        #expect(entry.inode == 0 && entry.state == 4 && entry.unacknowledged == 0x201 && entry.unread == 3 && !entry.isSigned)
        #expect(entry.local == [2, 0, 0, 80, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(entry.peer == [2, 0, 0x12, 0x34, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(TCPTable.entry([2, 4, 0]) == nil)
    }

    @Test func longAddress() throws {
        let entry = try #require(TCPTable.entry(message(10)))
        #expect(entry.local.count == 28 && entry.local.prefix(12) == [10, 0, 0, 80, 0, 0, 0, 0, 10, 0, 0, 1])
    }

    /// The attribute INET_DIAG_MD5SIG with a key of `struct tcp_diag_md5sig`.
    @Test func signed() throws {
        let entry = try #require(TCPTable.entry(message(2) + [104, 0, 18, 0] + [UInt8](repeating: 0, count: 100)))
        #expect(entry.isSigned)
    }

    /// The kernel puts the newest first, but for IPv6.
    @Test func order() throws {
        var entries: [TCPTable.Entry] = []
        for inode in 1...3 {
            var entry = try #require(TCPTable.entry(message(2)))
            entry.inode = UInt64(inode)
            entries.append(entry)
        }
        #expect(TCPTable.inOrder(entries, of: 2).map(\.inode) == [3, 2, 1])
        #expect(TCPTable.inOrder(entries, of: 10).map(\.inode) == [1, 2, 3])
    }
}
