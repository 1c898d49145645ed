/// Bytes that come one after another: a pipe, a terminal's idea of a file.
package protocol SequentialSource {
    /// The next bytes, at least one and at most `count`; empty at the end.
    mutating func read(upTo count: Int) throws -> [UInt8]
}

/// Bytes at offsets: a file.
package protocol RandomSource {
    /// In bytes.
    var size: UInt64 { get }
    /// Bytes from `offset` on, at least one and at most `count`; empty at the end.
    func read(upTo count: Int, at offset: UInt64) throws -> [UInt8]
}

/// Bytes in memory, for both readers.
package struct ByteSource: SequentialSource, RandomSource, Sendable {
    private let bytes: [UInt8]
    private var position = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var size: UInt64 { UInt64(bytes.count) }

    package mutating func read(upTo count: Int) -> [UInt8] {
        let end = min(position + count, bytes.count)
        defer { position = end }
        return Array(bytes[position..<end])
    }

    package func read(upTo count: Int, at offset: UInt64) -> [UInt8] {
        guard offset < size else { return [] }
        let start = Int(offset)
        return Array(bytes[start..<min(start + count, bytes.count)])
    }
}

/// A file read from front to back, with jumps.
struct Cursor<Source: RandomSource>: SequentialSource {
    let source: Source
    var position: UInt64 = 0

    mutating func read(upTo count: Int) throws -> [UInt8] {
        let bytes = try source.read(upTo: count, at: position)
        position += UInt64(bytes.count)
        return bytes
    }
}
