/// Reads an image record by record from its beginning, and compares the records with the tail.
///
/// Both readers use it: the sequential one hands out the page bytes, the one for files skips them.
struct ImageWalk<Source: SequentialSource> {
    /// What comes after a group of records.
    enum Next {
        case section(ImagePageDescription, at: UInt64)
        case tail
    }

    var reader: RecordReader<Source>
    /// Every record but padding, to be compared with the index. The id is nil where it cannot be known.
    private var found: [(type: UInt32, offset: UInt64, length: UInt64, id: UInt32?)] = []
    private var pendingTail: (header: RecordHeader, at: UInt64)?
    private var owners: [PageOwner: UInt64] = [:]
    private var sectionsSeen: Set<PageOwner> = []
    private var pages: UInt64 = 0
    /// The header names a parent image.
    private var hasParent = false
    private var processes = 0
    private var threads = 0

    init(_ source: Source, size: UInt64? = nil) { reader = RecordReader(source, size: size) }

    /// Goes on where a walk over the metadata alone has ended, in a file that begins with the same bytes.
    init<File>(_ file: File, size: UInt64, after known: ImageWalk<ByteSource>) where Source == Cursor<File> {
        reader = RecordReader(Cursor(source: file, position: known.reader.offset), size: size, offset: known.reader.offset)
        (found, owners, hasParent) = (known.found, known.owners, known.hasParent)
        (processes, threads) = (known.processes, known.threads)
    }

    /// Reads up to the first page description or the tail.
    mutating func metadata() throws(ImageError) -> (CheckpointImage, Next) {
        try reader.prelude()
        var records = ImageRecords()
        var next: Next?
        while next == nil { next = try metadataRecord(into: &records) }
        let image = try validated(records)
        if case .section(let description, let at)? = next { try admit(description, at: at) }
        return (image, next!)
    }

    /// Reads metadata that nothing follows.
    ///
    /// - Parameter end: where they end.
    mutating func metadata(upTo end: UInt64) throws(ImageError) -> CheckpointImage {
        try reader.prelude()
        var records = ImageRecords()
        while reader.offset < end {
            let at = reader.offset
            switch try metadataRecord(into: &records) {
            case nil: continue
            case .section: throw ImageError(.unexpected(type: RecordType.pageDescription.rawValue, at: at, "among metadata"))
            case .tail: throw ImageError(.unexpected(type: RecordType.tail.rawValue, at: at, "among metadata"))
            }
        }
        return try validated(records)
    }

    private mutating func validated(_ records: ImageRecords) throws(ImageError) -> CheckpointImage {
        let image = try CheckpointImage(validating: records)
        owners = image.lookup.pages
        hasParent = image.header.hasParent
        processes = records.processes.count
        threads = records.threads.count
        return image
    }

    /// Takes one record of the first part; returns what ends that part.
    private mutating func metadataRecord(into records: inout ImageRecords) throws(ImageError) -> Next? {
        let at = reader.offset
        let header = try reader.header()
        guard let type = try known(header, at: at) else { return nil }
        if type == .padding { return nil }
        guard type == .header || !found.isEmpty else { throw ImageError(.notFirst(type: header.type)) }
        switch type {
        case .header:
            guard found.isEmpty else { throw ImageError(.secondHeader(at: at)) }
            records.header = try body(header, type, at)
            note(header, at, id: nil)
        case .process: try add(header, type, at, to: &records.processes, \.pid)
        case .thread: try add(header, type, at, to: &records.threads, \.tid)
        case .addressSpace: try add(header, type, at, to: &records.addressSpaces, \.id)
        case .fileTable: try add(header, type, at, to: &records.fileTables, \.id)
        case .openFile: try add(header, type, at, to: &records.openFiles, \.id)
        case .pipe: try add(header, type, at, to: &records.pipes, \.id)
        case .terminal: try add(header, type, at, to: &records.terminals, \.id)
        case .callFilter: try add(header, type, at, to: &records.callFilters, \.id)
        case .memoryObject: try add(header, type, at, to: &records.memoryObjects, \.id)
        case .semaphoreSet: try add(header, type, at, to: &records.semaphoreSets, \.id)
        case .messageQueue: try add(header, type, at, to: &records.messageQueues, \.id)
        case .directories: try add(header, type, at, to: &records.directories, \.id)
        case .signalActions: try add(header, type, at, to: &records.signalActions, \.id)
        case .namespace: try add(header, type, at, to: &records.namespaces, \.id)
        case .sharedPages: try add(header, type, at, to: &records.sharedPages, \.id)
        case .pageDescription: return .section(try description(header, at), at: at)
        case .tail:
            pendingTail = (header, at)
            return .tail
        default: throw ImageError(.unexpected(type: header.type, at: at, "without a page description"))
        }
        return nil
    }

    /// After the checksums of a section: the next section or the tail.
    mutating func afterSection() throws(ImageError) -> Next {
        while true {
            let at = reader.offset
            let header = try reader.header()
            guard let type = try known(header, at: at) else { continue }
            switch type {
            case .padding: continue
            case .pageDescription:
                let one = try description(header, at)
                try admit(one, at: at)
                return .section(one, at: at)
            case .tail:
                pendingTail = (header, at)
                return .tail
            default: throw ImageError(.unexpected(type: header.type, at: at, "after the first pages"))
            }
        }
    }

    /// Takes the header of the page data that `description` announced; the page bytes come next. Chunks have none.
    mutating func pageData(of description: ImagePageDescription) throws(ImageError) {
        if description.chunked { return }
        while true {
            let at = reader.offset
            let header = try reader.header()
            guard let type = try known(header, at: at) else { continue }
            if type == .padding { continue }
            guard type == .pageData else {
                throw ImageError(.unexpected(type: header.type, at: at, "in place of page data"))
            }
            guard reader.offset % UInt64(ImageFormat.pageSize) == 0 else {
                throw ImageError(.misalignedPages(at: reader.offset))
            }
            guard header.length == description.pages * UInt64(ImageFormat.pageSize), header.checksum == 0
            else {
                throw ImageError(.pageLength(header.length, pages: description.pages, at: reader.offset))
            }
            note(header, at, id: description.id)
            return
        }
    }

    /// Takes the header of the next page chunk.
    private mutating func chunkHeader() throws(ImageError) -> RecordHeader {
        let at = reader.offset
        let header = try reader.header()
        guard try known(header, at: at) == .pageChunk else {
            throw ImageError(.unexpected(type: header.type, at: at, "in place of a page chunk"))
        }
        guard header.length <= PageChunk.longestBody else { throw ImageError(.chunkLength(header.length, at: at)) }
        return header
    }

    /// Takes the next page chunk.
    ///
    /// - Parameter pages: how many of the section are left.
    mutating func chunk(of description: ImagePageDescription, pages: UInt64) throws(ImageError) -> PageChunk {
        let at = reader.offset
        let body = try reader.body(of: try chunkHeader())
        return try PageChunk(
            body, pages: Int(min(pages, UInt64(PageChunk.mostPages))), hasParent: description.parent != 0, at: at)
    }

    /// Passes the chunks of a section of a file.
    ///
    /// - Returns: where each of them is, and where the last one ends.
    mutating func chunkPlaces<File>(of description: ImagePageDescription) throws(ImageError) -> [UInt64] where Source == Cursor<File> {
        let before = reader.readAhead
        reader.readAhead = ImageFormat.recordHeaderLength
        defer { reader.readAhead = before }
        // Made longer as chunks are found: the number of pages is not to be trusted yet.
        var places: [UInt64] = []
        for _ in 0..<ImageFormat.checksumCount(pages: description.pages) {
            places.append(reader.offset)
            let header = try chunkHeader()
            reader.skip(header.length + UInt64(ImageFormat.padding(after: header.length)))
        }
        places.append(reader.offset)
        return places
    }

    /// Takes the checksum record that follows page data at once.
    mutating func checksums(of description: ImagePageDescription) throws(ImageError) -> [UInt32] {
        let at = reader.offset
        let header = try reader.header()
        guard try known(header, at: at) == .pageChecksums else {
            throw ImageError(.unexpected(type: header.type, at: at, "in place of page checksums"))
        }
        let body: ImagePageChecksums = try body(header, .pageChecksums, at)
        note(header, at, id: description.id)
        guard UInt64(body.crc32C.count) == ImageFormat.checksumCount(pages: description.pages) else {
            throw ImageError(.checksumCount(body.crc32C.count, pages: description.pages, at: at))
        }
        pages += description.pages
        return body.crc32C
    }

    /// Takes the tail and the trailer and compares them with all that came before.
    mutating func finish() throws(ImageError) {
        guard let (header, at) = pendingTail else { preconditionFailure("the tail comes last") }
        let tail: ImageTail = try body(header, .tail, at)
        for (owner, count) in owners where count > 0 && !sectionsSeen.contains(owner) {
            throw .rule(.pagesMissing, "\(owner)")
        }
        guard tail.entries.count == found.count else {
            throw ImageError(.indexMismatch(entry: min(tail.entries.count, found.count)))
        }
        for (number, (entry, record)) in zip(tail.entries, found).enumerated() {
            guard entry.type == record.type, entry.offset == record.offset, entry.length == record.length,
                record.id == nil || record.id == entry.id
            else { throw ImageError(.indexMismatch(entry: number)) }
        }
        guard tail.processes == processes else { throw ImageError(.countMismatch("processes")) }
        guard tail.threads == threads else { throw ImageError(.countMismatch("threads")) }
        guard tail.pages == pages else { throw ImageError(.countMismatch("pages")) }
        let trailer = Trailer(try reader.take(ImageFormat.trailerLength))
        guard let trailer, case .tail(let said) = trailer.end else { throw ImageError(.trailerDamaged) }
        guard said == at else { throw ImageError(.tailElsewhere(said, found: at)) }
    }

    /// Checks that no bytes follow the trailer.
    mutating func requireEnd() throws(ImageError) {
        let at = reader.offset
        guard try reader.takeSome(upTo: 1).isEmpty else { throw ImageError(.trailingBytes(at: at)) }
    }

    /// The type; nil for a record that was skipped. Padding has been taken, the error record thrown.
    private mutating func known(_ header: RecordHeader, at: UInt64) throws(ImageError) -> RecordType? {
        guard let type = RecordType(rawValue: header.type) else {
            guard header.flags & RecordHeader.optional != 0 else {
                throw ImageError(.unknownType(header.type, at: at))
            }
            guard !found.isEmpty else { throw ImageError(.notFirst(type: header.type)) }
            _ = try reader.body(of: header)
            note(header, at, id: nil)
            return nil
        }
        if type == .padding {
            let body = try reader.body(of: header)
            guard body.allSatisfy({ $0 == 0 }) else { throw ImageError(.paddingNotZero(at: at)) }
        }
        if type == .failure {
            let body = try reader.body(of: header)
            throw FailureRecord.error(body: body) ?? ImageError(.undecodable(type: header.type, at: at))
        }
        return type
    }

    private mutating func body<Body: RecordBody>(_ header: RecordHeader, _ type: RecordType, _ at: UInt64)
        throws(ImageError) -> Body
    {
        try decode(try reader.body(of: header), type, at: at)
    }

    private mutating func add<Body: RecordBody>(
        _ header: RecordHeader, _ type: RecordType, _ at: UInt64, to records: inout [Body],
        _ id: (Body) -> UInt32
    ) throws(ImageError) {
        let record: Body = try body(header, type, at)
        note(header, at, id: id(record))
        records.append(record)
    }

    private mutating func description(_ header: RecordHeader, _ at: UInt64)
        throws(ImageError) -> ImagePageDescription
    {
        let description: ImagePageDescription = try body(header, .pageDescription, at)
        note(header, at, id: description.id)
        return description
    }

    /// A section belongs to an owner that exists, comes once, and has as many pages as its owner's runs.
    private mutating func admit(_ description: ImagePageDescription, at: UInt64) throws(ImageError) {
        let owner = PageOwner(description.owner, description.id)
        guard let expected = owners[owner] else { throw .rule(.noOwner, "\(owner)") }
        guard description.parent == 0 || (hasParent && description.chunked) else { throw ImageError(.leftOutWithoutParent(at: at)) }
        try require(sectionsSeen.insert(owner).inserted, .twoSections, "\(owner)")
        try require(description.pages == expected, .pagesDiffer, "\(owner)")
    }

    private mutating func note(_ header: RecordHeader, _ at: UInt64, id: UInt32?) {
        found.append((header.type, at, header.length, id))
    }
}
