extension CheckpointImage {
    /// Reads the metadata of a file, where its pages lie and what their checksums are, and compares
    /// everything with the tail. Page bytes are not read: ``SavedPages`` is for them.
    package init(reading source: some RandomSource) throws(ImageError) {
        let size = source.size
        if size >= UInt64(ImageFormat.preludeLength) {
            var first = RecordReader(Cursor(source: source), size: size)
            try first.prelude()
            if let failed = try Self.failure(of: source) { throw failed }
        }
        var walk = ImageWalk(Cursor(source: source), size: size)
        var (image, next) = try walk.metadata()
        // From here on little is read in one place: the checksums of a section, and what the next one is.
        walk.reader.readAhead = ImageFormat.pageSize
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
            image.add(section)
            next = try walk.afterSection()
        }
        try walk.finish()
        guard walk.reader.offset == size else { throw ImageError(.trailingBytes(at: walk.reader.offset)) }
        self = image
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
