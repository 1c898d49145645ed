/// Little-endian fields of a byte string, by offset. The caller has compared the size before.
extension Array where Element == UInt8 {
    @inline(__always)
    func u16(at offset: Int) -> UInt16 { UInt16(self[offset]) | UInt16(self[offset + 1]) << 8 }

    @inline(__always)
    func u32(at offset: Int) -> UInt32 { UInt32(u16(at: offset)) | UInt32(u16(at: offset + 2)) << 16 }

    @inline(__always)
    func u64(at offset: Int) -> UInt64 { UInt64(u32(at: offset)) | UInt64(u32(at: offset + 4)) << 32 }

    func bytes(at offset: Int, count: Int) -> [UInt8] { Array(self[offset..<offset + count]) }

    @inline(__always)
    mutating func put(_ value: some FixedWidthInteger, at offset: Int) {
        var rest = value
        for index in 0..<(value.bitWidth / 8) {
            self[offset + index] = UInt8(truncatingIfNeeded: rest)
            if value.bitWidth > 8 { rest >>= 8 }
        }
    }

    mutating func put(_ bytes: [UInt8], at offset: Int) {
        replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    @inline(__always)
    mutating func append(little value: some FixedWidthInteger) {
        var rest = value
        for _ in 0..<(value.bitWidth / 8) {
            append(UInt8(truncatingIfNeeded: rest))
            if value.bitWidth > 8 { rest >>= 8 }
        }
    }

    var isZero: Bool { allSatisfy { $0 == 0 } }
}

/// Takes the fields of a record in order. The size is compared once, at the beginning.
struct RecordReader {
    let bytes: [UInt8]
    var offset = 4

    /// Begins a record of `feature`: exact size, version 1.
    init(_ bytes: [UInt8], of feature: CPUFeature, size: Int) throws(ArchStateError) {
        guard bytes.count == size else {
            throw ArchStateError(.recordSize, in: feature, detail: "\(bytes.count) bytes, not \(size)")
        }
        self.bytes = bytes
        let version = bytes.u32(at: 0)
        guard version == 1 else {
            throw ArchStateError(.recordVersion, in: feature, detail: "version \(version)")
        }
    }

    mutating func u16() -> UInt16 {
        defer { offset += 2 }
        return bytes.u16(at: offset)
    }

    mutating func u32() -> UInt32 {
        defer { offset += 4 }
        return bytes.u32(at: offset)
    }

    mutating func u64() -> UInt64 {
        defer { offset += 8 }
        return bytes.u64(at: offset)
    }

    mutating func take(_ count: Int) -> [UInt8] {
        defer { offset += count }
        return bytes.bytes(at: offset, count: count)
    }
}

/// The first four bytes of every record: its version, u32.
let recordVersion: [UInt8] = [1, 0, 0, 0]

/// One feature of a thread's state as the image holds it.
package struct CPURecord: Equatable, Sendable {
    package var feature: UInt32
    package var body: [UInt8]

    package init(feature: UInt32, body: [UInt8]) {
        self.feature = feature
        self.body = body
    }

    init(_ feature: CPUFeature, _ body: [UInt8]) {
        self.init(feature: UInt32(feature.rawValue), body: body)
    }
}
