extension CheckpointImage {
    /// Reads the metadata of a file, where its pages lie and what their checksums are, and compares
    /// everything with the tail. Page bytes are not read: ``SavedPages`` is for them.
    package init(reading source: some RandomSource) throws(ImageError) {
        let size = source.size
        try Self.requireImage(source)
        var walk = ImageWalk(Cursor(source: source), size: size)
        let (image, next) = try walk.metadata()
        self = image
        try findSections(&walk, next, size)
    }

    /// The same of a file whose metadata were read before they were written. Nil: the file does not begin with their bytes.
    package init?(reading source: some RandomSource, after known: KnownMetadata) throws(ImageError) {
        let size = source.size
        try Self.requireImage(source)
        guard try known.begin(source) else { return nil }
        var walk = ImageWalk(source, size: size, after: known.walk)
        let first = try walk.afterSection()
        self = known.image
        try findSections(&walk, first, size)
    }

    private static func requireImage(_ source: some RandomSource) throws(ImageError) {
        guard source.size >= UInt64(ImageFormat.preludeLength) else { return }
        var first = RecordReader(Cursor(source: source), size: source.size)
        try first.prelude()
        if let failed = try failure(of: source) { throw failed }
    }

    private mutating func findSections<File>(
        _ walk: inout ImageWalk<Cursor<File>>, _ first: ImageWalk<Cursor<File>>.Next, _ size: UInt64
    ) throws(ImageError) {
        // From here on little is read in one place: the checksums of a section, and what the next one is.
        walk.reader.readAhead = ImageFormat.pageSize
        var next = first
        while case .section(let description, _) = next {
            try walk.pageData(of: description)
            var section = PageSection(
                owner: PageOwner(description.owner, description.id), pages: description.pages, offset: walk.reader.offset, checksums: [])
            section.parent = description.parent
            if description.chunked {
                section.chunks = try walk.chunkPlaces(of: description)
            } else {
                walk.reader.skip(section.byteCount)
            }
            section.checksums = try walk.checksums(of: description)
            add(section)
            next = try walk.afterSection()
        }
        try walk.finish()
        guard walk.reader.offset == size else { throw ImageError(.trailingBytes(at: walk.reader.offset)) }
    }

    /// The reason that the end of a failed image states, nil for any other file.
    private static func failure(of source: some RandomSource) throws(ImageError) -> ImageError? {
        let reach = min(source.size, UInt64(FailureRecord.reach))
        var cursor = Cursor(source: source, position: source.size - reach)
        var last: [UInt8] = []
        while last.count < Int(reach) {
            let more: [UInt8]
            do { more = try cursor.read(upTo: Int(reach) - last.count) } catch let error as ImageError {
                throw error
            } catch { throw ImageError(.source("\(error)")) }
            if more.isEmpty { break }
            last += more
        }
        return FailureRecord.error(atEndOf: last)
    }
}

/// The metadata of an image that is being written, read as any reader would read them. What is written from these bytes need only
/// be compared with them.
package struct KnownMetadata {
    package let image: CheckpointImage
    private let bytes: [UInt8]
    let walk: ImageWalk<ByteSource>

    /// - Parameter bytes: an image up to its first page description, as the encoder makes them.
    package init(_ bytes: [UInt8]) throws(ImageError) {
        self.bytes = bytes
        var walk = ImageWalk(ByteSource(bytes), size: UInt64(bytes.count))
        image = try walk.metadata(upTo: UInt64(bytes.count))
        self.walk = walk
    }

    /// Whether a file begins with these bytes.
    func begin(_ source: some RandomSource) throws(ImageError) -> Bool {
        guard source.size >= UInt64(bytes.count) else { return false }
        for start in stride(from: 0, to: bytes.count, by: 1 << 20) {
            let part = bytes[start..<min(start + 1 << 20, bytes.count)]
            if try source.bytes(part.count, at: UInt64(start))[...] != part { return false }
        }
        return true
    }
}
