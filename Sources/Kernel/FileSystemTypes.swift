/// Types of file systems by the device of their files, as the mount table of this process has them.
package struct FileSystemTypes: Sendable {
    private var types: [UInt64: [UInt8]] = [:]

    /// File systems whose files are not told when a copy of a descriptor is closed.
    private static let quiet: Set<[UInt8]> = Set(
        [
            "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "devtmpfs", "ramfs", "overlay", "proc", "sysfs", "cgroup",
            "cgroup2", "squashfs", "erofs", "iso9660", "vfat", "exfat", "bcachefs", "zfs", "hugetlbfs", "devpts", "debugfs",
            "tracefs", "securityfs", "bpf", "configfs",
        ].map { Array($0.utf8) })

    /// File systems on disks of this host or in its memory: reading a file there has no effect, and waits for nobody.
    private static let storage: Set<[UInt8]> = Set(
        ["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "ramfs", "overlay", "vfat", "exfat", "bcachefs", "zfs"].map { Array($0.utf8) })

    package init() {
        self.init(parsing: (try? ProcText.mounts(of: Processes.ownPid)) ?? [])
    }

    package init(parsing mountinfo: [UInt8]) {
        for line in mountinfo.split(separator: .newline) {
            let fields = line.split(separator: .blank)
            guard fields.count > 6, let dash = fields.dropFirst(6).firstIndex(of: [UInt8(ascii: "-")]), dash + 1 < fields.count
            else { continue }
            let numbers = fields[2].split(separator: UInt8(ascii: ":")).compactMap { UInt64(String(decoding: $0, as: UTF8.self)) }
            guard numbers.count == 2 else { continue }
            types[deviceNumber(major: numbers[0], minor: numbers[1])] = Array(fields[dash + 1])
        }
    }

    package func type(of device: UInt64) -> [UInt8]? { types[device] }

    /// Whether closing a copy of a descriptor of a file there has no effect. False where that is not known.
    package func isQuiet(_ device: UInt64) -> Bool { types[device].map { Self.quiet.contains($0) } ?? false }

    /// Whether a path is the name that an NFS client gives to an open file which was removed: it goes when the file is closed.
    ///
    /// - Source: fs/nfs/unlink.c, `nfs_sillyrename`.
    package func isSillyName(_ path: [UInt8], on device: UInt64) -> Bool {
        guard types[device].map({ $0.starts(with: "nfs".utf8) }) == true, let end = path.lastIndex(of: UInt8(ascii: "/")) else { return false }
        let name = path[(end + 1)...]
        return name.count > 12 && name.starts(with: ".nfs".utf8) && name.dropFirst(4).allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// Whether the files there are bytes on a disk of this host or in its memory. False where that is not known.
    package func isStorage(_ device: UInt64) -> Bool { types[device].map { Self.storage.contains($0) } ?? false }
}
