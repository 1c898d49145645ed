import CheckpointImage
import FoundationEssentials

/// Images whose pages are compressed, or partly in a parent image.
enum Packed {
    /// The sample with a memory object of 160 saved pages in two runs, and pages that two address spaces share.
    static func records(identity: UInt8, parent: CheckpointImage? = nil) -> ImageRecords {
        var records = Sample.records()
        Sample.shareMemory(in: &records)
        records.memoryObjects[0].size = 200 * 4096
        records.memoryObjects[0].runPage = [3, 100]
        records.memoryObjects[0].runLength = [70, 90]
        records.header.identity = Data([UInt8](repeating: identity, count: 16))
        if let made = parent?.asParent(name: Array("parent".utf8), directory: Array("/images".utf8)) { records.header.parent = made }
        return records
    }

    /// Pages of which some shrink and some do not.
    static func contents(_ owner: PageOwner, count: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        var state = UInt64(owner.id) &+ 88172645463325252
        for page in 0..<count {
            for _ in 0..<512 {
                state ^= state << 13
                state ^= state >> 7
                state ^= state << 17
                let word = page % 3 == 0 ? state : page
                for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * shift))) }
            }
        }
        return bytes
    }

    static func pages(_ records: ImageRecords) -> [(owner: PageOwner, bytes: [UInt8])] {
        Sample.owners(records).filter { $0.1 > 0 }.map { ($0.0, contents($0.0, count: $0.1)) }
    }

    /// An image in chunks.
    ///
    /// - Parameter parent: pages that are the same there are left out.
    static func image(
        _ records: ImageRecords, _ pages: [(owner: PageOwner, bytes: [UInt8])], _ compression: PageCompression? = nil,
        parent: SavedPages? = nil
    ) throws -> [UInt8] {
        var encoder = ImageEncoder()
        var bytes: [UInt8] = []
        bytes += try encoder.metadata(records)
        let chunks = try PageChunkEncoder(compression)
        let spaces = parent?.image.likelySpaces(of: records) ?? [:]
        for (owner, data) in pages {
            var description = ImagePageDescription()
            description.owner = owner.kind
            description.id = owner.id
            description.pages = UInt64(data.count / 4096)
            description.chunked = true
            let comparison = parent.map { parent in
                let space = owner.kind == .sharedPages ? records.sharedPages[0].holders[0].addressSpace : owner.id
                return ParentComparison(
                    owner, runs(owner, records), with: parent, at: owner.kind == .memoryObject ? owner.id : spaces[space] ?? 0)
            }
            description.parent = comparison?.id ?? 0
            bytes += try encoder.pagesBegin(description)
            var leftOut: [UInt64] = []
            for start in stride(from: 0, to: data.count, by: 64 * 4096) {
                let part = data.span.bytes.extracting(start..<min(start + 64 * 4096, data.count))
                leftOut.append(comparison?.same(part, from: UInt64(start / 4096)) ?? 0)
            }
            let made = chunks.records(of: data.span.bytes, leftOut: leftOut)
            bytes += made
            encoder.chunksWritten(made.count)
            var summer = PageChecksummer()
            summer.add(data)
            bytes += try encoder.pagesEnd(checksums: summer.finish())
        }
        return bytes + (try encoder.tail())
    }

    static func runs(_ owner: PageOwner, _ records: ImageRecords) -> (page: [UInt64], length: [UInt64]) {
        switch owner.kind {
        case .memoryObject: (records.memoryObjects[0].runPage, records.memoryObjects[0].runLength)
        case .sharedPages: (records.sharedPages[0].runPage, records.sharedPages[0].runLength)
        default:
            (records.addressSpaces[Int(owner.id) - 1].runPage, records.addressSpaces[Int(owner.id) - 1].runLength)
        }
    }

    static func saved(_ bytes: [UInt8], parent: SavedPages? = nil) throws -> SavedPages {
        SavedPages(try CheckpointImage(reading: ByteSource(bytes)), in: ByteSource(bytes), parent: parent)
    }

    /// All pages, as a reader of a pipe gets them.
    static func readPipe(_ bytes: [UInt8], parent: SavedPages? = nil, inPieces piece: Int) throws(ImageError) -> [[UInt8]] {
        var reader = SequentialImageReader(DripSource(bytes, piece))
        _ = try reader.readMetadata()
        reader.parent = parent
        var sections: [[UInt8]] = []
        while try reader.nextSection() != nil {
            var all: [UInt8] = []
            while case let more = try reader.readPages(upTo: 100_000), !more.isEmpty { all += more }
            _ = try reader.endSection()
            sections.append(all)
        }
        try reader.requireEnd()
        return sections
    }
}
