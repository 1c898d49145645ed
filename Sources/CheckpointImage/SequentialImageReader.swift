/// Reads an image from a pipe, in this order: `readMetadata`, then for each section `nextSection`,
/// `readPages` until it is empty, `endSection`; `nextSection` returns nil once the tail was read and
/// agrees with everything that came before.
///
/// Page bytes are handed out before their checksums are known: they are right only if `endSection` does not throw. Compressed
/// ones are decompressed, and those that are left out are taken from `parent`.
package struct SequentialImageReader<Source: SequentialSource> {
    private var walk: ImageWalk<Source>
    private var next: ImageWalk<Source>.Next?
    private var section: ImagePageDescription?
    private var remaining: UInt64 = 0
    private var start: UInt64 = 0
    private var checksummer = PageChecksummer()
    /// The image that has what this one leaves out; to be set before pages are read.
    package var parent: SavedPages?
    private var image: CheckpointImage?
    private var leftOut: LeftOutPages?
    /// Pages of the last chunk that have not been handed out.
    private var unpacked: ArraySlice<UInt8> = []
    /// Where the chunks of the section began.
    private var chunks: [UInt64] = []
    /// The last page bytes, where the error record of a checkpoint that failed would be.
    private var recent: [UInt8] = []

    package init(_ source: Source) { walk = ImageWalk(source) }

    /// The source, for a caller that reads page bytes from it straight into their place (`tookPages`).
    package var source: Source {
        get { walk.reader.source }
        set { walk.reader.source = newValue }
    }

    /// Bytes from the start of the image.
    package var offset: UInt64 { walk.reader.offset }

    /// All metadata; stops before the first pages or the tail.
    package mutating func readMetadata() throws(ImageError) -> CheckpointImage {
        let (image, next) = try walk.metadata()
        self.next = next
        if image.header.hasParent { self.image = image }
        return image
    }

    /// The owner of the pages that come next; nil at the end of an image that is whole.
    package mutating func nextSection() throws(ImageError) -> ImagePageDescription? {
        precondition(section == nil, "a section is ended before the next one")
        let found: ImageWalk<Source>.Next
        if let next { found = next } else { found = try walk.afterSection() }
        next = nil
        switch found {
        case .tail:
            try walk.finish()
            return nil
        case .section(let description, _):
            try walk.pageData(of: description)
            section = description
            remaining = description.pages * UInt64(ImageFormat.pageSize)
            start = walk.reader.offset
            (leftOut, chunks) = (nil, [])
            return description
        }
    }

    /// Bytes of the section that have not been handed out.
    package var remainingBytes: UInt64 { remaining }

    /// The next page bytes: exactly `count`, fewer only at the end of the section, none after it.
    package mutating func readPages(upTo count: Int) throws(ImageError) -> [UInt8] {
        let wanted = Int(min(UInt64(count), remaining))
        if let section, section.chunked { return try readChunks(of: section, wanted) }
        var bytes: [UInt8] = []
        while bytes.count < wanted {
            let more = try walk.reader.takeSome(upTo: wanted - bytes.count)
            if more.isEmpty { throw endedEarly(after: bytes) }
            if bytes.isEmpty { bytes = more } else { bytes += more }
        }
        took(bytes.span.bytes)
        return bytes
    }

    private mutating func readChunks(of section: ImagePageDescription, _ wanted: Int) throws(ImageError) -> [UInt8] {
        let pageSize = UInt64(ImageFormat.pageSize)
        var bytes: [UInt8] = []
        while bytes.count < wanted {
            if unpacked.isEmpty {
                let left = (remaining - UInt64(bytes.count)) / pageSize
                let place = section.pages - left
                chunks.append(walk.reader.offset)
                let chunk = try walk.chunk(of: section, pages: left)
                let count = Int(min(left, UInt64(PageChunk.mostPages)))
                unpacked = try chunk.pages(in: 0..<count) { pages throws(ImageError) in
                    try self.read(pages, from: place, of: section)
                }[...]
            }
            let part = unpacked.prefix(wanted - bytes.count)
            unpacked.removeFirst(part.count)
            if bytes.isEmpty && part.count == wanted { bytes = Array(part) } else { bytes += part }
        }
        took(bytes.span.bytes)
        return bytes
    }

    /// Pages of a chunk that are left out.
    private mutating func read(_ pages: Range<Int>, from place: UInt64, of section: ImagePageDescription) throws(ImageError) -> [UInt8] {
        if leftOut == nil, let image {
            leftOut = try LeftOutPages(of: PageOwner(section.owner, section.id), section.parent, of: image, in: parent)
        }
        guard let leftOut else { throw ImageError(.leftOutWithoutParent(at: start)) }
        return try leftOut.read(from: place + UInt64(pages.lowerBound), count: pages.count)
    }

    /// Page bytes that were read ahead; empty when the rest of the section comes from the source.
    ///
    /// - Precondition: the section is not chunked.
    package mutating func bufferedPages() throws(ImageError) -> [UInt8] {
        try readPages(upTo: walk.reader.buffered)
    }

    /// Notes page bytes that the caller read from the source itself, straight to where they belong.
    ///
    /// - Precondition: `bufferedPages` was taken; `bytes` are the next ones and belong to the section.
    package mutating func tookPages(_ bytes: RawSpan) {
        walk.reader.passed(bytes.byteCount)
        took(bytes)
    }

    /// Reads the checksums of the section and compares them with the bytes that were handed out.
    package mutating func endSection() throws(ImageError) -> [UInt32] {
        let (checksums, damaged) = try closeSection()
        if let first = damaged.first { throw ImageError(.pagesDamaged(at: first)) }
        return checksums
    }

    /// Reads the checksums of the section.
    ///
    /// - Returns: them, and the offsets of the 256 KiB blocks that differ from them.
    package mutating func closeSection() throws(ImageError) -> (checksums: [UInt32], damaged: [UInt64]) {
        guard let section else { preconditionFailure("no section was begun") }
        precondition(remaining == 0, "all pages of the section are taken first")
        let checksums = try walk.checksums(of: section)
        let damaged = zip(checksummer.finish(), checksums).enumerated().filter { $1.0 != $1.1 }
            .map { chunks.isEmpty ? start + UInt64($0.offset * ImageFormat.checksumBlock) : chunks[$0.offset] }
        self.section = nil
        recent = []
        return (checksums, damaged)
    }

    /// Refuses bytes after the end. Waits for the end of a pipe.
    package mutating func requireEnd() throws(ImageError) { try walk.requireEnd() }

    /// The error for a source that ended in the middle of pages, after these last bytes: that of a failed checkpoint where
    /// an error record is at the end.
    package func endedEarly(after rest: [UInt8] = []) -> ImageError {
        FailureRecord.error(atEndOf: recent + rest) ?? ImageError(.endsEarly(at: walk.reader.offset))
    }

    private mutating func took(_ bytes: RawSpan) {
        checksummer.add(bytes)
        remaining -= UInt64(bytes.byteCount)
        let keep = min(bytes.byteCount, FailureRecord.reach)
        let last = bytes.extracting(last: keep)
        recent.removeFirst(max(0, min(recent.count, recent.count + keep - FailureRecord.reach)))
        last.withUnsafeBytes { recent.append(contentsOf: $0) }
    }
}
