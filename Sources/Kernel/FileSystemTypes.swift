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
}
