/// Sets of addresses as ascending ranges that do not touch each other.
struct AddressRanges: Equatable, Sendable, Sequence {
    private(set) var ranges: [Range<UInt64>] = []

    init() {}

    /// Joins ranges that overlap or touch, and leaves out empty ones.
    init(_ unordered: some Sequence<Range<UInt64>>) {
        for range in unordered.sorted(by: { $0.lowerBound < $1.lowerBound }) where !range.isEmpty {
            if let last = ranges.last, range.lowerBound <= last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<Swift.max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
    }

    var isEmpty: Bool { ranges.isEmpty }

    func makeIterator() -> IndexingIterator<[Range<UInt64>]> { ranges.makeIterator() }

    func union(_ other: Self) -> Self { Self(ranges + other.ranges) }

    func subtracting(_ other: Self) -> Self {
        var left: [Range<UInt64>] = []
        var next = 0
        for range in ranges {
            var start = range.lowerBound
            while next < other.ranges.count && other.ranges[next].upperBound <= start { next += 1 }
            var place = next
            while place < other.ranges.count, other.ranges[place].lowerBound < range.upperBound {
                let hole = other.ranges[place]
                if hole.lowerBound > start { left.append(start..<hole.lowerBound) }
                start = Swift.max(start, hole.upperBound)
                place += 1
            }
            if start < range.upperBound { left.append(start..<range.upperBound) }
        }
        return Self(left)
    }

    func intersection(_ other: Self) -> Self { subtracting(subtracting(other)) }

    func overlaps(_ other: Self) -> Bool { !intersection(other).isEmpty }
}
