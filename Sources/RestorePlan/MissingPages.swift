package import CheckpointImage

/// The pages of one address space that have not come yet: where they belong by now, and where they are in the image.
///
/// Programs move memory, drop it and give it back while pages come: this follows. An address without a part here has no saved page, so
/// a task that touches it gets zeros.
///
/// What several threads do at the same time is told in any order. A page is left in two places rather than lost: where there is no memory
/// of ours, none can be put.
package struct MissingPages: Sendable, Equatable {
    /// Pages that lie side by side, in memory and in the image.
    package struct Part: Sendable, Equatable {
        /// Address of the first one.
        package var start: UInt64
        /// Bytes
        package var length: UInt64
        /// Of the first one, among the pages of the section.
        package var place: UInt64

        package var end: UInt64 { start + length }
        /// Among the pages of the section.
        var places: Range<UInt64> { place..<place + length / MissingPages.pageSize }

        /// The rest of it, from an address in it on.
        package func from(_ address: UInt64) -> Part {
            Part(start: address, length: end - address, place: place + (address - start) / MissingPages.pageSize)
        }
    }

    fileprivate static let pageSize = UInt64(ImageFormat.pageSize)
    /// Pages that are read together, because they have one checksum.
    package static let blockPages = UInt64(ImageFormat.checksumBlock / ImageFormat.pageSize)

    /// By address, ascending.
    package private(set) var parts: [Part] = []
    /// Where pages were that have been moved or unmapped since memory last stood still, for a fork that may have been before that.
    private var before: [Part] = []
    /// Where memory has been moved to since: a place that was unmapped before that may be told of later.
    private var arrived: [Range<UInt64>] = []

    /// - Parameter ranges: of memory whose pages come late, ascending.
    package init(of space: ImageAddressSpace, in ranges: [Range<UInt64>]) {
        for transfer in PageSchedule.transfers(space.runPage, space.runLength, only: AddressRanges(ranges), borders: []) {
            var offset = transfer.offset
            for piece in transfer.pieces {
                parts.append(Part(start: piece.start, length: piece.byteCount, place: offset / Self.pageSize))
                offset += piece.byteCount
            }
        }
    }

    package var isEmpty: Bool { parts.isEmpty }

    /// The block that the page at an address is in; nil: no page is missing there.
    package func block(at address: UInt64) -> UInt64? {
        let index = firstEnding(after: address)
        guard index < parts.count, parts[index].start <= address else { return nil }
        return parts[index].from(address).place / Self.blockPages
    }

    /// What is to come next if no task waits: the block of the last page. From there parts are taken away at no cost.
    package var nextAddress: UInt64? { parts.last.map { $0.end - Self.pageSize } }

    /// What is missing of the block that the page at `address` is in: that page's part first, then its neighbours.
    package func partsOfBlock(at address: UInt64) -> [Part] {
        guard let block = block(at: address) else { return [] }
        let places = block * Self.blockPages..<(block + 1) * Self.blockPages
        let index = firstEnding(after: address)
        var found: [Part] = []
        func take(_ index: Int) -> Bool {
            let part = parts[index]
            let wanted = part.places.clamped(to: places)
            if wanted.isEmpty { return false }
            let start = part.start + (wanted.lowerBound - part.place) * Self.pageSize
            found.append(Part(start: start, length: UInt64(wanted.count) * Self.pageSize, place: wanted.lowerBound))
            return true
        }
        _ = take(index)
        var next = index + 1
        while next < parts.count, take(next) { next += 1 }
        next = index - 1
        while next >= 0, take(next) { next -= 1 }
        return found
    }

    /// These have come, or will never.
    package mutating func remove(_ range: Range<UInt64>) { _ = cut(range) }

    /// Memory has another address from now on.
    package mutating func move(_ range: Range<UInt64>, to start: UInt64) {
        let moved = cut(range)
        let target = start..<start + UInt64(range.count)
        remove(target)
        before += moved
        arrived.append(target)
        let index = firstEnding(after: start)
        parts.insert(
            contentsOf: moved.map { part in
                var part = part
                part.start = part.start - range.lowerBound + start
                return part
            }, at: index)
    }

    package mutating func unmap(_ range: Range<UInt64>) {
        for part in AddressRanges([range]).subtracting(AddressRanges(arrived)) { before += cut(part) }
    }

    /// No move, fork or unmapping is under way: all have been told.
    package mutating func settle() { (before, arrived) = ([], []) }

    /// What a child misses that was forked at some moment since memory last stood still.
    package var ofChild: MissingPages {
        var child = self
        for part in before {
            for free in AddressRanges([part.start..<part.end]).subtracting(AddressRanges(child.parts.lazy.map { $0.start..<$0.end })) {
                var old = part.from(free.lowerBound)
                old.length = UInt64(free.count)
                child.parts.insert(old, at: child.firstEnding(after: old.start))
            }
        }
        child.settle()
        return child
    }

    private mutating func cut(_ range: Range<UInt64>) -> [Part] {
        let first = firstEnding(after: range.lowerBound)
        var last = first
        var inside: [Part] = []
        var left: [Part] = []
        while last < parts.count, parts[last].start < range.upperBound {
            let part = parts[last]
            if part.start < range.lowerBound {
                left.append(Part(start: part.start, length: range.lowerBound - part.start, place: part.place))
            }
            var middle = part.from(max(part.start, range.lowerBound))
            if part.end > range.upperBound {
                middle.length = range.upperBound - middle.start
                left.append(part.from(range.upperBound))
            }
            inside.append(middle)
            last += 1
        }
        parts.replaceSubrange(first..<last, with: left)
        return inside
    }

    /// The index of the first part that ends behind an address.
    private func firstEnding(after address: UInt64) -> Int {
        var (low, high) = (0, parts.count)
        while low < high {
            let middle = (low + high) / 2
            if parts[middle].end <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
