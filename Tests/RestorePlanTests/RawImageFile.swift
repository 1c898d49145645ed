import SwiftProtobuf

@testable import CheckpointImage

/// An image without pages as records of bytes, whatever they say. Written again it has right lengths, checksums, index and tail.
struct RawImageFile {
    struct Record: Equatable {
        var type: UInt32
        var flags: UInt32 = 0
        /// As the index has it.
        var id: UInt32
        var body: [UInt8]
    }

    var records: [Record] = []

    /// Nil: it is no image, or one with pages.
    init?(_ bytes: [UInt8]) {
        guard let image = try? CheckpointImage(reading: ByteSource(bytes)), image.pageSections.isEmpty else { return nil }
        var at = ImageFormat.preludeLength
        while at + ImageFormat.recordHeaderLength <= bytes.count {
            guard let header = try? RecordHeader(Array(bytes[at..<at + ImageFormat.recordHeaderLength]), at: UInt64(at)) else { return nil }
            at += ImageFormat.recordHeaderLength
            let end = at + Int(header.length)
            guard end <= bytes.count else { return nil }
            if header.type == RecordType.tail.rawValue {
                guard let tail = try? ImageTail(serializedBytes: bytes[at..<end]), tail.entries.count >= records.count else { return nil }
                for index in records.indices { records[index].id = tail.entries[index].id }
                return
            }
            records.append(Record(type: header.type, flags: header.flags, id: 0, body: Array(bytes[at..<end])))
            at = end + ImageFormat.padding(after: header.length)
        }
        return nil
    }

    var bytes: [UInt8] {
        var bytes = ImageFormat.magic
        bytes.append(ImageFormat.version)
        bytes.append(crc32c(bytes))
        var tail = ImageTail()
        func put(_ type: UInt32, _ flags: UInt32, _ body: [UInt8]) {
            var header = RecordHeader(type: .tail, flags: flags, length: UInt64(body.count), checksum: crc32c(body))
            header.type = type
            bytes += header.bytes + body
            bytes.append(contentsOf: repeatElement(0, count: ImageFormat.padding(after: UInt64(body.count))))
        }
        for record in records {
            var entry = ImageIndexEntry()
            entry.type = record.type
            entry.offset = UInt64(bytes.count)
            entry.length = UInt64(record.body.count)
            entry.id = record.id
            tail.entries.append(entry)
            put(record.type, record.flags, record.body)
        }
        tail.processes = UInt32(records.count { $0.type == RecordType.process.rawValue })
        tail.threads = UInt32(records.count { $0.type == RecordType.thread.rawValue })
        let position = UInt64(bytes.count)
        put(RecordType.tail.rawValue, 0, (try? tail.serializedBytes()) ?? [])
        return bytes + Trailer(.tail(position)).bytes
    }
}
