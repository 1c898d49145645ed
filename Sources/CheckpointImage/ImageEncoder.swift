package import SwiftProtobuf

/// Makes the bytes of an image, in order; the caller writes them.
///
/// 1. `start`, 2. `record` with the header, 3. `record` with all other metadata (both: `metadata`), 4. for each owner of
/// pages `pagesBegin`, the pages themselves, `pagesEnd`, 5. `tail`. At any of these points `failure`
/// ends the image instead, even in the middle of the pages.
package struct ImageEncoder: Sendable {
    private enum State { case empty, started, metadata, insidePages, betweenPages, ended }

    /// Where the next byte goes, bytes from the start of the image.
    package private(set) var offset: UInt64 = 0
    private var state = State.empty
    private var section = ImagePageDescription()
    private var index = ImageTail()

    package init() {}

    /// The magic and the format version.
    package mutating func start() -> [UInt8] {
        precondition(state == .empty, "an image starts once")
        var bytes = ImageFormat.magic
        bytes.append(ImageFormat.version)
        bytes.append(crc32c(bytes))
        state = .started
        offset += UInt64(bytes.count)
        return bytes
    }

    /// The header or one metadata record.
    ///
    /// - Parameter id: pid, tid or id, for the index; 0 for the header.
    package mutating func record(_ type: RecordType, id: UInt32, _ body: some SwiftProtobuf.Message)
        throws(ImageError) -> [UInt8]
    {
        switch (type, state) {
        case (.header, .started): state = .metadata
        case (_, .metadata) where type.isMetadata: break
        default: throw ImageError(.writerOrder("\(type.name) record out of order"))
        }
        if type == .process { index.processes += 1 }
        if type == .thread { index.threads += 1 }
        return try encode(type, id: id, body)
    }

    /// The description, the padding and the header of the page data. The caller then writes the pages
    /// themselves, `description.pages * 4096` bytes; `offset` already lies behind them. Of a chunked section it is the
    /// description alone: the caller writes chunks, and says so (`chunksWritten`).
    package mutating func pagesBegin(_ description: ImagePageDescription) throws(ImageError) -> [UInt8] {
        guard state == .metadata || state == .betweenPages else {
            throw ImageError(.writerOrder("page description record out of order"))
        }
        guard description.pages <= ImageFormat.mostPages else {
            throw ImageError(.writerTooLong(type: RecordType.pageData.rawValue, length: description.pages))
        }
        var bytes = try encode(.pageDescription, id: description.id, description)
        index.pages += description.pages
        section = description
        state = .insidePages
        if description.chunked { return bytes }
        let headerLength = UInt64(ImageFormat.recordHeaderLength)
        let pageSize = UInt64(ImageFormat.pageSize)
        if (offset + headerLength) % pageSize != 0 {
            let fill = (pageSize - (offset + 2 * headerLength) % pageSize) % pageSize
            let zeros = [UInt8](repeating: 0, count: Int(fill))
            bytes +=
                RecordHeader(
                    type: .padding, flags: RecordHeader.optional, length: fill, checksum: crc32c(zeros)
                ).bytes
            bytes += zeros
            offset += headerLength + fill
        }
        let length = description.pages * pageSize
        bytes += RecordHeader(type: .pageData, length: length, checksum: 0).bytes
        note(.pageData, length: length, id: description.id)
        offset += headerLength + length
        return bytes
    }

    /// Notes that records 153 were written (``PageChunkEncoder``).
    ///
    /// - Precondition: a chunked section was begun.
    package mutating func chunksWritten(_ byteCount: Int) {
        precondition(state == .insidePages && section.chunked, "chunks belong to a chunked section")
        offset += UInt64(byteCount)
    }

    /// The checksum record, one crc32c for each 256 KiB of the pages just written.
    package mutating func pagesEnd(checksums: [UInt32]) throws(ImageError) -> [UInt8] {
        guard state == .insidePages else {
            throw ImageError(.writerOrder("page checksums record out of order"))
        }
        guard UInt64(checksums.count) == ImageFormat.checksumCount(pages: section.pages) else {
            throw ImageError(.writerOrder("\(checksums.count) checksums for \(section.pages) pages"))
        }
        state = .betweenPages
        var body = ImagePageChecksums()
        body.crc32C = checksums
        return try encode(.pageChecksums, id: section.id, body)
    }

    /// The tail and the trailer: the image is whole when these are written.
    package mutating func tail() throws(ImageError) -> [UInt8] {
        guard state == .metadata || state == .betweenPages else {
            throw ImageError(.writerOrder("tail record out of order"))
        }
        state = .ended
        let position = offset
        let whole = index
        var bytes = try encode(.tail, id: 0, whole)
        bytes += Trailer(.tail(position)).bytes
        offset += UInt64(ImageFormat.trailerLength)
        return bytes
    }

    /// The error record and its trailer: ends the image in place of the tail, whatever came before.
    package mutating func failure(reason: String, status: UInt32) throws(ImageError) -> [UInt8] {
        guard state != .ended else { throw ImageError(.writerOrder("error record out of order")) }
        var bytes = state == .empty ? start() : []
        state = .ended
        var body = ImageFailure()
        body.reason = reason.utf8.count <= FailureRecord.longestReason ? reason : String(reason.prefix(1000))
        body.exitStatus = status
        let record = try encode(.failure, id: 0, body)
        bytes += record
        bytes += Trailer(.failure(UInt64(record.count))).bytes
        offset += UInt64(ImageFormat.trailerLength)
        return bytes
    }

    /// Header, body and zero bytes of one record; moves `offset` and notes it in the index.
    private mutating func encode(_ type: RecordType, id: UInt32, _ message: some SwiftProtobuf.Message)
        throws(ImageError) -> [UInt8]
    {
        let body: [UInt8]
        do { body = try message.serializedBytes() } catch {
            throw ImageError(.writerTooLong(type: type.rawValue, length: 1 << 31))
        }
        let length = UInt64(body.count)
        guard length <= ImageFormat.longestBody else {
            throw ImageError(.writerTooLong(type: type.rawValue, length: length))
        }
        note(type, length: length, id: id)
        var bytes = RecordHeader(type: type, length: length, checksum: crc32c(body)).bytes
        let padding = ImageFormat.padding(after: length)
        bytes.reserveCapacity(bytes.count + body.count + padding)
        bytes += body
        bytes.append(contentsOf: repeatElement(0, count: padding))
        offset += UInt64(bytes.count)
        return bytes
    }

    private mutating func note(_ type: RecordType, length: UInt64, id: UInt32) {
        index.entries.append(ImageIndexEntry(type: type.rawValue, offset: offset, length: length, id: id))
    }
}

extension ImageIndexEntry {
    init(type: UInt32, offset: UInt64, length: UInt64, id: UInt32) {
        self.init()
        self.type = type
        self.offset = offset
        self.length = length
        self.id = id
    }
}
