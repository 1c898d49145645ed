internal import CCodec

/// Finds the pages of one section that are the same in another image: its parent to be.
///
/// It compares the bytes themselves. What the parent lacks, and what cannot be read there, counts as changed.
package struct ParentComparison {
    /// The id to be recorded with the section: of an address space of the parent, or of a memory object. 0: nothing is compared.
    package let id: UInt32
    private let parent: SavedPages
    private let numbers: PageNumbers
    private let places: SavedPlaces

    /// - Parameters:
    ///   - owner: of the pages, in the image that is being written.
    ///   - runs: its pages.
    ///   - id: where they may be in the parent.
    package init(_ owner: PageOwner, _ runs: (page: [UInt64], length: [UInt64]), with parent: SavedPages, at id: UInt32) {
        self.id = id
        self.parent = parent
        numbers = PageNumbers(runs.page, runs.length)
        places = SavedPlaces(owner.kind, id, in: parent.image)
    }

    /// How many whole blocks of 64 pages there are.
    package var wholeBlocks: UInt64 { numbers.total / UInt64(PageChunk.mostPages) }

    /// What the parent says of a whole block: its checksum, where it has exactly these pages as one block. Nil: it has not, or `wanted` says
    /// no to some of the pages.
    ///
    /// - Parameters:
    ///   - index: of the block in the section.
    ///   - wanted: whether pages with following numbers are to be taken from there.
    package func checksum(ofBlock index: UInt64, _ wanted: (Range<UInt64>) -> Bool) -> UInt32? {
        let size = UInt64(PageChunk.mostPages)
        let first = index * size
        guard first + size <= numbers.total, let page = numbers.number(at: first)?.page, let begin = places.place(of: page), begin.place % size == 0,
            let section = parent.image.pageSection(of: begin.owner), begin.place + size <= section.pages
        else { return nil }
        var at = first
        while at < first + size {
            guard let (page, following) = numbers.number(at: at), let found = places.place(of: page), found.owner == begin.owner,
                found.place == begin.place + (at - first)
            else { return nil }
            let part = min(first + size - at, following, found.count)
            if !wanted(page..<page + part) { return nil }
            at += part
        }
        return section.checksums[Int(begin.place / size)]
    }

    /// Which of at most 64 pages are the same there.
    ///
    /// - Parameters:
    ///   - first: the place of the first one among the pages of the section.
    ///   - isKnown: whether pages with following numbers are known to be the same if they are there: they are not compared.
    package func same(_ pages: RawSpan, from first: UInt64, isKnown: (Range<UInt64>) -> Bool = { _ in false }) -> UInt64 {
        let count = UInt64(pages.byteCount / ImageFormat.pageSize)
        var same: UInt64 = 0
        var at: UInt64 = 0
        while at < count, let (page, following) = numbers.number(at: first + at) {
            let run = min(count - at, following)
            guard let next = places.next(from: page), next < page + run, let found = places.place(of: next) else {
                at += run
                continue
            }
            at += next - page
            let part = min(count - at, run - (next - page), found.count)
            if isKnown(next..<next + part) {
                same |= (part == 64 ? .max : (1 << part) - 1) << at
            } else if let theirs = try? parent.read(found.owner, from: found.place, count: Int(part)) {
                let ours = pages.extracting(Int(at) * ImageFormat.pageSize..<Int(at + part) * ImageFormat.pageSize)
                let found = ours.withUnsafeBytes { one in
                    theirs.withUnsafeBytes { ccodec_same_pages(one.baseAddress, $0.baseAddress, Int(part)) }
                }
                same |= found << at
            }
            at += part
        }
        return same
    }
}
