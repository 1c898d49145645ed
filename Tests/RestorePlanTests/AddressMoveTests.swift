import LinuxABI
import Testing

@testable import RestorePlan

/// `crrestart --address`.
@Suite struct AddressMoveTests {
    private static let four: [UInt8] = [2, 0, 0, 80, 10, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
    private static let mapped: [UInt8] = [10, 0, 0, 80, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 10, 0, 0, 1, 0, 0, 0, 0]
    private static let six: [UInt8] = [10, 0, 0, 80, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1, 0, 0, 0, 0]

    private func moves(_ texts: String...) throws -> AddressMoves {
        var moves = AddressMoves()
        moves.moves = try texts.map { try #require(AddressMove($0)) }
        return moves
    }

    @Test func hosts() {
        #expect(HostAddress("127.0.0.1")?.bytes == [127, 0, 0, 1])
        #expect(HostAddress("::")?.bytes == [UInt8](repeating: 0, count: 16))
        #expect(HostAddress("2001:db8::1")?.bytes == [0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1])
        #expect(HostAddress("1:2:3:4:5:6:7:8")?.bytes == [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8])
        #expect(HostAddress("::ffff:10.0.0.1")?.bytes == [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 10, 0, 0, 1])
    }

    @Test(arguments: ["", "1.2.3", "1.2.3.256", "1.2.3.4.5", "1.2.3.-4", "localhost", ":", ":::", "1::2::3", "1:2:3:4:5:6:7:8:9", "12345::", "::g", "1:2", "fe80::1%lo"])
    func noHosts(text: String) { #expect(HostAddress(text) == nil) }

    @Test(arguments: ["", "10.0.0.1", "10.0.0.1=", "=10.0.0.1", "10.0.0.1=::1", "10.0.0.1=10.0.0.2=10.0.0.3", "10.0.0.1:80=10.0.0.2:80"])
    func noMoves(text: String) { #expect(AddressMove(text) == nil) }

    @Test func sockets() throws {
        let moves = try moves("10.0.0.1=192.168.7.9", "2001:db8::1=::1")
        #expect(moves.moved(Self.four) == [2, 0, 0, 80, 192, 168, 7, 9] + [UInt8](repeating: 0, count: 8))
        #expect(Array(moves.moved(Self.mapped)[8..<24]) == [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 192, 168, 7, 9])
        #expect(Array(moves.moved(Self.six)[8..<24]) == [UInt8](repeating: 0, count: 15) + [1])
        #expect(moves.moved([]) == [])
        #expect(try self.moves("10.0.0.2=10.0.0.3").moved(Self.four) == Self.four)
    }
}
