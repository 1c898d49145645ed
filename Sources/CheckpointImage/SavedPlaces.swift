/// The numbers of the pages of one section, by their place in it.
struct PageNumbers: Sendable {
    /// The place of the first page of each run.
    private var starts: [UInt64] = []
    private let runPage: [UInt64]
    private var count: UInt64 = 0
    /// Pages of all runs.
    var total: UInt64 { count }

    /// - Precondition: the runs have been validated.
    init(_ runPage: [UInt64], _ runLength: [UInt64]) {
        self.runPage = runPage
        starts.reserveCapacity(runLength.count)
        for length in runLength {
            starts.append(count)
            count += length
        }
    }

    /// The number of the page at a place, and how many pages follow each other from there on.
    func number(at place: UInt64) -> (page: UInt64, count: UInt64)? {
        guard place < count else { return nil }
        let run = starts.lastIndex(notAbove: place)
        let end = run + 1 < starts.count ? starts[run + 1] : count
        return (runPage[run] + (place - starts[run]), end - place)
    }
}

extension [UInt64] {
    /// The last element that is not above `value`.
    ///
    /// - Precondition: ascending, and the first one is not above it.
    fileprivate func lastIndex(notAbove value: UInt64) -> Int {
        var (low, high) = (0, count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if self[middle] <= value { low = middle } else { high = middle }
        }
        return low
    }
}

/// Where the pages of an address space or of a memory object are saved in its image, by their numbers.
struct SavedPlaces: Sendable {
    private struct Stretch {
        var first: UInt64
        var count: UInt64
        var owner: PageOwner
        /// Among the pages of the owner's section.
        var place: UInt64
    }

    private var stretches: [Stretch] = []
    private var firsts: [UInt64] = []

    /// - Parameter kind: that of the section which needs the pages: shared pages are looked for in an address space.
    init(_ kind: ImagePageDescription.Owner, _ id: UInt32, in image: CheckpointImage) {
        if kind == .memoryObject {
            if let object = image.memoryObject(id) { add(object.runPage, object.runLength, PageOwner(.memoryObject, id)) }
        } else if let space = image.addressSpace(id) {
            add(space.runPage, space.runLength, PageOwner(.addressSpace, id))
            for (set, holder) in image.sharedBy(id) { add(image.sharedPages[set].holders[holder], of: image.sharedPages[set]) }
        }
        stretches.sort { $0.first < $1.first }
        firsts = stretches.map(\.first)
    }

    private mutating func add(_ runPage: [UInt64], _ runLength: [UInt64], _ owner: PageOwner) {
        var place: UInt64 = 0
        for (page, length) in zip(runPage, runLength) {
            stretches.append(Stretch(first: page, count: length, owner: owner, place: place))
            place += length
        }
    }

    private mutating func add(_ holder: ImagePageHolder, of set: ImageSharedPages) {
        let owner = PageOwner(.sharedPages, set.id)
        var run = 0
        var before: UInt64 = 0
        for (page, length) in zip(holder.runPage, holder.runLength) {
            var at = page
            while at < page + length {
                while run < set.runPage.count, set.runPage[run] + set.runLength[run] <= at {
                    before += set.runLength[run]
                    run += 1
                }
                guard run < set.runPage.count, set.runPage[run] <= at else { return }
                let end = min(page + length, set.runPage[run] + set.runLength[run])
                stretches.append(Stretch(first: at, count: end - at, owner: owner, place: before + at - set.runPage[run]))
                at = end
            }
        }
    }

    /// Where a page is, and how many pages with the next numbers follow it there.
    func place(of page: UInt64) -> (owner: PageOwner, place: UInt64, count: UInt64)? {
        guard let first = firsts.first, first <= page else { return nil }
        let found = stretches[firsts.lastIndex(notAbove: page)]
        guard page - found.first < found.count else { return nil }
        return (found.owner, found.place + (page - found.first), found.count - (page - found.first))
    }

    /// The number of the first page at or after `page` that is saved.
    func next(from page: UInt64) -> UInt64? {
        if place(of: page) != nil { return page }
        guard let first = firsts.first else { return nil }
        if first > page { return first }
        let index = firsts.lastIndex(notAbove: page) + 1
        return index < firsts.count ? firsts[index] : nil
    }
}
