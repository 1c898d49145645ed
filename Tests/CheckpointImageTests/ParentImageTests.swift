import CheckpointImage
import FoundationEssentials
import Testing

@Suite struct ParentImageTests {
    static let breaches: [Breach] = [
        Breach(.imageIdentity, "header") { $0.header.identity = Data([1, 2, 3]) },
        Breach(.parentImage, "header") { $0.header.parent = ImageParentImage() },
    ] + ["", ".", "..", "a/b", "a\0b", String(repeating: "x", count: 256)].map { name in
        Breach(.parentImage, "header") {
            $0.header.parent = parent()
            $0.header.parent.name = Data(name.utf8)
        }
    } + ["", "relative", "/a\0b"].map { folder in
        Breach(.parentImage, "header") {
            $0.header.parent = parent()
            $0.header.parent.directory = Data(folder.utf8)
        }
    }

    static func parent() -> ImageParentImage {
        var parent = ImageParentImage()
        parent.identity = Data([UInt8](repeating: 1, count: 16))
        parent.name = Data("a".utf8)
        parent.directory = Data("/".utf8)
        return parent
    }

    /// Five images, each with changes in other pages, in all forms.
    private func chain() throws -> [(saved: SavedPages, bytes: [UInt8], pages: [(owner: PageOwner, bytes: [UInt8])])] {
        let forms: [PageCompression?] = [.zstd(level: 1), nil, .lz4, .zstd(level: 3), nil]
        var images: [(saved: SavedPages, bytes: [UInt8], pages: [(owner: PageOwner, bytes: [UInt8])])] = []
        var pages = Packed.pages(Packed.records(identity: 0))
        for (number, form) in forms.enumerated() {
            let parent = images.last?.saved
            let records = Packed.records(identity: UInt8(number + 1), parent: parent?.image)
            for index in pages.indices {
                let count = pages[index].bytes.count / 4096
                for page in 0..<count where (page + number) % 40 == 3 || (number == 3 && page % 2 == 0) {
                    pages[index].bytes[page * 4096 + number] ^= 0xff
                }
            }
            let bytes = try Packed.image(records, pages, form, parent: parent)
            images.append((try Packed.saved(bytes, parent: parent), bytes, pages))
        }
        return images
    }

    @Test func aChainOfFiveIsReadDirectly() throws {
        for (saved, bytes, pages) in try chain() {
            for (owner, data) in pages { #expect(try saved.read(owner, from: 0, count: data.count / 4096) == data) }
            #expect(try Packed.readPipe(bytes, parent: saved.parent, inPieces: 70_000) == pages.map(\.bytes))
            let verification = try ImageVerification(of: ByteSource(bytes)) { _ throws(ImageError) in saved.parent }
            #expect(verification.findings.isEmpty)
        }
    }

    @Test func onlyChangedPagesAreWritten() throws {
        let images = try chain()
        // One page in 40 changes from the first to the second, and its own records are all that comes on top.
        let section = try #require(images[1].saved.image.pageSections.first { $0.owner.kind == .memoryObject })
        let changed = (0..<160).count { ($0 + 1) % 40 == 3 }
        #expect(section.parent == 1 && section.storedBytes == UInt64(changed * 4096 + 3 * 40))
        let plain = try Packed.image(Packed.records(identity: 9), images[0].pages, nil, parent: images[0].saved)
        #expect(plain.count < images[0].pages.reduce(0) { $0 + $1.bytes.count } / 20)
    }

    /// The parent may keep pages as they are.
    @Test func aPlainParent() throws {
        var records = Packed.records(identity: 1)
        var encoder = ImageEncoder()
        var bytes = try Sample.metadata(records, with: &encoder)
        let pages = Packed.pages(records)
        for (owner, data) in pages { bytes += try Sample.section(owner, data, with: &encoder) }
        bytes += try encoder.tail()
        let parent = try Packed.saved(bytes)
        records = Packed.records(identity: 2, parent: parent.image)
        let child = try Packed.image(records, pages, .lz4, parent: parent)
        #expect(child.count < 20000)
        #expect(try Packed.readPipe(child, parent: parent, inPieces: 65536) == pages.map(\.bytes))
    }

    /// Shared pages are found in the pages that an address space of the parent had for itself, and the other way round.
    @Test func pagesThatHaveAnotherOwnerInTheParent() throws {
        var records = Packed.records(identity: 1)
        let parent = try Packed.saved(try Packed.image(records, Packed.pages(records), .lz4))
        let set = PageOwner(.sharedPages, 4)
        let shared = try parent.read(set, from: 0, count: 2)
        records.sharedPages = []
        (records.addressSpaces[0].runPage, records.addressSpaces[0].runLength) = ([0x400, 0x403], [2, 2])
        records.header.identity = Data([UInt8](repeating: 2, count: 16))
        records.header.parent = try #require(parent.image.asParent(name: [97], directory: [47]))
        let own = try parent.read(PageOwner(.addressSpace, 1), from: 0, count: 2)
        let pages = [(owner: PageOwner(.addressSpace, 1), bytes: shared + own)]
            + Packed.pages(records).filter { $0.owner != PageOwner(.addressSpace, 1) }
        let bytes = try Packed.image(records, pages, nil, parent: parent)
        let child = try Packed.saved(bytes, parent: parent)
        #expect(child.image.pageSection(of: PageOwner(.addressSpace, 1))?.storedBytes == 40)
        #expect(try child.read(PageOwner(.addressSpace, 1), from: 0, count: 4) == shared + own)
    }

    @Test func withoutItsParent() throws {
        let images = try chain()
        let last = images[4]
        let alone = try Packed.saved(last.bytes)
        #expect(throws: ImageError(.parentMissing("parent"))) { try alone.read(last.pages[0].owner, from: 0, count: 1) }
        #expect(throws: ImageError(.parentMissing("parent"))) { try Packed.readPipe(last.bytes, inPieces: 65536) }
        #expect(ImageError(.parentMissing("a")).exitStatus == 2)
        let verification = try ImageVerification(of: ByteSource(last.bytes)) { image throws(ImageError) in
            throw ImageError(.parentMissing(image.header.parent.name.asText))
        }
        #expect(verification.findings == [ImageError(.parentMissing("parent"))])
    }

    /// Another image in place of the parent, which no reader should get here, is found by the checksums of the pages.
    @Test func otherPagesThanTheParentHad() throws {
        let images = try chain()
        let last = images[4]
        let wrong = try Packed.saved(last.bytes, parent: images[0].saved)
        let section = try #require(wrong.image.pageSections.first { $0.owner.kind == .memoryObject })
        var found: [ImageError] = []
        try wrong.check(section) { found.append($0) }
        #expect(found.first == ImageError(.pagesDamaged(at: section.chunks[0])))
        #expect(throws: ImageError.self) { try Packed.readPipe(last.bytes, parent: images[0].saved, inPieces: 65536) }
    }

    @Test(arguments: [nil, PageCompression.lz4]) func merged(_ form: PageCompression?) throws {
        let last = try chain()[4]
        var bytes: [UInt8] = []
        try MergedImage(of: last.saved, compression: form).write { bytes += $0 }
        let image = try CheckpointImage(reading: ByteSource(bytes))
        #expect(!image.header.hasParent && image.header.identity == last.saved.image.header.identity)
        #expect(image.pageSections.allSatisfy { $0.isChunked == (form != nil) && $0.parent == 0 })
        #expect(try Packed.readPipe(bytes, inPieces: 65536) == last.pages.map(\.bytes))
        #expect(try ImageVerification(of: ByteSource(bytes)).findings.isEmpty)
    }

    /// A damaged parent: its pages count as changed, and a merge does not go on.
    @Test func aDamagedParent() throws {
        let images = try chain()
        var bytes = images[0].bytes
        let section = try #require(images[0].saved.image.pageSections.first { $0.owner.kind == .memoryObject })
        bytes[Int(section.chunks[1]) + 100] ^= 1
        let damaged = try Packed.saved(bytes)
        let records = Packed.records(identity: 7, parent: damaged.image)
        let child = try Packed.saved(try Packed.image(records, images[0].pages, nil, parent: damaged), parent: damaged)
        #expect(child.image.pageSection(of: section.owner)?.storedBytes ?? 0 > 64 * 4096)
        #expect(try child.read(section.owner, from: 0, count: 160) == images[0].pages.first { $0.owner == section.owner }?.bytes)
        #expect(throws: ImageError.self) {
            try MergedImage(of: try Packed.saved(images[1].bytes, parent: damaged), compression: nil).write { _ in }
        }
    }

    @Test func whoseMemoryIsComparedWithWhose() throws {
        let image = try CheckpointImage(validating: Sample.records())
        var records = Sample.records()
        #expect(image.likelySpaces(of: records) == [1: 1, 2: 2])
        // A new child of process 12.
        records.processes.append(Sample.process(20, parent: 12))
        records.threads.append(Sample.thread(20, of: 20, own: 3))
        #expect(image.likelySpaces(of: records)[3] == 2)
        #expect(image.likelyObject(of: records.memoryObjects[0]) == 1)
        records.memoryObjects[0].name = Data("other".utf8)
        #expect(image.likelyObject(of: records.memoryObjects[0]) == 0)
    }

    @Test func anImageOfAnOlderVersionIsNoParent() throws {
        #expect(try CheckpointImage(validating: Sample.records()).asParent(name: [97], directory: [47]) == nil)
    }
}
