internal import CCodec

/// crc32c of bytes, going on from `start`.
package func crc32c(_ bytes: RawSpan, from start: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { ccodec_crc32c(start, $0.baseAddress, $0.count) }
}

/// crc32c of bytes, going on from `start`.
package func crc32c(_ bytes: [UInt8], from start: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { ccodec_crc32c(start, $0.baseAddress, $0.count) }
}

/// crc32c of a part of `bytes`.
func crc32c(_ bytes: [UInt8], in range: Range<Int>) -> UInt32 {
    bytes.withUnsafeBytes { crc32c(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: $0[range]))) }
}

/// Sums page data in blocks of 256 KiB, as record 152 holds them.
package struct PageChecksummer: Sendable {
    private var sums: [UInt32] = []
    private var current: UInt32 = 0
    private var filled = 0

    package init() {}

    /// Takes in the bytes that come next, in pieces of any size.
    package mutating func add(_ bytes: RawSpan) {
        var at = 0
        while at < bytes.byteCount {
            let count = min(ImageFormat.checksumBlock - filled, bytes.byteCount - at)
            current = crc32c(bytes.extracting(at..<at + count), from: current)
            at += count
            filled += count
            if filled == ImageFormat.checksumBlock { close() }
        }
    }

    package mutating func add(_ bytes: [UInt8]) { add(bytes.span.bytes) }

    /// The sums of everything taken in; the summer is empty afterwards.
    package mutating func finish() -> [UInt32] {
        if filled > 0 { close() }
        let result = sums
        sums = []
        return result
    }

    private mutating func close() {
        sums.append(current)
        current = 0
        filled = 0
    }
}
