/// The address of a host: 4 bytes of IPv4 or 16 of IPv6.
///
/// - Source: RFC 4291, section 2.2.
package struct HostAddress: Hashable, Sendable {
    package var bytes: [UInt8]

    /// `127.0.0.1`, `::1`, `::ffff:127.0.0.1`; nil: it is none.
    package init?(_ text: String) {
        if let four = Self.four(text[...]) {
            bytes = four
            return
        }
        guard let six = Self.six(text) else { return nil }
        bytes = six
    }

    private static func four(_ text: Substring) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        let bytes = parts.compactMap { $0.count <= 3 && $0.allSatisfy(\.isASCII) ? UInt8($0) : nil }
        return parts.count == 4 && bytes.count == 4 ? bytes : nil
    }

    private static func six(_ text: String) -> [UInt8]? {
        guard let gap = text.range(ofGap: ()) else {
            guard let bytes = groups(text[...]), bytes.count == 16 else { return nil }
            return bytes
        }
        guard let before = groups(text[..<gap.lowerBound]), let after = groups(text[gap.upperBound...]) else { return nil }
        let missing = 16 - before.count - after.count
        return missing >= 2 ? before + [UInt8](repeating: 0, count: missing) + after : nil
    }

    /// Groups of two bytes with colons between them; the last four bytes can be those of IPv4.
    private static func groups(_ text: Substring) -> [UInt8]? {
        if text.isEmpty { return [] }
        var bytes: [UInt8] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, let four = four(part) {
                bytes += four
            } else if (1...4).contains(part.utf8.count), part.allSatisfy(\.isHexDigit), let word = UInt16(part, radix: 16) {
                bytes += [UInt8(word >> 8), UInt8(word & 0xff)]
            } else {
                return nil
            }
        }
        return bytes.count <= 16 ? bytes : nil
    }
}

extension String {
    /// The first `::`.
    fileprivate func range(ofGap _: Void) -> Range<Index>? {
        var place = startIndex
        while place < endIndex {
            let next = index(after: place)
            if self[place] == ":", next < endIndex, self[next] == ":" { return place..<index(after: next) }
            place = next
        }
        return nil
    }
}
