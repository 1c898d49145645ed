internal import CCodec

/// How the pages of an image are made smaller.
package enum PageCompression: Equatable, Sendable {
    case zstd(level: Int32)
    case lz4

    /// The levels of zstd that may be chosen: higher ones take hundreds of megabytes for nothing in chunks of 256 KiB.
    package static let zstdLevels: ClosedRange<Int32> = 1...19

    /// As `--compress` names it: `zstd`, `zstd:LEVEL` or `lz4`.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        switch (parts[0], parts.count) {
        case ("zstd", 1): self = .zstd(level: 1)
        case ("zstd", 2):
            guard let level = Int32(parts[1]), Self.zstdLevels.contains(level) else { return nil }
            self = .zstd(level: level)
        case ("lz4", 1): self = .lz4
        default: return nil
        }
    }

    var codec: PageCodec {
        switch self {
        case .zstd: .zstd
        case .lz4: .lz4
        }
    }

    var level: Int32 {
        switch self {
        case .zstd(let level): level
        case .lz4: 0
        }
    }
}

/// How the bytes of a page chunk are kept: the numbers of the format.
package enum PageCodec: UInt32, Sendable, CaseIterable {
    case plain = 0
    case zstd = 1
    case lz4 = 2
}

/// Makes page chunks, with as many threads as there are processors, up to four. Chunks come in the order of the pages.
package final class PageChunkEncoder {
    private let encoder: OpaquePointer
    private var room: [UInt8] = []

    /// - Parameter compression: nil: pages are only put together.
    package init(_ compression: PageCompression?) throws(ImageError) {
        let codec = compression?.codec ?? .plain
        guard let made = ccodec_encoder_create(Int32(codec.rawValue), compression?.level ?? 0) else {
            throw ImageError(.writerOrder("no memory for compressing"))
        }
        encoder = made
    }

    deinit { ccodec_encoder_free(encoder) }

    /// The records 153 of pages that follow each other.
    ///
    /// - Parameters:
    ///   - pages: whole pages; each call but the last one of a section brings a multiple of 64.
    ///   - leftOut: for each chunk, the pages that are not written.
    package func records(of pages: RawSpan, leftOut: [UInt64]) -> [UInt8] {
        let count = pages.byteCount / ImageFormat.pageSize
        let chunks = (count + PageChunk.mostPages - 1) / PageChunk.mostPages
        precondition(leftOut.count == chunks, "a word for each chunk")
        if room.count < chunks * ImageFormat.checksumBlock { room = [UInt8](repeating: 0, count: chunks * ImageFormat.checksumBlock) }
        var made = [ccodec_chunk](repeating: ccodec_chunk(), count: chunks)
        pages.withUnsafeBytes { from in
            room.withUnsafeMutableBytes { ccodec_encode(encoder, from.baseAddress, count, leftOut, $0.baseAddress, &made) }
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(made.reduce(0) { $0 + Int($1.length) + ImageFormat.recordHeaderLength + PageChunk.headLength + 8 })
        for (index, chunk) in made.enumerated() {
            let start = index * ImageFormat.checksumBlock
            append(leftOut[index], chunk, room[start..<start + Int(chunk.length)], to: &bytes)
        }
        return bytes
    }

    private func append(_ leftOut: UInt64, _ chunk: ccodec_chunk, _ data: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
        var head: [UInt8] = []
        head.append(leftOut)
        head.append(chunk.codec)
        head.append(UInt32(0))
        let sum = crc32c(data.span.bytes, from: crc32c(head))
        let length = UInt64(head.count + data.count)
        bytes += RecordHeader(type: .pageChunk, length: length, checksum: sum).bytes
        bytes += head
        bytes += data
        bytes.append(contentsOf: repeatElement(0, count: ImageFormat.padding(after: length)))
    }
}
