/// Reads an image from a pipe, in this order: `readMetadata`, then for each section `nextSection`,
/// `readPages` until it is empty, `endSection`; `nextSection` returns nil once the tail was read and
/// agrees with everything that came before.
///
/// Page bytes are handed out before their checksums are known: they are right only if `endSection` does not throw.
package struct SequentialImageReader<Source: SequentialSource> {
    private var walk: ImageWalk<Source>
    private var next: ImageWalk<Source>.Next?
    private var section: ImagePageDescription?
    private var remaining: UInt64 = 0
    private var start: UInt64 = 0
    private var checksummer = PageChecksummer()
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
            return description
        }
    }

    /// Bytes of the section that have not been handed out.
    package var remainingBytes: UInt64 { remaining }

    /// The next page bytes: exactly `count`, fewer only at the end of the section, none after it.
    package mutating func readPages(upTo count: Int) throws(ImageError) -> [UInt8] {
        let wanted = Int(min(UInt64(count), remaining))
        var bytes: [UInt8] = []
        while bytes.count < wanted {
            let more = try walk.reader.takeSome(upTo: wanted - bytes.count)
            if more.isEmpty { throw endedEarly(after: bytes) }
            if bytes.isEmpty { bytes = more } else { bytes += more }
        }
        took(bytes.span.bytes)
        return bytes
    }

    /// Page bytes that were read ahead; empty when the rest of the section comes from the source.
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
            .map { start + UInt64($0.offset * ImageFormat.checksumBlock) }
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
