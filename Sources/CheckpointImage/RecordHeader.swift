/// The 24 bytes before each body.
struct RecordHeader: Equatable {
    /// The only flag: a reader that does not know the type may skip the record.
    static let optional: UInt32 = 1

    var type: UInt32
    var flags: UInt32 = 0
    /// Of the body, bytes.
    var length: UInt64
    /// crc32c of the body; 0 for page data.
    var checksum: UInt32

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(ImageFormat.recordHeaderLength)
        bytes.append(type)
        bytes.append(flags)
        bytes.append(length)
        bytes.append(checksum)
        bytes.append(crc32c(bytes))
        return bytes
    }

    /// Reads 24 bytes that lie at `at` in the image.
    init(_ bytes: [UInt8], at: UInt64) throws(ImageError) {
        guard bytes.uint32(at: 20) == crc32c(bytes, in: 0..<20) else {
            throw ImageError(.headerDamaged(at: at))
        }
        type = bytes.uint32(at: 0)
        flags = bytes.uint32(at: 4)
        length = bytes.uint64(at: 8)
        checksum = bytes.uint32(at: 16)
    }

    init(type: RecordType, flags: UInt32 = 0, length: UInt64, checksum: UInt32) {
        self.type = type.rawValue
        self.flags = flags
        self.length = length
        self.checksum = checksum
    }
}

/// The 24 bytes at the end of the file: the offset of the tail, or the length of the error record before them.
struct Trailer: Equatable {
    enum End: Equatable {
        /// Offset of the tail record.
        case tail(UInt64)
        /// Length of the error record, header and fill bytes included.
        case failure(UInt64)
    }

    var end: End

    init(_ end: End) { self.end = end }

    var bytes: [UInt8] {
        var bytes: [UInt8]
        switch end {
        case .tail(let offset):
            bytes = ImageFormat.tailMagic
            bytes.append(offset)
        case .failure(let length):
            bytes = ImageFormat.failureMagic
            bytes.append(length)
        }
        bytes.append(ImageFormat.version)
        bytes.append(crc32c(bytes))
        return bytes
    }

    /// Reads 24 bytes; nil where they are no valid trailer.
    init?(_ bytes: [UInt8]) {
        guard bytes.count == ImageFormat.trailerLength, bytes.uint32(at: 20) == crc32c(bytes, in: 0..<20),
            bytes.uint32(at: 16) == ImageFormat.version
        else { return nil }
        let value = bytes.uint64(at: 8)
        if bytes.starts(with: ImageFormat.tailMagic) {
            end = .tail(value)
        } else if bytes.starts(with: ImageFormat.failureMagic) {
            end = .failure(value)
        } else {
            return nil
        }
    }
}
