import CheckpointImage

/// The sample as the bytes of an image, and back.
extension Sample {
    /// The sections of `records`, with pages that are easy to recognise.
    static func pages(_ owner: PageOwner, count: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: UInt8(owner.id), count: Int(count) * 4096)
        let arguments = Array("sh\0-c\0true\0".utf8)
        if owner.kind != .memoryObject { bytes.replaceSubrange(8..<8 + arguments.count, with: arguments) }
        return bytes
    }

    static func owners(_ records: ImageRecords) -> [(PageOwner, UInt64)] {
        records.addressSpaces.map { (PageOwner(.addressSpace, $0.id), $0.runLength.reduce(0, +)) }
            + records.memoryObjects.map { (PageOwner(.memoryObject, $0.id), $0.runLength.reduce(0, +)) }
            + records.sharedPages.map { (PageOwner(.sharedPages, $0.id), $0.runLength.reduce(0, +)) }
    }

    /// Everything before the pages.
    static func metadata(_ records: ImageRecords, with encoder: inout ImageEncoder) throws -> [UInt8] {
        var bytes = encoder.start()
        bytes += try encoder.record(.header, id: 0, records.header)
        for one in records.processes { bytes += try encoder.record(.process, id: one.pid, one) }
        for one in records.threads { bytes += try encoder.record(.thread, id: one.tid, one) }
        for one in records.addressSpaces { bytes += try encoder.record(.addressSpace, id: one.id, one) }
        for one in records.fileTables { bytes += try encoder.record(.fileTable, id: one.id, one) }
        for one in records.openFiles { bytes += try encoder.record(.openFile, id: one.id, one) }
        for one in records.pipes { bytes += try encoder.record(.pipe, id: one.id, one) }
        for one in records.memoryObjects { bytes += try encoder.record(.memoryObject, id: one.id, one) }
        for one in records.messageQueues { bytes += try encoder.record(.messageQueue, id: one.id, one) }
        for one in records.callFilters { bytes += try encoder.record(.callFilter, id: one.id, one) }
        for one in records.semaphoreSets { bytes += try encoder.record(.semaphoreSet, id: one.id, one) }
        for one in records.terminals { bytes += try encoder.record(.terminal, id: one.id, one) }
        for one in records.directories { bytes += try encoder.record(.directories, id: one.id, one) }
        for one in records.signalActions { bytes += try encoder.record(.signalActions, id: one.id, one) }
        for one in records.namespaces { bytes += try encoder.record(.namespace, id: one.id, one) }
        for one in records.sharedPages { bytes += try encoder.record(.sharedPages, id: one.id, one) }
        return bytes
    }

    static func section(_ owner: PageOwner, _ data: [UInt8], with encoder: inout ImageEncoder) throws
        -> [UInt8]
    {
        var description = ImagePageDescription()
        description.owner = owner.kind
        description.id = owner.id
        description.pages = UInt64(data.count / 4096)
        var bytes = try encoder.pagesBegin(description)
        bytes += data
        var summer = PageChecksummer()
        summer.add(data)
        return bytes + (try encoder.pagesEnd(checksums: summer.finish()))
    }

    static func image(_ records: ImageRecords = records()) throws -> [UInt8] {
        var encoder = ImageEncoder()
        var bytes = try metadata(records, with: &encoder)
        for (owner, count) in owners(records) where count > 0 {
            bytes += try section(owner, pages(owner, count: count), with: &encoder)
        }
        return bytes + (try encoder.tail())
    }
}

/// Both ways to read a whole image: metadata and every page checked.
func readFile(_ bytes: [UInt8]) throws(ImageError) -> CheckpointImage {
    let source = ByteSource(bytes)
    let image = try CheckpointImage(reading: source)
    for section in image.pageSections {
        if let bad = try section.damagedBlocks(in: source).first { throw ImageError(.pagesDamaged(at: bad)) }
    }
    return image
}

func readPipe(_ bytes: [UInt8], inPieces piece: Int = 65536) throws(ImageError) -> CheckpointImage {
    var reader = SequentialImageReader(DripSource(bytes, piece))
    let image = try reader.readMetadata()
    while try reader.nextSection() != nil {
        while !(try reader.readPages(upTo: 8192)).isEmpty {}
        _ = try reader.endSection()
    }
    try reader.requireEnd()
    return image
}

/// A pipe that gives a few bytes at a time.
struct DripSource: SequentialSource {
    var source: ByteSource
    let piece: Int

    init(_ bytes: [UInt8], _ piece: Int) {
        source = ByteSource(bytes)
        self.piece = piece
    }

    mutating func read(upTo count: Int) -> [UInt8] { source.read(upTo: min(count, piece)) }
}
