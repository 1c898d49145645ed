/// Finds single saved pages in the image.
extension ImageAddressSpace {
    /// The place of page number `page` among the saved pages, nil where it is not saved.
    package func savedPosition(ofPage page: UInt64) -> UInt64? {
        var before: UInt64 = 0
        for index in runPage.indices {
            if page < runPage[index] { return nil }
            if page < runPage[index] + runLength[index] { return before + page - runPage[index] }
            before += runLength[index]
        }
        return nil
    }

    /// How many bytes of each mapping are saved, in the order of the mappings. One pass.
    package func savedBytes() -> [UInt64] {
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

extension CheckpointImage {
    /// Bytes of a task's memory, as far as they are saved without a hole from `address` on.
    package func memory(
        at address: UInt64, upTo count: Int, of space: ImageAddressSpace, in source: some RandomSource
    ) throws(ImageError) -> [UInt8] {
        guard let section = pageSection(of: PageOwner(.addressSpace, space.id)) else { return [] }
        let pageSize = UInt64(ImageFormat.pageSize)
        var bytes: [UInt8] = []
        while bytes.count < count {
            let at = address + UInt64(bytes.count)
            guard let position = space.savedPosition(ofPage: at / pageSize) else { break }
            let wanted = min(count - bytes.count, Int(pageSize - at % pageSize))
            let more: [UInt8]
            do {
                more = try source.read(upTo: wanted, at: section.offset + position * pageSize + at % pageSize)
            } catch let error as ImageError { throw error } catch { throw ImageError(.source("\(error)")) }
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }
}
