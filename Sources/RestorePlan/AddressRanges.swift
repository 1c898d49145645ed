/// Sets of addresses as ascending ranges that do not touch each other.
struct AddressRanges: Equatable, Sendable, Sequence {
    private(set) var ranges: [Range<UInt64>] = []

    init() {}

    /// Joins ranges that overlap or touch, and leaves out empty ones.
    init(_ unordered: some Sequence<Range<UInt64>>) {
        var ordered = Array(unordered)
        if !zip(ordered, ordered.dropFirst()).allSatisfy({ $0.lowerBound <= $1.lowerBound }) { ordered.sort { $0.lowerBound < $1.lowerBound } }
        ranges.reserveCapacity(ordered.count)
        for range in ordered { join(range) }
    }

    /// - Precondition: it does not begin before the last one.
    private mutating func join(_ range: Range<UInt64>) {
        if range.isEmpty { return }
        if let last = ranges.last, range.lowerBound <= last.upperBound {
            ranges[ranges.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
        } else {
            ranges.append(range)
        }
    }

    var isEmpty: Bool { ranges.isEmpty }

    func makeIterator() -> IndexingIterator<[Range<UInt64>]> { ranges.makeIterator() }

    func union(_ other: Self) -> Self {
        if isEmpty { return other }
        if other.isEmpty { return self }
        var all = Self()
        all.ranges.reserveCapacity(ranges.count + other.ranges.count)
        var (next, otherNext) = (0, 0)
        while next < ranges.count || otherNext < other.ranges.count {
            if otherNext == other.ranges.count || next < ranges.count && ranges[next].lowerBound <= other.ranges[otherNext].lowerBound {
                all.join(ranges[next])
                next += 1
            } else {
                all.join(other.ranges[otherNext])
                otherNext += 1
            }
        }
        return all
    }

    func subtracting(_ other: Self) -> Self {
        if isEmpty || other.isEmpty { return self }
        var left = Self()
        var next = 0
        for range in ranges {
            var start = range.lowerBound
            while next < other.ranges.count && other.ranges[next].upperBound <= start { next += 1 }
            var place = next
            while place < other.ranges.count, other.ranges[place].lowerBound < range.upperBound {
                let hole = other.ranges[place]
                if hole.lowerBound > start { left.ranges.append(start..<hole.lowerBound) }
                start = Swift.max(start, hole.upperBound)
                place += 1
            }
            if start < range.upperBound { left.ranges.append(start..<range.upperBound) }
        }
        return left
    }

    func intersection(_ other: Self) -> Self {
        var common = Self()
        visitCommon(other) {
            common.ranges.append($0)
            return true
        }
        return common
    }

    func overlaps(_ other: Self) -> Bool {
        var found = false
        visitCommon(other) { _ in
            found = true
            return false
        }
        return found
    }

    /// Calls `body` for what is in both, ascending, until it returns false.
    private func visitCommon(_ other: Self, _ body: (Range<UInt64>) -> Bool) {
        var (next, otherNext) = (0, 0)
        while next < ranges.count, otherNext < other.ranges.count {
            let (one, two) = (ranges[next], other.ranges[otherNext])
            let common = Swift.max(one.lowerBound, two.lowerBound)..<Swift.max(one.lowerBound, two.lowerBound, Swift.min(one.upperBound, two.upperBound))
            if !common.isEmpty && !body(common) { return }
            if one.upperBound < two.upperBound { next += 1 } else { otherNext += 1 }
        }
    }
}
