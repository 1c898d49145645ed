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
        case 2 where address.count >= 8:
            return address[4..<8].map { String($0) }.joined(separator: ".") + ":\(word(2))"
        case 10 where address.count >= 24:
            let groups = stride(from: 8, to: 24, by: 2).map { String(word($0), radix: 16) }
            return "[" + shortened(groups) + "]:\(word(2))"
        default: return nil
        }
    }

    /// The longest row of zeros, of two at least, becomes `::`. Source: RFC 5952.
    private static func shortened(_ groups: [String]) -> String {
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
}
