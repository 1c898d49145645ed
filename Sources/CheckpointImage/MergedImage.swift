/// Writes an image and what its parents have for it as one image. It keeps the identity: images that leave out pages of the one
/// can use the other.
package struct MergedImage {
    private let pages: SavedPages
    private let compression: PageCompression?
    /// Pages that are written at once.
    private static let sliceLength: UInt64 = 1024

    package init(of pages: SavedPages, compression: PageCompression?) {
        self.pages = pages
        self.compression = compression
    }

    /// - Parameter put: takes the bytes of the new image, in order.
    /// - Throws: an `ImageError` where the old images are damaged; what `put` throws.
    package func write(_ put: ([UInt8]) throws -> Void) throws {
        var records = pages.image.records
        records.header.clearParent()
        var encoder = ImageEncoder()
        try put(encoder.metadata(records))
        let chunks = try compression.map { compression throws(ImageError) in try PageChunkEncoder(compression) }
        for section in pages.image.pageSections {
            try pages.check(section) { error throws(ImageError) in throw error }
            try write(section, chunks, &encoder, put)
        }
        try put(encoder.tail())
    }

    private func write(
        _ section: PageSection, _ chunks: PageChunkEncoder?, _ encoder: inout ImageEncoder, _ put: ([UInt8]) throws -> Void
    ) throws {
        var description = ImagePageDescription()
        description.owner = section.owner.kind
        description.id = section.owner.id
        description.pages = section.pages
        description.chunked = chunks != nil
        try put(encoder.pagesBegin(description))
        var place: UInt64 = 0
        while place < section.pages {
            let count = Int(min(Self.sliceLength, section.pages - place))
            let bytes = try pages.read(section.owner, from: place, count: count)
            if let chunks {
                let words = (count + PageChunk.mostPages - 1) / PageChunk.mostPages
                let records = chunks.records(of: bytes.span.bytes, leftOut: [UInt64](repeating: 0, count: words))
                try put(records)
                encoder.chunksWritten(records.count)
            } else {
                try put(bytes)
            }
            place += UInt64(count)
        }
        try put(encoder.pagesEnd(checksums: section.checksums))
    }
}
