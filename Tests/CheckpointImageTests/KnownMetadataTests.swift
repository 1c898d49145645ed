import Testing

@testable import CheckpointImage

/// A file is read after its metadata were read before they were written.
@Suite struct KnownMetadataTests {
    private func image(_ records: ImageRecords) throws -> (metadata: [UInt8], bytes: [UInt8]) {
        var encoder = ImageEncoder()
        let metadata = try encoder.metadata(records)
        var bytes = metadata
        for (owner, data) in Packed.pages(records) { bytes += try Sample.section(owner, data, with: &encoder) }
        return (metadata, bytes + (try encoder.tail()))
    }

    @Test func readsTheSame() throws {
        let (metadata, bytes) = try image(Packed.records(identity: 1))
        let known = try KnownMetadata(metadata)
        let plain = try CheckpointImage(reading: ByteSource(bytes))
        let read = try #require(try CheckpointImage(reading: ByteSource(bytes), after: known))
        #expect(read.records == plain.records && known.image.records == plain.records && known.image.pageSections.isEmpty)
        #expect(read.pageSections.map(\.offset) == plain.pageSections.map(\.offset) && read.pageSections.map(\.checksums) == plain.pageSections.map(\.checksums))
    }

    @Test func otherMetadataAreNotTaken() throws {
        let known = try KnownMetadata(try image(Packed.records(identity: 1)).metadata)
        #expect(try CheckpointImage(reading: ByteSource(image(Packed.records(identity: 2)).bytes), after: known) == nil)
    }

    /// What follows the metadata is held against the tail as ever.
    @Test func theRestIsChecked() throws {
        let (metadata, bytes) = try image(Packed.records(identity: 1))
        let known = try KnownMetadata(metadata)
        #expect(throws: ImageError.self) { try CheckpointImage(reading: ByteSource(Array(bytes.dropLast())), after: known) }
        #expect(throws: ImageError.self) { try CheckpointImage(reading: ByteSource(bytes + [0]), after: known) }
        #expect(throws: ImageError.self) { try CheckpointImage(reading: ByteSource(Array(bytes[..<metadata.count])), after: known) }
        var damaged = bytes
        damaged[bytes.count - 100] ^= 1
        #expect(throws: ImageError.self) { try CheckpointImage(reading: ByteSource(damaged), after: known) }
    }

    @Test func moreThanMetadataIsRefused() throws {
        let (metadata, bytes) = try image(Packed.records(identity: 1))
        #expect(throws: ImageError.self) { try KnownMetadata(bytes) }
        #expect(throws: ImageError.self) { try KnownMetadata(Array(metadata.dropLast())) }
    }
}
