internal import CheckpointImage
package import Kernel
internal import LinuxABI

/// The contents of a file as a number, by which it is known again when its time has changed.
package enum FileContents {
    /// Larger files are not read for it.
    package static let largest: Int64 = 16 << 20

    /// CRC-32C; nil: it is no regular file, or too large.
    package static func checksum(of path: [UInt8]) throws(SystemError) -> UInt32? {
        let file = try Descriptor.openWithoutLinks(path, OpenFlag.O_RDONLY | OpenFlag.O_NONBLOCK)
        let status = try FileStatus(of: file)
        guard status.kind == .regular, status.size <= largest else { return nil }
        var sum: UInt32 = 0
        while true {
            let part = try file.read(upTo: 1 << 20)
            if part.isEmpty { return sum }
            sum = crc32c(part, from: sum)
        }
    }

    /// How much of a file's beginning and end is read, in bytes, to know it again when more was added.
    package static let reach: UInt64 = 512 << 10

    /// Checksums of the beginning and of the end of the first `size` bytes of a file.
    ///
    /// - Returns: CRC-32C of ``reach`` bytes each, or of all where there are fewer; nil: the file is shorter.
    package static func ends(of file: borrowing Descriptor, size: UInt64) throws(SystemError) -> (head: UInt32, tail: UInt32)? {
        func sum(_ start: UInt64, _ end: UInt64) throws(SystemError) -> UInt32? {
            var sum: UInt32 = 0
            var place = start
            while place < end {
                let part = try file.read(upTo: Int(min(end - place, reach)), at: place)
                if part.isEmpty { return nil }
                sum = crc32c(part, from: sum)
                place += UInt64(part.count)
            }
            return sum
        }
        guard let head = try sum(0, min(size, reach)) else { return nil }
        if size <= reach { return (head, head) }
        return try sum(size - reach, size).map { (head, $0) }
    }
}
