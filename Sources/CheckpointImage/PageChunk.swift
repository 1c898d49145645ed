internal import CCodec

/// The body of record 153: some of 64 pages, decompressed.
struct PageChunk {
    static let mostPages = ImageFormat.checksumBlock / ImageFormat.pageSize
    /// Bytes before the pages.
    static let headLength = 16
    static let longestBody = UInt64(headLength + ImageFormat.checksumBlock)

    /// Bit i: page i is as in the parent image.
    let leftOut: UInt64
    /// The pages that are here, one after the other.
    let bytes: [UInt8]

    /// - Parameters:
    ///   - body: its checksum has been compared.
    ///   - pages: how many pages the chunk stands for: what is decompressed is never more.
    ///   - at: where the record is, for messages.
    init(_ body: [UInt8], pages: Int, hasParent: Bool, at: UInt64) throws(ImageError) {
        guard body.count >= Self.headLength, UInt64(body.count) <= Self.longestBody else {
            throw ImageError(.chunkLength(UInt64(body.count), at: at))
        }
        leftOut = body.uint64(at: 0)
        guard let codec = PageCodec(rawValue: body.uint32(at: 8)), body.uint32(at: 12) == 0 else {
            throw ImageError(.unknownCodec(body.uint32(at: 8), at: at))
        }
        guard pages == Self.mostPages || leftOut >> UInt64(pages) == 0 else { throw ImageError(.chunkDamaged(at: at)) }
        guard leftOut == 0 || hasParent else { throw ImageError(.leftOutWithoutParent(at: at)) }
        let length = (pages - leftOut.nonzeroBitCount) * ImageFormat.pageSize
        let count = body.count - Self.headLength
        guard codec == .plain ? count == length : count < length else { throw ImageError(.chunkLength(UInt64(body.count), at: at)) }
        var isGood = true
        bytes = [UInt8](unsafeUninitializedCapacity: length) { room, filled in
            isGood = body.withUnsafeBytes { from in
                length == 0
                    || ccodec_decode(Int32(codec.rawValue), from.baseAddress! + Self.headLength, count, room.baseAddress, length) == 1
            }
            filled = isGood ? length : 0
        }
        if !isGood { throw ImageError(.chunkDamaged(at: at)) }
    }

    /// The pages of a part of the chunk: those that are here, and what `parent` gives for each stretch of the others.
    func pages(in part: Range<Int>, leftOut fromParent: (Range<Int>) throws(ImageError) -> [UInt8]) throws(ImageError) -> [UInt8] {
        if leftOut == 0 {
            if part.count * ImageFormat.pageSize == bytes.count { return bytes }
            return Array(bytes[part.lowerBound * ImageFormat.pageSize..<part.upperBound * ImageFormat.pageSize])
        }
        var result: [UInt8] = []
        result.reserveCapacity(part.count * ImageFormat.pageSize)
        var page = part.lowerBound
        while page < part.upperBound {
            let isHere = leftOut >> UInt64(page) & 1 == 0
            var end = page + 1
            while end < part.upperBound, (leftOut >> UInt64(end) & 1 == 0) == isHere { end += 1 }
            if isHere {
                let before = (~leftOut & (UInt64(1) << UInt64(page) - 1)).nonzeroBitCount
                result += bytes[before * ImageFormat.pageSize..<(before + end - page) * ImageFormat.pageSize]
            } else {
                result += try fromParent(page..<end)
            }
            page = end
        }
        return result
    }
}
