import CheckpointImage
import Testing

/// A whole small image, cut short and flipped at every byte.
@Suite struct DamageTests {
    static func small() throws -> [UInt8] {
        var records = Sample.records()
        records.processes = [Sample.process(10, parent: 0)]
        records.threads = [Sample.thread(10, of: 10)]
        records.addressSpaces = [Sample.space(1)]
        records.addressSpaces[0].runPage = [0x401]
        records.addressSpaces[0].runLength = [1]
        return try Sample.image(records)
    }

    @Test func cutShortAnywhere() throws {
        let bytes = try Self.small()
        for count in bytes.indices {
            let part = Array(bytes[..<count])
            for read in [{ (b: [UInt8]) in try readFile(b) }, { (b: [UInt8]) in try readPipe(b) }] {
                let error = #expect(throws: ImageError.self, "cut at \(count)") { _ = try read(part) }
                #expect(error?.exitStatus == 2)
                #expect(error?.kind == (count == 0 ? .notAnImage : .incomplete), "cut at \(count)")
            }
        }
    }

    @Test func flippedAnywhere() throws {
        var bytes = try Self.small()
        for position in bytes.indices {
            bytes[position] ^= 1 << UInt8(position % 8)
            #expect(throws: ImageError.self, "file, byte \(position)") { _ = try readFile(bytes) }
            #expect(throws: ImageError.self, "pipe, byte \(position)") { _ = try readPipe(bytes) }
            bytes[position] ^= 1 << UInt8(position % 8)
        }
        _ = try readFile(bytes)
    }

    @Test func flippedPagesAreNamedByTheirBlock() throws {
        var bytes = try Self.small()
        let section = try CheckpointImage(reading: ByteSource(bytes)).pageSections[1]
        bytes[Int(section.offset) + 4000] ^= 1
        #expect(try section.damagedBlocks(in: ByteSource(bytes)) == [section.offset])
        #expect(throws: ImageError(.pagesDamaged(at: section.offset))) { _ = try readPipe(bytes) }
        // The metadata alone are whole.
        _ = try CheckpointImage(reading: ByteSource(bytes))
    }

    @Test func bytesAfterTheEnd() throws {
        let bytes = try Self.small()
        let expected = ImageError(.trailingBytes(at: UInt64(bytes.count)))
        #expect(throws: expected) { _ = try readFile(bytes + [0]) }
        #expect(throws: expected) { _ = try readPipe(bytes + [0]) }
        #expect(throws: expected) { _ = try readFile(bytes + bytes) }
    }

    @Test func somethingElse() {
        for text in [
            "", "T", "7f3c8a000000-7f3c8a021000 rw-p 00000000 00:00 0\n", "TREECKPX aaaaaaaaaaaaaaaaaa",
        ] {
            let bytes = Array(text.utf8)
            for read in [{ (b: [UInt8]) in try readFile(b) }, { (b: [UInt8]) in try readPipe(b) }] {
                let error = #expect(throws: ImageError.self) { _ = try read(bytes) }
                #expect(error?.kind == (text == "T" ? .incomplete : .notAnImage))
            }
        }
    }

    @Test func sourceThatFails() {
        struct Broken: SequentialSource {
            struct Cause: Error, CustomStringConvertible { var description: String { "read: EIO" } }
            mutating func read(upTo count: Int) throws -> [UInt8] { throw Cause() }
        }
        var reader = SequentialImageReader(Broken())
        let error = #expect(throws: ImageError(.source("read: EIO"))) { _ = try reader.readMetadata() }
        #expect(error?.exitStatus == 1)
    }
}
