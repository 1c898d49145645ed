import Testing

@testable import HostProbe

/// What `nft` is told of a lock, and what it prints.
@Suite struct ConnectionLockTests {
    private func four(_ last: UInt8, _ port: UInt16) -> [UInt8] {
        [2, 0, UInt8(port >> 8), UInt8(port & 0xff), 10, 0, 0, last] + [UInt8](repeating: 0, count: 8)
    }

    private func six(_ host: [UInt8], _ port: UInt16) -> [UInt8] {
        [10, 0, UInt8(port >> 8), UInt8(port & 0xff), 0, 0, 0, 0] + host + [0, 0, 0, 0]
    }

    private func lock(_ path: String = "/a b\"") -> ConnectionLock {
        var lock = ConnectionLock(id: "0123456789abcdef")
        lock.path = Array(path.utf8)
        lock.seconds = 77
        lock.connections = 3
        return lock
    }

    @Test func commands() {
        let mapped = [UInt8](repeating: 0, count: 10) + [0xff, 0xff, 10, 0, 0, 3]
        let one: [UInt8] = [0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1]
        let text = lock().commands([
            .init(address: four(1, 80), peerAddress: four(2, 40000)), .init(address: six(mapped, 443), peerAddress: six(mapped, 5)),
            .init(address: six(one, 1), peerAddress: six(one, 65535)), .init(address: four(1, 80), peerAddress: four(2, 40000)),
        ])
        #expect(text == """
            table inet treerestore_0123456789abcdef {
             comment "1 77 4"
             chain path0 { comment "2f61206222"; }
             set four { type ipv4_addr . inet_service . ipv4_addr . inet_service; elements = { 10.0.0.1 . 80 . 10.0.0.2 . 40000, 10.0.0.3 . 443 . 10.0.0.3 . 5 }; }
             set six { type ipv6_addr . inet_service . ipv6_addr . inet_service; elements = { 2001:db8:0:0:0:0:0:1 . 1 . 2001:db8:0:0:0:0:0:1 . 65535 }; }
             chain arriving { type filter hook prerouting priority raw; policy accept;
              ip daddr . tcp dport . ip saddr . tcp sport @four drop
              ip6 daddr . tcp dport . ip6 saddr . tcp sport @six drop
             }
             chain leaving { type filter hook output priority raw; policy accept;
              ip saddr . tcp sport . ip daddr . tcp dport @four drop
              ip6 saddr . tcp sport . ip6 daddr . tcp dport @six drop
             }
            }

            """)
    }

    /// A path of any bytes and length comes back.
    @Test(arguments: ["", "/x", "/" + String(repeating: "d", count: 400) + "/\u{e4} \n{"])
    func listing(path: String) {
        let lock = lock(path)
        let printed = lock.commands([]).split(separator: "\n").flatMap { line -> [String] in
            guard let start = line.firstIndex(of: "\""), let end = line.lastIndex(of: "\"") else { return [String(line)] }
            return ["\tcomment \(line[start...end])"]
        }
        var wanted = lock
        wanted.connections = 0
        #expect(ConnectionLock(id: lock.id, listing: printed.joined(separator: "\n")) == wanted)
    }

    @Test(arguments: ["", "table inet x {\n}\n", "\tcomment \"2 77 3\"", "\tcomment \"1 77 3\"\n\tcomment \"2g\"", "\tcomment \"1 77 3\"\n\tcomment \"abc\""])
    func foreignListing(text: String) { #expect(ConnectionLock(id: "0123456789abcdef", listing: text) == nil) }

    @Test func tables() {
        let text = "table inet filter\ntable inet treerestore_0123456789abcdef\ntable inet treerestore_x\ntable ip treerestore_0123456789abcdee\n"
        #expect(ConnectionLock.ids(inTables: text) == ["0123456789abcdef"])
    }
}
