/// Pages that several address spaces hold copy-on-write.
extension ImageLookup {
    /// Every holder has its pages in private mappings of its own, in the set, and from nowhere else.
    mutating func validateSharedPages(
        _ records: ImageRecords, userEnd: (ImageAddressSpace?) -> UInt64
    ) throws(ImageError) {
        _ = try index(records.sharedPages, "shared pages", \.id)
        for (position, set) in records.sharedPages.enumerated() {
            let subject = { "shared pages \(set.id)" }
            try require(set.holders.count >= 2, .sharers, subject())
            let largest = set.holders.reduce(UInt64(0)) { max($0, userEnd(addressSpace[$1.addressSpace].map { records.addressSpaces[$0] })) }
            pages[PageOwner(.sharedPages, set.id)] = try validateRuns(set.runPage, set.runLength, end: largest / 4096, subject())
            var last: UInt32 = 0
            for (place, holder) in set.holders.enumerated() {
                guard let index = addressSpace[holder.addressSpace] else { throw .rule(.noAddressSpace, subject()) }
                try require(holder.addressSpace > last, .sharers, subject())
                last = holder.addressSpace
                let space = records.addressSpaces[index]
                let held = { "shared pages \(set.id) of address space \(space.id)" }
                _ = try validateRuns(holder.runPage, holder.runLength, end: userEnd(space) / 4096, held())
                try requireCovered(
                    holder.runPage, holder.runLength, by: space.mappings.filter { !$0.shared && $0.kind != .vdsoData }, held())
                try require(isContained(holder, in: set), .heldPages, held())
                sharedBy[space.id, default: []].append((position, place))
            }
        }
        for (id, places) in sharedBy {
            guard let index = addressSpace[id] else { continue }
            try requireOnce(records.addressSpaces[index], places.map { records.sharedPages[$0.set].holders[$0.holder] })
        }
    }

    private func isContained(_ holder: ImagePageHolder, in set: ImageSharedPages) -> Bool {
        var run = 0
        for (first, length) in zip(holder.runPage, holder.runLength) {
            var at = first
            while at < first + length {
                while run < set.runPage.count, set.runPage[run] + set.runLength[run] <= at { run += 1 }
                guard run < set.runPage.count, set.runPage[run] <= at else { return false }
                at = set.runPage[run] + set.runLength[run]
            }
        }
        return true
    }

    /// No page of a space comes from two places.
    private func requireOnce(_ space: ImageAddressSpace, _ held: [ImagePageHolder]) throws(ImageError) {
        var runs = Array(zip(space.runPage, space.runLength))
        for one in held { runs += zip(one.runPage, one.runLength) }
        runs.sort { $0.0 < $1.0 }
        for (one, next) in zip(runs, runs.dropFirst()) {
            try require(one.0 + one.1 <= next.0, .heldPages, "address space \(space.id)")
        }
    }
}
