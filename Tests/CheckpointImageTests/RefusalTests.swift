import CheckpointImage
import SwiftProtobuf
import Testing

/// One test for each refusal of the format itself; the rules have their own.
@Suite struct RefusalTests {
    /// Both readers give the same reason.
    func refused(
        _ reason: ImageError.Reason, as kind: ImageError.Kind = .damaged, _ bytes: [UInt8],
        place: SourceLocation = #_sourceLocation
    ) {
        let byFile = #expect(throws: ImageError(reason), "file", sourceLocation: place) {
            _ = try readFile(bytes)
        }
        #expect(throws: ImageError(reason), "pipe", sourceLocation: place) { _ = try readPipe(bytes) }
        #expect(byFile?.kind == kind, sourceLocation: place)
    }

    /// Where the records after the header begin in `RawImage.whole`.
    var afterHeader: UInt64 {
        var image = RawImage()
        image.record(.header, Sample.header())
        return UInt64(image.bytes.count)
    }

    /// Where the tail of `RawImage.whole` begins.
    var tailOffset: UInt64 {
        var image = RawImage()
        image.metadata(RawImage.pageless())
        return UInt64(image.bytes.count)
    }

    @Test func theRawImageIsGood() throws {
        _ = try readFile(RawImage.whole())
        _ = try readPipe(RawImage.whole())
    }

    @Test func otherVersion() {
        refused(.otherVersion(3), as: .otherVersion, RawImage.whole(version: 3))
        refused(.otherVersion(1), as: .otherVersion, RawImage.whole(version: 1))
        let sentence = ImageError(.otherVersion(3)).sentence(image: "a.img")
        #expect(
            sentence == "cannot read image a.img: it has format version 3 "
                + "(this tool reads version 2; use the tool that wrote it)")
    }

    @Test func unknownRequiredRecord() {
        let bytes = RawImage.whole(afterHeader: { $0.record(299, id: 1, [1]) })
        refused(.unknownType(299, at: afterHeader), as: .otherVersion, bytes)
    }

    @Test func unknownOptionalRecordIsSkipped() throws {
        let bytes = RawImage.whole(
            afterHeader: { $0.record(299, flags: 1, id: 1, [1, 2, 3]) },
            beforeTail: { $0.record(300, flags: 1, id: 2, []) })
        #expect(try readFile(bytes).processes.count == 3)
        #expect(try readPipe(bytes).processes.count == 3)
    }

    @Test func unknownOptionalRecordIsStillChecked() {
        var bytes = RawImage.whole(afterHeader: { $0.record(299, flags: 1, id: 1, [1, 2, 3]) })
        bytes[Int(afterHeader) + 25] ^= 1
        refused(.bodyDamaged(type: 299, at: afterHeader), bytes)
    }

    @Test func unknownFlags() {
        let bytes = RawImage.whole(afterHeader: { $0.record(299, flags: 3, id: 1, []) })
        refused(.unknownFlags(3, at: afterHeader), as: .otherVersion, bytes)
    }

    @Test(arguments: [268_435_457, 1 << 40, UInt64.max]) func hostileLengths(length: UInt64) {
        let bytes = RawImage.whole(afterHeader: { $0.head(101, length: length, checksum: 0) })
        refused(.tooLong(type: 101, length: length, at: afterHeader), bytes)
    }

    /// A length that the format allows, but not the file: refused before anything is allocated.
    @Test func lengthBeyondTheFile() {
        let bytes = RawImage.whole(afterHeader: { $0.head(101, length: 200 << 20, checksum: 0) })
        refused(.endsEarly(at: UInt64(bytes.count)), as: .incomplete, bytes)
    }

    @Test func pageDataLength() {
        var image = RawImage()
        image.metadata(Sample.records())
        image.section(PageOwner(.addressSpace, 1), pages: 3, length: 4096)
        let error = #expect(throws: ImageError.self) { _ = try readFile(image.bytes) }
        guard case .pageLength(4096, pages: 3, _) = error?.reason else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: error!) { _ = try readPipe(image.bytes) }
    }

    @Test func pageDataBeyondAllBounds() {
        var image = RawImage()
        image.metadata(RawImage.pageless())
        let at = UInt64(image.bytes.count)
        image.head(151, length: UInt64.max - 4095, checksum: 0)
        refused(.tooLong(type: 151, length: UInt64.max - 4095, at: at), image.bytes)
    }

    @Test func misalignedPages() {
        var image = RawImage()
        image.metadata(Sample.records())
        image.section(PageOwner(.addressSpace, 1), pages: 3, aligned: false)
        let error = #expect(throws: ImageError.self) { _ = try readFile(image.bytes) }
        guard case .misalignedPages = error?.reason else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func tooFewChecksums() {
        var image = RawImage()
        image.metadata(Sample.records())
        image.section(PageOwner(.addressSpace, 1), pages: 3, checksums: [])
        let error = #expect(throws: ImageError.self) { _ = try readFile(image.bytes) }
        guard case .checksumCount(0, pages: 3, _) = error?.reason else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: error!) { _ = try readPipe(image.bytes) }
    }

    @Test func bodyThatCannotBeDecoded() {
        for body: [UInt8] in [[0xff], [0x08], [0x0a, 0x05, 1], [0x0b], [0x0f]] {
            let bytes = RawImage.whole(afterHeader: { $0.record(101, id: 1, body) })
            refused(.undecodable(type: 101, at: afterHeader), bytes)
        }
        // Well formed at the top, not below.
        let inner = RawImage.whole(afterHeader: { $0.record(101, id: 1, [0x62, 2, 0x0a, 9]) })
        refused(.undecodable(type: 101, at: afterHeader), inner)
    }

    @Test func tooManyFields() {
        let body =
            [UInt8](repeating: 0, count: 0)
            + (0...ImageFormat.mostFields).flatMap { _ in [0x12, 0] as [UInt8] }
        let bytes = RawImage.whole(afterHeader: { $0.record(103, id: 1, body) })
        refused(.tooManyFields(type: 103, at: afterHeader), bytes)
    }

    @Test func headerRecordFirst() {
        var image = RawImage()
        image.record(.process, id: 10, Sample.process(10, parent: 0))
        image.end()
        refused(.notFirst(type: 101), image.bytes)
    }

    @Test func oneHeaderRecord() {
        let bytes = RawImage.whole(afterHeader: { $0.record(.header, id: 0, Sample.header()) })
        refused(.secondHeader(at: afterHeader), bytes)
    }

    @Test func metadataAfterPages() {
        var image = RawImage()
        image.metadata(Sample.records())
        image.section(PageOwner(.addressSpace, 1), pages: 3)
        let at = UInt64(image.bytes.count)
        image.record(.pipe, id: 1, Sample.pipe())
        image.end()
        refused(.unexpected(type: 106, at: at, "after the first pages"), image.bytes)
    }

    @Test func pageDataWithoutDescription() {
        let bytes = RawImage.whole(beforeTail: { $0.head(151, length: 0, checksum: 0) })
        refused(.unexpected(type: 151, at: tailOffset, "without a page description"), bytes)
    }

    @Test func descriptionWithoutPageData() {
        var image = RawImage()
        image.metadata(Sample.records())
        var description = ImagePageDescription()
        description.id = 1
        description.pages = 3
        image.record(.pageDescription, id: 1, description)
        let at = UInt64(image.bytes.count)
        image.end()
        refused(.unexpected(type: 9001, at: at, "in place of page data"), image.bytes)
    }

    @Test func pageDataWithoutChecksums() {
        var image = RawImage()
        image.metadata(Sample.records())
        var description = ImagePageDescription()
        description.id = 1
        description.pages = 3
        image.record(.pageDescription, id: 1, description)
        image.record(
            2, flags: 1, [UInt8](repeating: 0, count: (4096 - (image.bytes.count + 48) % 4096) % 4096))
        image.head(151, length: 3 * 4096, checksum: 0, id: 1)
        image.record(2, flags: 1, [UInt8](repeating: 0, count: 3 * 4096 - 24))
        let at = UInt64(image.bytes.count)
        image.end()
        refused(.unexpected(type: 9001, at: at, "in place of page checksums"), image.bytes)
    }

    @Test func paddingIsZero() {
        let bytes = RawImage.whole(afterHeader: { $0.record(2, flags: 1, [0, 0, 1, 0]) })
        refused(.paddingNotZero(at: afterHeader), bytes)
    }

    @Test func fillBytesAreZero() {
        var bytes = RawImage.whole(afterHeader: { $0.record(299, flags: 1, id: 0, [1]) })
        bytes[Int(afterHeader) + 26] = 1
        refused(.paddingNotZero(at: afterHeader + 25), bytes)
    }

    @Test func damagedParts() {
        var bytes = RawImage.whole()
        bytes[9] ^= 1
        refused(.preludeDamaged, bytes)
        bytes[9] ^= 1
        bytes[Int(afterHeader)] ^= 1
        refused(.headerDamaged(at: afterHeader), bytes)
        bytes[Int(afterHeader)] ^= 1
        bytes[Int(afterHeader) + 30] ^= 1
        refused(.bodyDamaged(type: 101, at: afterHeader), bytes)
        bytes[Int(afterHeader) + 30] ^= 1
        bytes[bytes.count - 1] ^= 1
        refused(.trailerDamaged, bytes)
    }

    @Test func tailElsewhere() {
        var image = RawImage()
        image.metadata(RawImage.pageless())
        image.end(offset: 16)
        refused(.tailElsewhere(16, found: tailOffset), image.bytes)
    }

    @Test func indexThatDoesNotFit() {
        refused(.indexMismatch(entry: 3), RawImage.whole(beforeTail: { $0.tail.entries[3].id += 1 }))
        refused(.indexMismatch(entry: 4), RawImage.whole(beforeTail: { $0.tail.entries[4].type += 1 }))
        refused(.indexMismatch(entry: 5), RawImage.whole(beforeTail: { $0.tail.entries[5].length += 1 }))
        refused(.indexMismatch(entry: 6), RawImage.whole(beforeTail: { $0.tail.entries[6].offset += 8 }))
        refused(
            .indexMismatch(entry: 2),
            RawImage.whole(beforeTail: { $0.tail.entries.removeLast($0.tail.entries.count - 2) }))
        // One more than there are records.
        var count = 0
        let longer = RawImage.whole(beforeTail: {
            count = $0.tail.entries.count
            $0.tail.entries.append($0.tail.entries[0])
        })
        refused(.indexMismatch(entry: count), longer)
    }

    @Test func countsThatDoNotFit() {
        refused(.countMismatch("processes"), RawImage.whole(beforeTail: { $0.tail.processes += 1 }))
        refused(.countMismatch("threads"), RawImage.whole(beforeTail: { $0.tail.threads += 1 }))
        refused(.countMismatch("pages"), RawImage.whole(beforeTail: { $0.tail.pages += 1 }))
    }

    @Test func errorRecordThatCannotBeDecoded() {
        refused(
            .undecodable(type: 9999, at: tailOffset), RawImage.whole(beforeTail: { $0.record(9999, [0xff]) }))
    }
}
