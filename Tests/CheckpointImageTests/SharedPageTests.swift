import CheckpointImage
import Testing

extension Sample {
    /// Both address spaces share page 0x401, which holds their arguments, and the first one page 0x400 besides. Not in every sample.
    static func shareMemory(in records: inout ImageRecords) {
        var set = ImageSharedPages()
        set.id = 4
        set.runPage = [0x400, 0x401]
        set.runLength = [1, 1]
        for space in UInt32(1)...2 {
            var holder = ImagePageHolder()
            holder.addressSpace = space
            holder.runPage = space == 1 ? [0x400] : [0x401]
            holder.runLength = space == 1 ? [2] : [1]
            set.holders.append(holder)
            records.addressSpaces[Int(space) - 1].runPage = [0x403]
            records.addressSpaces[Int(space) - 1].runLength = [2]
        }
        records.sharedPages = [set]
    }
}

@Suite struct SharedPageTests {
    private static func breach(
        _ rule: ImageRule, _ subject: String, _ make: @escaping @Sendable (inout ImageRecords) -> Void
    ) -> Breach {
        Breach(rule, subject) { records in
            Sample.shareMemory(in: &records)
            make(&records)
        }
    }

    static let breaches: [Breach] = [
        breach(.zeroID, "shared pages") { $0.sharedPages[0].id = 0 },
        breach(.duplicateID, "shared pages 4") { $0.sharedPages.append($0.sharedPages[0]) },
        breach(.sharers, "shared pages 4") { $0.sharedPages[0].holders.removeLast() },
        breach(.sharers, "shared pages 4") { $0.sharedPages[0].holders.swapAt(0, 1) },
        breach(.sharers, "shared pages 4") { $0.sharedPages[0].holders[1] = $0.sharedPages[0].holders[0] },
        breach(.noAddressSpace, "shared pages 4") { $0.sharedPages[0].holders[1].addressSpace = 9 },
        breach(.runCounts, "shared pages 4") { $0.sharedPages[0].runLength.removeLast() },
        breach(.runOrder, "shared pages 4") { $0.sharedPages[0].runPage.swapAt(0, 1) },
        breach(.runOutside, "shared pages 4") { $0.sharedPages[0].runLength[1] = .max },
        breach(.runEmpty, "shared pages 4 of address space 2") { $0.sharedPages[0].holders[1].runLength = [0] },
        breach(.runCounts, "shared pages 4 of address space 2") { $0.sharedPages[0].holders[1].runLength = [] },
        // In a shared mapping, in no mapping.
        breach(.runOutside, "shared pages 4 of address space 1") {
            ($0.addressSpaces[0].runPage, $0.addressSpaces[0].runLength) = ([], [])
            $0.addressSpaces[0].mappings[0].shared = true
        },
        breach(.runOutside, "shared pages 4 of address space 1") {
            ($0.addressSpaces[0].runPage, $0.addressSpaces[0].runLength) = ([], [])
            $0.addressSpaces[0].mappings.removeFirst()
        },
        // Not in the set; as its own page, too; in two sets.
        breach(.heldPages, "shared pages 4 of address space 2") { $0.sharedPages[0].holders[1].runLength = [2] },
        breach(.heldPages, "shared pages 4 of address space 1") { $0.sharedPages[0].runPage[0] = 0x3ff },
        breach(.heldPages, "address space 2") {
            ($0.addressSpaces[1].runPage, $0.addressSpaces[1].runLength) = ([0x401, 0x403], [1, 2])
        },
        breach(.heldPages, "address space 1") {
            $0.sharedPages.append($0.sharedPages[0])
            $0.sharedPages[1].id = 5
            $0.sharedPages[1].holders[1].addressSpace = 2
            $0.sharedPages[1].holders[1].runPage = [0x400]
            $0.sharedPages[0].holders[1].runPage = [0x401]
        },
    ]

    @Test func sharedPagesAreReadBack() throws {
        var records = Sample.records()
        Sample.shareMemory(in: &records)
        let bytes = try Sample.image(records)
        for image in [try readFile(bytes), try readPipe(bytes)] {
            #expect(image.sharedPages == records.sharedPages)
            // Two of each space, two shared ones, and those of the object.
            #expect(image.pageCount == 6 + records.memoryObjects[0].runLength.reduce(0, +))
            #expect(image.sharedBytes(of: 1) == 8192 && image.sharedBytes(of: 2) == 4096)
            #expect(image.savedBytes(of: image.addressSpaces[0]) == [3 * 4096, 4096, 0])
        }
    }

    @Test func pagesAreFoundWhereverTheyAre() throws {
        var records = Sample.records()
        Sample.shareMemory(in: &records)
        let bytes = try Sample.image(records)
        let image = try readFile(bytes)
        let set = PageOwner(.sharedPages, 4)
        #expect(image.savedPlace(ofPage: 0x401, of: image.addressSpaces[1]).map { $0 == (set, 1) } == true)
        #expect(image.savedPlace(ofPage: 0x400, of: image.addressSpaces[0]).map { $0 == (set, 0) } == true)
        #expect(image.savedPlace(ofPage: 0x400, of: image.addressSpaces[1]) == nil)
        #expect(image.savedPlace(ofPage: 0x404, of: image.addressSpaces[1]).map { $0 == (PageOwner(.addressSpace, 2), 1) } == true)
        // Across the border of a shared and an own page there is a hole.
        let memory = try SavedPages(image, in: ByteSource(bytes)).memory(at: 0x401ff0, upTo: 100, of: image.addressSpaces[1])
        #expect(memory == [UInt8](repeating: 4, count: 16))
    }

    @Test func everySetHasItsSection() throws {
        var records = Sample.records()
        Sample.shareMemory(in: &records)
        var encoder = ImageEncoder()
        var bytes = try Sample.metadata(records, with: &encoder)
        for (owner, count) in Sample.owners(records) where owner.kind != .sharedPages {
            bytes += try Sample.section(owner, Sample.pages(owner, count: count), with: &encoder)
        }
        bytes += try encoder.tail()
        let whole = bytes
        #expect(throws: ImageError(.rule(.pagesMissing, "shared pages 4"))) { _ = try readFile(whole) }
    }
}
