import CheckpointImage
import Testing

@Suite struct VerificationTests {
    func findings(_ bytes: [UInt8]) throws -> [ImageError] {
        try ImageVerification(of: ByteSource(bytes)).findings
    }

    @Test func goodImage() throws {
        let verification = try ImageVerification(of: ByteSource(try Sample.image()))
        #expect(verification.findings.isEmpty)
        #expect(verification.pageBytes == 7 * 4096)
    }

    @Test func allBadPlacesAreNamed() throws {
        var bytes = try Sample.image()
        let sections = try CheckpointImage(reading: ByteSource(bytes)).pageSections
        let process = 16 + 24 + Self.length(bytes, at: 16)
        let second = process + 24 + Self.length(bytes, at: process)
        bytes[process + 30] ^= 1
        bytes[second] ^= 1
        bytes[Int(sections[0].offset)] ^= 1
        bytes[Int(sections[2].offset)] ^= 1
        let found = try findings(bytes)
        #expect(
            found == [
                ImageError(.bodyDamaged(type: 101, at: UInt64(process))),
                ImageError(.headerDamaged(at: UInt64(second))),
                ImageError(.pagesDamaged(at: sections[0].offset)),
                ImageError(.pagesDamaged(at: sections[2].offset)),
            ])
    }

    @Test func badHeaderWithoutATail() throws {
        var bytes = try Sample.image()
        bytes[16] ^= 1
        bytes[bytes.count - 1] ^= 1
        #expect(try findings(bytes) == [ImageError(.headerDamaged(at: 16))])
    }

    @Test func everyFlipIsFound() throws {
        var bytes = try DamageTests.small()
        for position in bytes.indices {
            bytes[position] ^= 0x80
            #expect(!(try findings(bytes)).isEmpty, "byte \(position)")
            bytes[position] ^= 0x80
        }
    }

    @Test func everyCutIsFound() throws {
        let bytes = try DamageTests.small()
        for count in bytes.indices {
            #expect(!(try findings(Array(bytes[..<count]))).isEmpty, "cut at \(count)")
        }
    }

    /// The body of a record and its fill bytes.
    static func length(_ bytes: [UInt8], at: Int) -> Int {
        let length = bytes[at + 8..<at + 16].reversed().reduce(0) { $0 << 8 | Int($1) }
        return (length + 7) / 8 * 8
    }
}

@Suite struct SavedMemoryTests {
    @Test func argumentsAreFoundAmongThePages() throws {
        let source = ByteSource(try Sample.image())
        let image = try CheckpointImage(reading: source)
        let space = image.addressSpaces[0]
        let count = Int(space.argumentEnd - space.argumentStart)
        let bytes = try SavedPages(image, in: source).memory(at: space.argumentStart, upTo: count, of: space)
        #expect(String(decoding: bytes, as: UTF8.self) == "sh\0-c\0true")
        // Across the end of what is saved, and where nothing is.
        #expect(try SavedPages(image, in: source).memory(at: 0x40_1ff0, upTo: 100, of: space).count == 16)
        #expect(try SavedPages(image, in: source).memory(at: 0x40_4f00, upTo: 100_000, of: space).count == 0x100)
        #expect(try SavedPages(image, in: source).memory(at: 0x40_0000, upTo: 10, of: space).isEmpty)
    }

    @Test func savedBytesOfEachMapping() {
        var space = Sample.space(1)
        #expect(space.savedBytes() == [2 * 4096, 4096, 0])
        space.runPage = [0x400, 0x403]
        space.runLength = [2, 2]
        #expect(space.savedBytes() == [3 * 4096, 4096, 0])
        space.runPage = [0x400]
        space.runLength = [5]
        #expect(space.savedBytes() == [4 * 4096, 4096, 0])
    }
}
