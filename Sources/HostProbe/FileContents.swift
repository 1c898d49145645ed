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
}
