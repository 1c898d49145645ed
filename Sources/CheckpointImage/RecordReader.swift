/// Takes records from a source: checks the bounds, then the checksums, and then gives the bytes to the decoder.
///
/// A false length in a record cannot make it allocate much: it allocates only for bytes that the source has given.
struct RecordReader<Source: SequentialSource> {
    private static var chunk: Int { 256 * 1024 }
    /// Bytes that are read at least: fewer where records are looked at that lie far from each other.
    var readAhead = RecordReader.chunk

    var source: Source
    /// The offset of the next byte that is handed out.
    private(set) var offset: UInt64 = 0
    /// The size of the source, nil for a pipe.
    let size: UInt64?
    private var buffer: [UInt8] = []
    private var head = 0

    /// - Parameter offset: the offset in the image of the first byte that the source will give.
    init(_ source: Source, size: UInt64? = nil, offset: UInt64 = 0) {
        self.source = source
        self.size = size
        self.offset = offset
    }

    /// How many bytes were read ahead.
    var buffered: Int { buffer.count - head }

    /// Takes exactly `count` bytes.
    mutating func take(_ count: Int) throws(ImageError) -> [UInt8] {
        if buffered < count { try fill(count) }
        let bytes = Array(buffer[head..<head + count])
        head += count
        offset += UInt64(count)
        return bytes
    }

    /// Takes at most `count` bytes: what was read ahead, else what the source gives. Empty at the end.
    mutating func takeSome(upTo count: Int) throws(ImageError) -> [UInt8] {
        let bytes: [UInt8]
        if buffered > 0 {
            bytes = Array(buffer[head..<min(head + count, buffer.count)])
            head += bytes.count
        } else {
            bytes = try pull(count)
        }
        offset += UInt64(bytes.count)
        return bytes
    }

    /// Notes that the caller took `count` bytes from the source itself.
    ///
    /// - Precondition: nothing is buffered.
    mutating func passed(_ count: Int) {
        precondition(buffered == 0, "bytes that were read ahead come first")
        offset += UInt64(count)
    }

    /// The header of the next record, bounds checked; `offset` is where its body begins.
    mutating func header() throws(ImageError) -> RecordHeader {
        let at = offset
        let header = try RecordHeader(try take(ImageFormat.recordHeaderLength), at: at)
        guard header.flags & ~RecordHeader.optional == 0 else {
            throw ImageError(.unknownFlags(header.flags, at: at))
        }
        let longest =
            header.type == RecordType.pageData.rawValue
            ? ImageFormat.mostPages * UInt64(ImageFormat.pageSize) : ImageFormat.longestBody
        guard header.length <= longest else {
            throw ImageError(.tooLong(type: header.type, length: header.length, at: at))
        }
        if let size, header.length > size - offset { throw ImageError(.endsEarly(at: size)) }
        return header
    }

    /// The body of the record whose header came last, checksum compared, fill bytes seen to be zero.
    mutating func body(of header: RecordHeader) throws(ImageError) -> [UInt8] {
        let at = offset - UInt64(ImageFormat.recordHeaderLength)
        let body = try take(Int(header.length))
        guard crc32c(body) == header.checksum else {
            throw ImageError(.bodyDamaged(type: header.type, at: at))
        }
        let fillAt = offset
        for byte in try take(ImageFormat.padding(after: header.length)) where byte != 0 {
            throw ImageError(.paddingNotZero(at: fillAt))
        }
        return body
    }

    /// Reads on until `count` bytes are buffered.
    private mutating func fill(_ count: Int) throws(ImageError) {
        buffer.removeSubrange(..<head)
        head = 0
        while buffer.count < count {
            let more = try pull(max(readAhead, min(count - buffer.count, 16 * Self.chunk)))
            if more.isEmpty {
                if let failed = FailureRecord.error(atEndOf: buffer) { throw failed }
                throw ImageError(.endsEarly(at: offset + UInt64(buffer.count)))
            }
            if buffer.isEmpty { buffer = more } else { buffer += more }
        }
    }

    private mutating func pull(_ count: Int) throws(ImageError) -> [UInt8] {
        do { return try source.read(upTo: count) } catch let error as ImageError { throw error } catch {
            throw ImageError(.source("\(error)"))
        }
    }
}

extension RecordReader {
    /// Jumps forward over `count` bytes of a file.
    mutating func skip<File>(_ count: UInt64) where Source == Cursor<File> {
        let ahead = min(count, UInt64(buffered))
        head += Int(ahead)
        source.position += count - ahead
        offset += count
    }
}

extension RecordReader {
    /// Takes the magic and the version. The errors tell files that are no image, newer images and damaged ones apart.
    mutating func prelude() throws(ImageError) {
        var bytes: [UInt8] = []
        while bytes.count < ImageFormat.preludeLength {
            let more = try takeSome(upTo: ImageFormat.preludeLength - bytes.count)
            if more.isEmpty { break }
            bytes += more
        }
        guard !bytes.isEmpty else { throw ImageError(.empty) }
        guard bytes.starts(with: ImageFormat.magic.prefix(bytes.count)) else { throw ImageError(.notAnImage) }
        guard bytes.count == ImageFormat.preludeLength else { throw ImageError(.endsEarly(at: offset)) }
        guard bytes.uint32(at: 12) == crc32c(bytes, in: 0..<12) else { throw ImageError(.preludeDamaged) }
        let version = bytes.uint32(at: 8)
        guard version == ImageFormat.version else { throw ImageError(.otherVersion(version)) }
    }
}
