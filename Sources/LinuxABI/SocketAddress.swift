/// `struct sockaddr_un`, `sockaddr_in` and `sockaddr_in6`.
///
/// - Source: unix(7), ip(7), ipv6(7).
package enum SocketAddress {
    /// As people write it. Nil: it says nothing.
    package static func text(of address: [UInt8]) -> String? {
        guard address.count >= 2 else { return nil }
        func word(_ place: Int) -> UInt32 { UInt32(address[place]) << 8 | UInt32(address[place + 1]) }
        switch UInt32(address[0]) | UInt32(address[1]) << 8 {
        case 1:
            guard address.count > 2 else { return nil }
            // Abstract names begin with a zero byte, and hold any.
            if address[2] == 0 { return "@" + printable(Array(address[3...])) }
            return printable(Array(address[2...].prefix { $0 != 0 }))
        case 2 where address.count >= 8: return host(Array(address[4..<8])) + ":\(word(2))"
        case 10 where address.count >= 24: return "[" + host(Array(address[8..<24])) + "]:\(word(2))"
        default: return nil
        }
    }

    /// `10.0.0.1`, `fe80::1`, `::ffff:10.0.0.1`: the longest row of zeros, of two groups at least, becomes `::`.
    ///
    /// - Parameter bytes: 4 or 16.
    /// - Source: RFC 5952.
    package static func host(_ bytes: [UInt8]) -> String {
        guard bytes.count == 16 else { return bytes.map { String($0) }.joined(separator: ".") }
        if let four = mapped(bytes) { return "::ffff:" + host(four) }
        let groups = stride(from: 0, to: 16, by: 2).map { String(UInt32(bytes[$0]) << 8 | UInt32(bytes[$0 + 1]), radix: 16) }
        var best = 0..<0
        var start = 0
        while start < groups.count {
            let end = groups[start...].firstIndex { $0 != "0" } ?? groups.count
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        guard !best.isEmpty else { return groups.joined(separator: ":") }
        return groups[..<best.lowerBound].joined(separator: ":") + "::" + groups[best.upperBound...].joined(separator: ":")
    }

    /// The address of IPv4 that one of IPv6 stands for; nil: it stands for none.
    package static func mapped(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count == 16, bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 255, bytes[11] == 255 else { return nil }
        return Array(bytes[12...])
    }
}
