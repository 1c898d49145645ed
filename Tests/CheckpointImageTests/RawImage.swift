import CheckpointImage
import SwiftProtobuf

/// Builds images that the encoder would not: any type, any length, any index.
struct RawImage {
    private(set) var bytes: [UInt8] = []
    var tail = ImageTail()

    init(version: UInt32 = ImageFormat.version) {
        bytes = ImageFormat.magic
        put(version)
        put(crc32c(bytes))
    }

    mutating func put(_ value: UInt32) {
        for shift in 0..<4 { bytes.append(UInt8(value >> (8 * shift) & 0xff)) }
    }
    mutating func put(_ value: UInt64) {
        put(UInt32(value & 0xffff_ffff))
        put(UInt32(value >> 32))
    }

    /// A record header whose own checksum is right.
    mutating func head(_ type: UInt32, flags: UInt32 = 0, length: UInt64, checksum: UInt32, id: UInt32? = nil)
    {
        if let id {
            var entry = ImageIndexEntry()
            entry.type = type
            entry.offset = UInt64(bytes.count)
            entry.length = length
            entry.id = id
            tail.entries.append(entry)
        }
        let start = bytes.count
        put(type)
        put(flags)
        put(length)
        put(checksum)
        put(crc32c(Array(bytes[start...])))
    }

    mutating func record(_ type: UInt32, flags: UInt32 = 0, id: UInt32? = nil, _ body: [UInt8]) {
        head(type, flags: flags, length: UInt64(body.count), checksum: crc32c(body), id: id)
        bytes += body
        bytes += [UInt8](repeating: 0, count: (8 - body.count % 8) % 8)
    }

    mutating func record(_ type: RecordType, id: UInt32? = nil, _ message: some Message) {
        record(type.rawValue, id: id, try! message.serializedBytes())
    }

    /// All metadata records of `records`; `afterHeader` may put something in.
    mutating func metadata(_ records: ImageRecords, afterHeader: (inout RawImage) -> Void = { _ in }) {
        record(.header, id: 0, records.header)
        afterHeader(&self)
        for one in records.processes { record(.process, id: one.pid, one) }
        for one in records.threads { record(.thread, id: one.tid, one) }
        for one in records.addressSpaces { record(.addressSpace, id: one.id, one) }
        for one in records.fileTables { record(.fileTable, id: one.id, one) }
        for one in records.openFiles { record(.openFile, id: one.id, one) }
        for one in records.pipes { record(.pipe, id: one.id, one) }
        for one in records.memoryObjects { record(.memoryObject, id: one.id, one) }
        for one in records.callFilters { record(.callFilter, id: one.id, one) }
        for one in records.semaphoreSets { record(.semaphoreSet, id: one.id, one) }
        for one in records.terminals { record(.terminal, id: one.id, one) }
        for one in records.messageQueues { record(.messageQueue, id: one.id, one) }
        for one in records.directories { record(.directories, id: one.id, one) }
        for one in records.signalActions { record(.signalActions, id: one.id, one) }
        for one in records.namespaces { record(.namespace, id: one.id, one) }
        for one in records.sharedPages { record(.sharedPages, id: one.id, one) }
        tail.processes = UInt32(records.processes.count)
        tail.threads = UInt32(records.threads.count)
    }

    /// One section of pages.
    mutating func section(
        _ owner: PageOwner, pages: UInt64, length: UInt64? = nil, aligned: Bool = true,
        checksums: [UInt32]? = nil
    ) {
        var description = ImagePageDescription()
        description.owner = owner.kind
        description.id = owner.id
        description.pages = pages
        record(.pageDescription, id: owner.id, description)
        if aligned {
            let fill = (4096 - (bytes.count + 48) % 4096) % 4096
            record(2, flags: 1, [UInt8](repeating: 0, count: fill))
        }
        let data = [UInt8](repeating: 9, count: Int(length ?? pages * 4096))
        head(151, length: UInt64(data.count), checksum: 0, id: owner.id)
        bytes += data
        var summer = PageChecksummer()
        summer.add(data)
        var sums = ImagePageChecksums()
        sums.crc32C = checksums ?? summer.finish()
        record(.pageChecksums, id: owner.id, sums)
        tail.pages += pages
    }

    mutating func end(offset: UInt64? = nil) {
        let position = UInt64(bytes.count)
        record(.tail, tail)
        let start = bytes.count
        bytes += ImageFormat.tailMagic
        put(offset ?? position)
        put(ImageFormat.version)
        put(crc32c(Array(bytes[start...])))
    }

    /// Header to tail of the sample, without the pages of its owners; the closures may put something in.
    static func whole(
        version: UInt32 = ImageFormat.version, afterHeader: (inout RawImage) -> Void = { _ in },
        beforeTail: (inout RawImage) -> Void = { _ in }
    ) -> [UInt8] {
        var image = RawImage(version: version)
        image.metadata(pageless(), afterHeader: afterHeader)
        beforeTail(&image)
        image.end()
        return image.bytes
    }

    static func pageless() -> ImageRecords {
        var records = Sample.records()
        records.memoryObjects[0].runPage = []
        records.memoryObjects[0].runLength = []
        for index in records.addressSpaces.indices {
            records.addressSpaces[index].runPage = []
            records.addressSpaces[index].runLength = []
        }
        return records
    }
}
