/// Bytes that can only be read in order, as from a pipe.
package protocol SequentialSource {
    /// The next bytes, at least one and at most `count`; empty at the end.
    mutating func read(upTo count: Int) throws -> [UInt8]
}

/// Bytes that can be read at any offset, as from a file.
package protocol RandomSource {
    /// In bytes.
    var size: UInt64 { get }
    /// Bytes from `offset` on, at least one and at most `count`; empty at the end.
    func read(upTo count: Int, at offset: UInt64) throws -> [UInt8]
}

/// Bytes in memory, readable in both ways.
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

/// A file that is read in order, and can be told to skip bytes.
struct Cursor<Source: RandomSource>: SequentialSource {
    let source: Source
    var position: UInt64 = 0

    mutating func read(upTo count: Int) throws -> [UInt8] {
        let bytes = try source.read(upTo: count, at: position)
        position += UInt64(bytes.count)
        return bytes
    }
}
