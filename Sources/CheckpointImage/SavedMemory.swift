/// Finds single saved pages in the image.
extension CheckpointImage {
    /// In which section, and at which place among its pages, page number `page` of an address space is saved. Nil: nowhere.
    package func savedPlace(ofPage page: UInt64, of space: ImageAddressSpace) -> (owner: PageOwner, position: UInt64)? {
        if let own = position(of: page, in: space.runPage, space.runLength) { return (PageOwner(.addressSpace, space.id), own) }
        for (set, holder) in sharedBy(space.id) {
            let shared = sharedPages[set]
            guard position(of: page, in: shared.holders[holder].runPage, shared.holders[holder].runLength) != nil,
                let place = position(of: page, in: shared.runPage, shared.runLength)
            else { continue }
            return (PageOwner(.sharedPages, shared.id), place)
        }
        return nil
    }

    private func position(of page: UInt64, in runPage: [UInt64], _ runLength: [UInt64]) -> UInt64? {
        var before: UInt64 = 0
        for index in runPage.indices {
            if page < runPage[index] { return nil }
            if page < runPage[index] + runLength[index] { return before + page - runPage[index] }
            before += runLength[index]
        }
        return nil
    }

    /// How many bytes an address space has in sets of shared pages.
    package func sharedBytes(of space: UInt32) -> UInt64 {
        sharedBy(space).reduce(0) { $0 + sharedPages[$1.set].holders[$1.holder].runLength.reduce(0, +) } * UInt64(ImageFormat.pageSize)
    }

    /// How many bytes of each mapping are saved, in the order of the mappings, shared ones included. One pass for each set.
    package func savedBytes(of space: ImageAddressSpace) -> [UInt64] {
        var saved = space.savedBytes(space.runPage, space.runLength)
        for (set, holder) in sharedBy(space.id) {
            let held = sharedPages[set].holders[holder]
            for (index, bytes) in space.savedBytes(held.runPage, held.runLength).enumerated() { saved[index] += bytes }
        }
        return saved
    }
}

extension ImageAddressSpace {
    /// How many bytes of each mapping it has for itself, in the order of the mappings. One pass.
    package func savedBytes() -> [UInt64] { savedBytes(runPage, runLength) }

    fileprivate func savedBytes(_ runPage: [UInt64], _ runLength: [UInt64]) -> [UInt64] {
        let pageSize = UInt64(ImageFormat.pageSize)
        var saved: [UInt64] = []
        saved.reserveCapacity(mappings.count)
        var run = 0
        for mapping in mappings {
            var bytes: UInt64 = 0
            while run < runPage.count {
                let start = runPage[run] * pageSize
                let end = start + runLength[run] * pageSize
                if start >= mapping.end { break }
                bytes += min(end, mapping.end) - max(start, min(mapping.start, end))
                if end > mapping.end { break }
                run += 1
            }
            saved.append(bytes)
        }
        return saved
    }
}

extension SavedPages {
    /// Bytes of a task's memory, as far as they are saved without a hole from `address` on.
    package func memory(at address: UInt64, upTo count: Int, of space: ImageAddressSpace) throws(ImageError) -> [UInt8] {
        let pageSize = UInt64(ImageFormat.pageSize)
        var bytes: [UInt8] = []
        while bytes.count < count {
            let at = address + UInt64(bytes.count)
            guard let (owner, position) = image.savedPlace(ofPage: at / pageSize, of: space) else { break }
            let page = try read(owner, from: position, count: 1)
            let offset = Int(at % pageSize)
            bytes += page[offset..<min(page.count, offset + count - bytes.count)]
        }
        return bytes
    }
}
