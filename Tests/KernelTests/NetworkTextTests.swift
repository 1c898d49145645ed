import Testing

@testable import Kernel

/// What the kernel's tables of sockets say, as bytes and text.
@Suite struct NetworkTextTests {
    /// `struct inet_diag_msg` of a connected UDP socket, with INET_DIAG_SHUTDOWN.
    @Test func inetDiag() throws {
        var message = [UInt8](repeating: 0, count: 72)
        (message[0], message[1]) = (2, 1)
        message.replaceSubrange(4..<8, with: [0, 53, 0x12, 0x34])
        message.replaceSubrange(24..<28, with: [10, 0, 0, 9])
        message[56] = 7
        message[68] = 99
        message += [5, 0, 8, 0, 2, 0, 0, 0]
        let (inode, state) = try #require(InetSocketState.parse(message))
        #expect(inode == 99 && state.shutdown == 2 && state.waiting == 7)
        #expect(state.peer == [2, 0, 0x12, 0x34, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0])
        message[1] = 7
        #expect(InetSocketState.parse(message)?.1.peer == nil)
        #expect(InetSocketState.parse([2, 1, 0]) == nil)
    }

    @Test func rawTable() {
        let text = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
               1: 00000000:0001 0100007F:0000 01 00000000:00000300 00:00000000 00000000     0        0 4711 2 0000000000000000 0
               2: 00000000:0002 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0000000000000000 0
            """
        let table = InetSocketState.table(parsing: Array(text.utf8), of: 2)
        #expect(table[4711]?.peer?.prefix(8) == [2, 0, 0, 0, 127, 0, 0, 1] && table[4711]?.waiting == 0x300)
        #expect(table[4712]?.peer == nil && table.count == 2)
        // The last one is the oldest.
        #expect(table[4712]?.bindOrder == 1 && table[4711]?.bindOrder == 2)
    }

    @Test func multicastTables() {
        let igmp = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n2\teth0      :     2      V3\n\t\t\t\t010701EF     1 0:00000000\t\t0\n"
        let igmp6 = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n"
        let table = MulticastTable(igmp: Array(igmp.utf8), igmp6: Array(igmp6.utf8))
        #expect(table.groups.map(\.device) == [1, 2, 1])
        #expect(table.groups[1].group == [239, 1, 7, 1] && table.groups[2].group.count == 16 && table.groups[2].group[1] == 2)
        let question = MulticastTable.question([239, 1, 7, 1], 2, room: 1)
        #expect(question.count == 272 && question[0] == 2 && question[8] == 2 && Array(question[12..<16]) == [239, 1, 7, 1] && question[140] == 1)
        var answer = question
        answer[136] = 1
        answer.replaceSubrange(148..<152, with: [10, 0, 0, 1])
        #expect(MulticastTable.answer(answer, [239, 1, 7, 1], 2) == MulticastState(group: [239, 1, 7, 1], device: 2, isInclude: true, sources: [[10, 0, 0, 1]]))
    }

    /// Attributes: INFO, MCLIST with one entry, RX_RING, FANOUT.
    @Test func packetDiag() throws {
        var message: [UInt8] = [17, 3, 3, 0, 77, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        message += [28, 0, 0, 0] + [UInt8](repeating: 0, count: 12) + [100, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        message += [48, 0, 1, 0] + [2, 0, 0, 0] + [3, 0, 0, 0] + [1, 0, 6, 0] + [1, 2, 3, 4, 5, 6] + [UInt8](repeating: 0, count: 26)
        let (inode, state) = try #require(PacketSocketState.parse(message))
        #expect(inode == 77 && state.copyThreshold == 100 && !state.hasRing && !state.isInFanout)
        #expect(state.memberships == [PacketSocketState.Membership(device: 2, type: 1, address: [1, 2, 3, 4, 5, 6], count: 3)])
        let more = message + [8, 0, 2, 0, 0, 0, 0, 0] + [8, 0, 4, 0, 0, 0, 0, 0]
        #expect(PacketSocketState.parse(more)?.1.hasRing == true && PacketSocketState.parse(more)?.1.isInFanout == true)
    }

    @Test func netlinkDiag() throws {
        var message = [UInt8](repeating: 0, count: 28)
        (message[0], message[8], message[12], message[16]) = (16, 5, 6, 88)
        #expect(NetlinkSocketState.parse(message)?.1.isDumping == false)
        message += [8, 0, 4, 0, 1, 0, 0, 0]
        let (inode, state) = try #require(NetlinkSocketState.parse(message))
        #expect(inode == 88 && state.isDumping && state.peerPort == 5 && state.peerGroup == 6)
    }

    /// An error ends a dump; so does NLMSG_DONE.
    @Test func dumps() throws {
        var found: [[UInt8]] = []
        #expect(try !SockDiag.take([20, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], &found))
        #expect(found == [[1, 2, 3, 4]])
        #expect(try SockDiag.take([20, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &found))
        #expect(throws: SystemError.self) { try SockDiag.take([20, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255], &found) }
        #expect(try SockDiag.take([9, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &found))
    }
}
