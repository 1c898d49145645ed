/// Looks for all bad places of an image, not only the first one.
///
/// 1. The error of the normal reader. 2. Every record header and body that the tail's index names, or, where
/// the tail itself is bad, that can be reached from the start. 3. Every 256 KiB of pages.
package struct ImageVerification: Sendable {
    /// Empty for a good image; no place is named twice.
    package private(set) var findings: [ImageError] = []
    /// Page bytes compared with a checksum.
    package private(set) var pageBytes: UInt64 = 0

    /// Reads the whole image, and of its parents what it leaves out.
    ///
    /// - Parameter parent: finds the parent image; its error is a finding.
    package init(
        of source: some RandomSource, parent: (CheckpointImage) throws(ImageError) -> SavedPages? = { _ throws(ImageError) in nil }
    ) throws(ImageError) {
        let image: CheckpointImage
        do { image = try CheckpointImage(reading: source) } catch {
            if error.kind == .unreadable { throw error }
            add(error)
            // A file that is no image, a newer version or a failed checkpoint has no records to look at.
            if error.kind == .damaged || error.kind == .incomplete { try scan(source) }
            return
        }
        var found: SavedPages?
        do throws(ImageError) { found = try parent(image) } catch { add(error) }
        let pages = SavedPages(image, in: source, parent: found)
        for section in image.pageSections {
            try pages.check(section) { error throws(ImageError) in
                // Said once already, with the reason.
                if case .parentMissing = error.reason, findings.contains(where: { $0.kind == .parent }) { return }
                add(error)
            }
            pageBytes += section.byteCount
        }
    }

    private var seen: Set<ImageError> = []

    private mutating func add(_ error: ImageError) {
        if seen.insert(error).inserted { findings.append(error) }
    }

    private mutating func compare(_ section: PageSection, in source: some RandomSource) throws(ImageError) {
        let block = UInt64(ImageFormat.checksumBlock)
        for (number, checksum) in section.checksums.enumerated() {
            let start = UInt64(number) * block
            guard start < section.byteCount else { return }
            let count = min(block, section.byteCount - start)
            let part = PageSection(
                owner: section.owner, pages: count / UInt64(ImageFormat.pageSize),
                offset: section.offset + start,
                checksums: [checksum])
            for at in try part.damagedBlocks(in: source) { add(ImageError(.pagesDamaged(at: at))) }
            pageBytes += count
        }
    }

    /// Goes from record to record. After a bad header the tail's index tells where the next record begins.
    private mutating func scan(_ source: some RandomSource) throws(ImageError) {
        var known = indexedOffsets(source)[...]
        var at: UInt64? = UInt64(ImageFormat.preludeLength)
        var data: PageSection?
        while let offset = at, offset < source.size {
            do { at = try check(offset, in: source, &data) } catch {
                if error.kind == .unreadable { throw error }
                add(error)
                known = known.drop { $0 <= offset }
                at = known.first
            }
        }
    }

    /// Checks one record; notes a bad body, throws where the next record cannot be found from here.
    ///
    /// - Parameter data: the page data that came last, for the checksums that follow them.
    /// - Returns: where the next record begins; nil after the tail.
    private mutating func check(_ at: UInt64, in source: some RandomSource, _ data: inout PageSection?)
        throws(ImageError) -> UInt64?
    {
        var reader = RecordReader(Cursor(source: source, position: at), size: source.size, offset: at)
        let header = try reader.header()
        let end = reader.offset + header.length + UInt64(ImageFormat.padding(after: header.length))
        if header.type == RecordType.pageData.rawValue {
            data = PageSection(
                owner: PageOwner(.addressSpace, 0), pages: header.length / UInt64(ImageFormat.pageSize),
                offset: reader.offset, checksums: [])
            return end
        }
        do {
            let body = try reader.body(of: header)
            if header.type == RecordType.pageChecksums.rawValue, var section = data {
                let sums: ImagePageChecksums = try decode(body, .pageChecksums, at: at)
                section.checksums = sums.crc32C
                data = nil
                try compare(section, in: source)
            }
        } catch {
            if error.kind == .unreadable { throw error }
            add(error)
        }
        return header.type == RecordType.tail.rawValue ? nil : end
    }

    /// Where the tail says that records begin, ascending; empty where the tail is bad.
    private func indexedOffsets(_ source: some RandomSource) -> [UInt64] {
        let length = UInt64(ImageFormat.trailerLength)
        guard source.size > length else { return [] }
        var end = RecordReader(Cursor(source: source, position: source.size - length))
        guard let trailer = try? Trailer(end.take(Int(length))), case .tail(let at) = trailer.end,
            at < source.size
        else { return [] }
        var reader = RecordReader(Cursor(source: source, position: at), size: source.size, offset: at)
        guard let header = try? reader.header(), header.type == RecordType.tail.rawValue,
            let body = try? reader.body(of: header),
            let tail: ImageTail = try? decode(body, .tail, at: at)
        else { return [] }
        return tail.entries.map(\.offset).sorted()
    }
}
