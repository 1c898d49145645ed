import CheckpointImage
import FoundationEssentials
import Testing

/// A checkpoint that failed while it streamed says why, wherever it had got to.
@Suite struct FailureTests {
    static let expected = ImageError(.failedCheckpoint("cannot read memory of 12 sh: ESRCH", status: 1))

    static func fail(_ encoder: inout ImageEncoder) throws -> [UInt8] {
        try encoder.failure(reason: "cannot read memory of 12 sh: ESRCH", status: 1)
    }

    func expectReason(_ bytes: [UInt8]) {
        #expect(throws: Self.expected) { _ = try readFile(bytes) }
        for piece in [3, 1000, 65536] {
            #expect(throws: Self.expected) { _ = try readPipe(bytes, inPieces: piece) }
        }
        #expect(Self.expected.kind == .failedCheckpoint && Self.expected.exitStatus == 2)
    }

    @Test func beforeAnything() throws {
        var encoder = ImageEncoder()
        expectReason(try Self.fail(&encoder))
    }

    @Test func amongTheMetadata() throws {
        var encoder = ImageEncoder()
        var bytes = encoder.start()
        bytes += try encoder.record(.header, id: 0, Sample.header())
        bytes += try encoder.record(.process, id: 10, Sample.process(10, parent: 0))
        expectReason(bytes + (try Self.fail(&encoder)))
    }

    @Test func betweenSections() throws {
        var encoder = ImageEncoder()
        var bytes = try Sample.metadata(Sample.records(), with: &encoder)
        bytes += try Sample.section(
            PageOwner(.addressSpace, 1), [UInt8](repeating: 1, count: 3 * 4096), with: &encoder)
        expectReason(bytes + (try Self.fail(&encoder)))
    }

    @Test(arguments: [0, 1, 4096, 5001, 12000]) func insidePages(written: Int) throws {
        var encoder = ImageEncoder()
        var bytes = try Sample.metadata(Sample.records(), with: &encoder)
        var description = ImagePageDescription()
        description.id = 1
        description.pages = 3
        bytes += try encoder.pagesBegin(description)
        bytes += [UInt8](repeating: 1, count: written)
        expectReason(bytes + (try Self.fail(&encoder)))
    }

    @Test func longReason() throws {
        var encoder = ImageEncoder()
        let bytes = try encoder.failure(reason: String(repeating: "é", count: 5000), status: 3)
        let error = #expect(throws: ImageError.self) { _ = try readFile(bytes) }
        guard case .failedCheckpoint(let reason, status: 3) = error?.reason else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason == String(repeating: "é", count: 1000))
    }

    @Test func damagedErrorRecordIsNotBelieved() throws {
        var encoder = ImageEncoder()
        let bytes = try Self.fail(&encoder)
        for position in bytes.indices {
            var flipped = bytes
            flipped[position] ^= 0x10
            let error = #expect(throws: ImageError.self) { _ = try readFile(flipped) }
            if case .failedCheckpoint(let reason, _) = error?.reason {
                #expect(reason == "cannot read memory of 12 sh: ESRCH")
            }
        }
    }
}

/// What the encoder refuses.
@Suite struct EncoderTests {
    @Test func order() throws {
        var encoder = ImageEncoder()
        #expect(throws: ImageError(.writerOrder("header record out of order"))) {
            _ = try encoder.record(.header, id: 0, Sample.header())
        }
        _ = encoder.start()
        #expect(throws: ImageError(.writerOrder("process record out of order"))) {
            _ = try encoder.record(.process, id: 10, Sample.zombie())
        }
        #expect(throws: ImageError(.writerOrder("tail record out of order"))) { _ = try encoder.tail() }
        _ = try encoder.record(.header, id: 0, Sample.header())
        #expect(throws: ImageError(.writerOrder("header record out of order"))) {
            _ = try encoder.record(.header, id: 0, Sample.header())
        }
        #expect(throws: ImageError(.writerOrder("page checksums record out of order"))) {
            _ = try encoder.pagesEnd(checksums: [])
        }
        var description = ImagePageDescription()
        description.pages = 65
        _ = try encoder.pagesBegin(description)
        #expect(throws: ImageError(.writerOrder("1 checksums for 65 pages"))) {
            _ = try encoder.pagesEnd(checksums: [1])
        }
        #expect(throws: ImageError(.writerOrder("page description record out of order"))) {
            _ = try encoder.pagesBegin(description)
        }
        _ = try encoder.pagesEnd(checksums: [1, 2])
        #expect(throws: ImageError(.writerOrder("pipe record out of order"))) {
            _ = try encoder.record(.pipe, id: 1, Sample.pipe())
        }
        _ = try encoder.tail()
        #expect(throws: ImageError(.writerOrder("error record out of order"))) {
            _ = try encoder.failure(reason: "", status: 1)
        }
    }

    @Test func tooLong() throws {
        var encoder = ImageEncoder()
        _ = encoder.start()
        _ = try encoder.record(.header, id: 0, Sample.header())
        var pipe = Sample.pipe()
        pipe.contents = [Data(count: Int(ImageFormat.longestBody))]
        let error = #expect(throws: ImageError.self) { _ = try encoder.record(.pipe, id: 1, pipe) }
        #expect(error?.kind == .unwritable && error?.exitStatus == 1)
        var description = ImagePageDescription()
        description.pages = ImageFormat.mostPages + 1
        #expect(throws: ImageError.self) { _ = try encoder.pagesBegin(description) }
    }

    /// Whatever the length of the metadata, page data begin on a page boundary.
    @Test func alignment() throws {
        for length in stride(from: 0, through: 4200, by: 1) {
            var encoder = ImageEncoder()
            _ = encoder.start()
            var header = Sample.header()
            header.hostName = String(repeating: "h", count: length)
            _ = try encoder.record(.header, id: 0, header)
            let before = encoder.offset
            var description = ImagePageDescription()
            description.pages = 1
            let bytes = try encoder.pagesBegin(description)
            #expect((before + UInt64(bytes.count)) % 4096 == 0)
            #expect(encoder.offset == before + UInt64(bytes.count) + 4096)
        }
    }
}
