//  The image: one file, readable from a pipe and by offset. All numbers are little endian.
//
//      0        16                                                            size-24    size
//      +--------+--------+----------+-----+----------------------+-----+------+----------+
//      | prelude| header | metadata | ... | pages of one owner   | ... | tail | trailer  |
//      +--------+--------+----------+-----+----------------------+-----+------+----------+
//
//      prelude  "TREECKPT"  u32 format version  u32 crc32c of these 12 bytes
//      record   u32 type  u32 flags  u64 length of the body
//               u32 crc32c of the body  u32 crc32c of these 20 bytes
//               body, then zero bytes up to a multiple of 8
//      pages    record 150 (whose pages), record 2 (padding, where needed), record 151 (the pages
//               themselves: the body begins at a multiple of 4096), record 152 (their checksums);
//               or record 150, records 153 (64 pages each, compressed, or without those that are
//               as in the parent image), record 152
//      trailer  "TREEREST"  u64 offset of the tail record
//               u32 format version  u32 crc32c of these 20 bytes
//
//      chunk    u64 left out: bit i says that page i of the chunk is as in the parent image, not here
//               u32 codec of what follows: 0 none, 1 zstd, 2 LZ4 (a block without a frame)  u32 zero
//               the pages that are here, one after the other
//
//  A page chunk (record 153) stands for 64 pages, the last one of a section for what is left. Pages that compressing would
//  not make shorter are kept as they are. Chunks follow each other, and are not in the index of the tail.
//
//  All other metadata precede the pages. A checkpoint that fails while it streams ends, at whatever
//  byte it had reached, in record 9999 and a trailer that begins with "TREEFAIL" and holds the length
//  of that record (header, body, zero bytes) in place of the offset: it is found from the end.

/// The constants of the format.
package enum ImageFormat {
    /// Rises with every change that an older reader would read wrongly.
    package static let version: UInt32 = 2

    package static let magic: [UInt8] = Array("TREECKPT".utf8)
    package static let tailMagic: [UInt8] = Array("TREEREST".utf8)
    package static let failureMagic: [UInt8] = Array("TREEFAIL".utf8)

    package static let preludeLength = 16
    package static let recordHeaderLength = 24
    package static let trailerLength = 24
    package static let pageSize = 4096

    /// Bytes of the identity of an image.
    package static let identityLength = 16

    /// Bytes of page data that one checksum covers.
    package static let checksumBlock = 256 * 1024

    /// The longest metadata body in bytes; a longer one is neither written nor read.
    package static let longestBody: UInt64 = 256 * 1024 * 1024

    /// The most pages of one section; leaves room for sums in 64 bits.
    package static let mostPages: UInt64 = 1 << 48

    /// The most fields in one body, counted before it is decoded: small fields cost more memory
    /// decoded than encoded.
    package static let mostFields = 1 << 22

    /// The most fields of one body that have a length of 0. Only a zero is written so, and no list is long that consists of zeros.
    package static let mostEmptyFields = 1 << 12

    /// Zero bytes after a body of `length` bytes.
    static func padding(after length: UInt64) -> Int { Int((8 - length % 8) % 8) }

    /// Checksums that cover `pages` pages.
    package static func checksumCount(pages: UInt64) -> UInt64 {
        let perBlock = UInt64(checksumBlock / pageSize)
        return pages / perBlock + (pages % perBlock == 0 ? 0 : 1)
    }
}

/// What a record holds. 1.. stream, 101.. tasks, 150.. pages, 201–299 architecture, 9001 tail, 9999 error.
package enum RecordType: UInt32, Sendable, CaseIterable {
    case header = 1
    /// Zero bytes up to a page boundary.
    case padding = 2
    case process = 101
    case thread = 102
    case addressSpace = 103
    case fileTable = 104
    case openFile = 105
    case pipe = 106
    case memoryObject = 107
    case semaphoreSet = 108
    case directories = 109
    case signalActions = 110
    case namespace = 111
    case messageQueue = 112
    case terminal = 118
    case callFilter = 121
    case sharedPages = 140
    case pageDescription = 150
    case pageData = 151
    case pageChecksums = 152
    case pageChunk = 153
    case tail = 9001
    case failure = 9999

    /// May stand between the header and the first page description.
    var isMetadata: Bool {
        (RecordType.process.rawValue..<RecordType.pageDescription.rawValue).contains(rawValue)
    }
}
