import LinuxABI
import Testing

/// The table of socket options.
@Suite struct SocketOptionTests {
    @Test func eachIsThereOnce() {
        let keys = SocketOption.all.map { "\($0.level) \($0.number)" }
        #expect(Set(keys).count == keys.count)
        #expect(Set(SocketOption.all.map(\.name)).count == keys.count)
        for option in SocketOption.all {
            #expect(SocketOption.known(option.level, option.number) == option)
            #expect(!option.families.isEmpty && option.sizes.upperBound <= 32768, "\(option.name)")
        }
    }

    /// IP_TOS changes SO_PRIORITY; a size is locked when it is set; SO_PEEK_OFF is moved by what is looked at.
    @Test func order() {
        func rank(_ number: UInt32) -> Int { SocketOption.rank(SocketOption.SOL_SOCKET, number) }
        #expect(SocketOption.rank(SocketOption.SOL_IP, 1) < rank(SocketOptions.SO_PRIORITY))
        #expect(rank(SocketOptions.SO_RCVBUF) < rank(SocketOptions.SO_BUF_LOCK))
        #expect(rank(SocketOptions.SO_GET_FILTER) < rank(SocketOptions.SO_LOCK_FILTER))
        #expect(rank(SocketOptions.SO_TIMESTAMPING) < rank(65))
        #expect(rank(SocketOptions.SO_PEEK_OFF) == SocketOption.all.count - 1)
        #expect(SocketOption.rank(1, 9999) == .max)
    }

    @Test func families() {
        #expect(SocketOption.Families(family: 1) == .unix && SocketOption.Families(family: 10) == .ipv6 && SocketOption.Families(family: 40).isEmpty)
        #expect(SocketOption.options(of: .unix).allSatisfy { $0.level == SocketOption.SOL_SOCKET })
        #expect(SocketOption.options(of: .netlink).contains { $0.level == SocketOption.SOL_NETLINK })
        #expect(!SocketOption.options(of: .ipv4).contains { $0.level == SocketOption.SOL_IPV6 })
    }
}
