internal import Glibc
internal import LinuxABI

/// What is mounted where, as a process sees it.
///
/// - Source: proc(5), `/proc/pid/mountinfo`.
package struct MountTable: Sendable {
    /// Device, root, mount point and type of each mount but `/proc`s, sorted: a copied namespace lists its mounts in
    /// another order. Mount numbers and propagation differ between namespaces and do not count.
    private let mounts: [String]
    /// How the uppermost mount at `/proc` was made; nil where there is none.
    package private(set) var proc: Proc?

    package struct Proc: Equatable, Sendable {
        /// MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC.
        package var flags: UInt32
        /// Options of the file system, e.g. `hidepid=2`.
        package var options: [String]
    }

    package init(of pid: Int32) throws(SystemError) { self.init(parsing: try readFile("/proc/\(pid)/mountinfo")) }

    package init(parsing mountinfo: [UInt8]) {
        var mounts: [String] = []
        for line in mountinfo.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            guard fields.count > 6, let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count else { continue }
            guard fields[dash + 1] == "proc" else {
                mounts.append("\(fields[2]) \(fields[3]) \(fields[4]) \(fields[dash + 1])")
                continue
            }
            guard fields[4] == "/proc", fields[3] == "/" else { continue }
            var flags: UInt32 = 0
            for option in fields[5].split(separator: ",") { flags |= Self.flags[option] ?? 0 }
            let options = dash + 3 < fields.count ? fields[dash + 3].split(separator: ",").map(String.init) : []
            // Mounts lie upon each other in the order of the list.
            proc = Proc(flags: flags, options: options.filter { $0 != "rw" && $0 != "ro" })
        }
        self.mounts = mounts.sorted()
    }

    private static let flags: [Substring: UInt32] = [
        "ro": MountFlag.MS_RDONLY, "nosuid": MountFlag.MS_NOSUID, "nodev": MountFlag.MS_NODEV, "noexec": MountFlag.MS_NOEXEC,
    ]

    /// Mount points of mounts that only one of the two has.
    package func differences(from other: MountTable) -> [String] {
        let own = Set(mounts)
        let theirs = Set(other.mounts)
        return Set(own.symmetricDifference(theirs).map { mount in
            let fields = mount.split(separator: " ")
            return fields.count > 2 ? String(fields[2]) : mount
        }).sorted()
    }

    /// Whether the two have the same mounts, but for `/proc`.
    package func matches(_ other: MountTable) -> Bool { mounts == other.mounts }
}
