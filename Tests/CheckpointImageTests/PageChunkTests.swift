import CheckpointImage
import SwiftProtobuf
import Testing

@Suite struct PageChunkTests {
    static let forms: [PageCompression?] = [nil, .zstd(level: 1), .zstd(level: 19), .lz4]

    @Test(arguments: forms) func comeBackAsTheyWere(_ form: PageCompression?) throws {
        let records = Packed.records(identity: 1)
        let pages = Packed.pages(records)
        let bytes = try Packed.image(records, pages, form)
        let plain = pages.reduce(0) { $0 + $1.bytes.count }
        // A third of the pages does not shrink.
        #expect(form == nil ? bytes.count > plain : bytes.count < plain / 2)
        let saved = try Packed.saved(bytes)
        for (owner, data) in pages {
            #expect(try saved.read(owner, from: 0, count: data.count / 4096) == data)
            let section = try #require(saved.image.pageSection(of: owner))
            #expect(section.isChunked && section.storedBytes < UInt64(data.count + 4096))
            try saved.check(section) { error throws(ImageError) in throw error }
        }
        for piece in [1000, 65536, 1 << 20] { #expect(try Packed.readPipe(bytes, inPieces: piece) == pages.map(\.bytes)) }
        #expect(try ImageVerification(of: ByteSource(bytes)).findings.isEmpty)
    }

    @Test func anyPartOfThemCanBeRead() throws {
        let records = Packed.records(identity: 1)
        let pages = Packed.pages(records)
        let saved = try Packed.saved(try Packed.image(records, pages, .lz4))
        let (owner, data) = try #require(pages.first { $0.owner.kind == .memoryObject })
        for (first, count) in [(0, 1), (63, 1), (63, 2), (64, 64), (60, 100), (159, 1), (160, 0)] {
            #expect(try saved.read(owner, from: UInt64(first), count: count) == Array(data[first * 4096..<(first + count) * 4096]))
        }
        #expect(throws: ImageError(.pagesNotThere("\(owner)"))) { try saved.read(owner, from: 159, count: 2) }
    }

    @Test func pagesThatDoNotShrinkAreKeptAsTheyAre() throws {
        let noise = (0..<64 * 4096).map { _ in UInt8.random(in: 0...255) }
        for form in [PageCompression.zstd(level: 3), .lz4] {
            let records = try PageChunkEncoder(form).records(of: noise.span.bytes, leftOut: [0])
            #expect(records.count == 24 + 16 + noise.count && Array(records[24 + 8..<24 + 12]) == [0, 0, 0, 0])
            #expect(Array(records[40...]) == noise)
        }
    }

    @Test func wordsOfTheCommandLine() {
        #expect(PageCompression("zstd") == .zstd(level: 1) && PageCompression("zstd:19") == .zstd(level: 19))
        #expect(PageCompression("lz4") == .lz4)
        for text in ["", "zstd:", "zstd:0", "zstd:20", "zstd:-1", "zstd:x", "lz4:1", "gzip", "ZSTD"] { #expect(PageCompression(text) == nil) }
    }

    // MARK: Damage

    /// One page for each owner.
    static func small(_ form: PageCompression?) throws -> [UInt8] {
        var records = Sample.records()
        for index in 0..<2 { (records.addressSpaces[index].runPage, records.addressSpaces[index].runLength) = ([0x401], [1]) }
        return try Packed.image(records, Sample.owners(records).map { ($0.0, [UInt8](repeating: 7, count: 4096)) }, form)
    }

    @Test func everyFlipAndCutIsFound() throws {
        var bytes = try Self.small(.zstd(level: 1))
        for position in bytes.indices {
            bytes[position] ^= 0x80
            #expect(!(try ImageVerification(of: ByteSource(bytes)).findings).isEmpty, "byte \(position)")
            #expect(throws: ImageError.self, "byte \(position)") { _ = try Packed.readPipe(bytes, inPieces: 1 << 20) }
            bytes[position] ^= 0x80
        }
        for count in bytes.indices { #expect(throws: ImageError.self) { _ = try Packed.readPipe(Array(bytes[..<count]), inPieces: 1 << 20) } }
    }

    // MARK: What no checkpoint writes

    /// The sample without pages but those of its memory object, whose only chunk has this body.
    static func image(chunk body: [UInt8], parent: UInt32 = 0, count: Int = 1, type: UInt32 = 153) -> [UInt8] {
        var image = RawImage()
        var records = RawImage.pageless()
        records.memoryObjects = [Sample.object()]
        image.metadata(records)
        var description = ImagePageDescription()
        description.owner = .memoryObject
        description.id = 1
        description.pages = 1
        description.chunked = true
        description.parent = parent
        image.record(.pageDescription, id: 1, description)
        for _ in 0..<count { image.record(type, body) }
        var sums = ImagePageChecksums()
        sums.crc32C = [crc32c([UInt8](repeating: 9, count: 4096))]
        image.record(.pageChecksums, id: 1, sums)
        image.tail.pages = 1
        image.end()
        return image.bytes
    }

    static func body(_ codec: UInt8, leftOut: UInt8 = 0, _ data: [UInt8]) -> [UInt8] {
        [leftOut] + [UInt8](repeating: 0, count: 7) + [codec] + [UInt8](repeating: 0, count: 7) + data
    }

    /// What both readers say.
    private func reason(_ bytes: [UInt8]) -> (file: ImageError.Reason?, pipe: ImageError.Reason?) {
        var found: (ImageError.Reason?, ImageError.Reason?)
        do {
            let saved = try Packed.saved(bytes)
            _ = try saved.read(PageOwner(.memoryObject, 1), from: 0, count: 1)
        } catch { found.0 = (error as? ImageError)?.reason }
        do { _ = try Packed.readPipe(bytes, inPieces: 1 << 16) } catch { found.1 = error.reason }
        return found
    }

    private func at(_ bytes: [UInt8]) throws -> UInt64 {
        try #require(try CheckpointImage(reading: ByteSource(bytes)).pageSections.first).chunks[0]
    }

    @Test func theRawChunkIsGood() {
        let found = reason(Self.image(chunk: Self.body(0, [UInt8](repeating: 9, count: 4096))))
        #expect(found.file == nil && found.pipe == nil)
    }

    @Test func chunksOfOtherLengths() throws {
        for data in [[], [UInt8](repeating: 9, count: 4095), [UInt8](repeating: 9, count: 8192)] {
            let bytes = Self.image(chunk: Self.body(0, data))
            let wanted = ImageError.Reason.chunkLength(UInt64(16 + data.count), at: try at(bytes))
            #expect(reason(bytes) == (wanted, wanted))
        }
        // Too long for any chunk, and too short for its first fields.
        for body in [[UInt8](repeating: 0, count: 262_161), [1, 2, 3]] {
            let found = reason(Self.image(chunk: body))
            guard case .chunkLength(UInt64(body.count), _)? = found.pipe, case .chunkLength? = found.file else {
                Issue.record("\(found)")
                continue
            }
        }
    }

    @Test func unknownCodec() throws {
        let bytes = Self.image(chunk: Self.body(3, [1, 2, 3]))
        let wanted = ImageError.Reason.unknownCodec(3, at: try at(bytes))
        #expect(reason(bytes) == (wanted, wanted) && ImageError(wanted).kind == .otherVersion)
    }

    /// Compressed bytes that give more, fewer or no pages: never more is written than the pages of the chunk.
    @Test(arguments: [PageCompression.zstd(level: 1), .lz4]) func otherPagesThanSaid(_ form: PageCompression) throws {
        for pages in [2, 64] {
            let many = try PageChunkEncoder(form).records(of: [UInt8](repeating: 9, count: pages * 4096).span.bytes, leftOut: [0])
            let length = Int(many[8]) | Int(many[9]) << 8
            let bytes = Self.image(chunk: Array(many[24..<24 + length]))
            let wanted = ImageError.Reason.chunkDamaged(at: try at(bytes))
            #expect(reason(bytes) == (wanted, wanted), "\(pages) pages")
        }
        for data in [[], [0], [UInt8](repeating: 0xff, count: 300)] {
            let bytes = Self.image(chunk: Self.body(form == .lz4 ? 2 : 1, data))
            let wanted = ImageError.Reason.chunkDamaged(at: try at(bytes))
            #expect(reason(bytes) == (wanted, wanted))
        }
    }

    @Test func leftOutWithoutAParent() throws {
        var bytes = Self.image(chunk: Self.body(0, leftOut: 1, []))
        var wanted = ImageError.Reason.leftOutWithoutParent(at: try at(bytes))
        #expect(reason(bytes) == (wanted, wanted))
        // More than the chunk has.
        bytes = Self.image(chunk: Self.body(0, leftOut: 2, [UInt8](repeating: 9, count: 4096)))
        wanted = .chunkDamaged(at: try at(bytes))
        #expect(reason(bytes) == (wanted, wanted))
        // A section that says so, in an image that names no parent.
        guard case (.leftOutWithoutParent?, .leftOutWithoutParent?) = reason(Self.image(chunk: [], parent: 1)) else {
            Issue.record("a section without a parent image is taken")
            return
        }
    }

    /// Compressed bytes that an enemy changed, checksums being right: the pages have their size, or are refused.
    @Test(arguments: [PageCompression.zstd(level: 1), .lz4]) func anyCompressedBytes(_ form: PageCompression) throws {
        var page = [UInt8](repeating: 9, count: 4096)
        for index in 0..<500 { page[index * 7] = UInt8.random(in: 0...255) }
        let good = try PageChunkEncoder(form).records(of: page.span.bytes, leftOut: [0])
        let body = Array(good[24..<24 + Int(good[8]) + Int(good[9]) << 8])
        var refused = 0
        for _ in 0..<2000 {
            var changed = body
            for _ in 0..<Int.random(in: 1...4) { changed[Int.random(in: 16..<changed.count)] = UInt8.random(in: 0...255) }
            if Bool.random() { changed.removeLast(Int.random(in: 0..<changed.count - 16)) }
            do {
                let saved = try Packed.saved(Self.image(chunk: changed))
                #expect(try saved.read(PageOwner(.memoryObject, 1), from: 0, count: 1).count == 4096)
            } catch let error as ImageError {
                guard case .chunkDamaged = error.reason else { throw error }
                refused += 1
            }
        }
        #expect(refused > 500)
    }

    @Test func moreAndOtherRecords() {
        let body = Self.body(0, [UInt8](repeating: 9, count: 4096))
        for bytes in [Self.image(chunk: body, count: 2), Self.image(chunk: body, count: 0), Self.image(chunk: body, type: 106)] {
            let found = reason(bytes)
            guard case (.unexpected?, .unexpected?) = found else {
                Issue.record("\(found)")
                continue
            }
        }
    }
}
