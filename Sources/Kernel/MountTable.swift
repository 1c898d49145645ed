internal import Glibc
internal import LinuxABI

/// What is mounted where, as a process sees it.
///
/// - Source: proc(5), `/proc/pid/mountinfo`.
package struct MountTable: Sendable {
    /// Device, root, mount point and type of each mount but `/proc`s, sorted: a copied namespace lists its mounts in
    /// another order. Mount numbers and propagation differ between namespaces and do not count.
    private let mounts: [Mount]
    /// How the uppermost mount at `/proc` was made; nil where there is none.
    package private(set) var proc: Proc?

    private struct Mount: Hashable, Comparable {
        /// `major:minor`
        var device: [UInt8]
        /// The directory of the file system that is visible at the mount point.
        var root: [UInt8]
        var mountPoint: [UInt8]
        var type: [UInt8]

        static func < (a: Mount, b: Mount) -> Bool {
            for (one, other) in [(a.mountPoint, b.mountPoint), (a.device, b.device), (a.root, b.root)] where one != other {
                return one.lexicographicallyPrecedes(other)
            }
            return a.type.lexicographicallyPrecedes(b.type)
        }
    }

    package struct Proc: Equatable, Sendable {
        /// MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC.
        package var flags: UInt32
        /// Options of the file system, e.g. `hidepid=2`.
        package var options: [String]
    }

    package init(of pid: Int32) throws(SystemError) {
        self.init(parsing: try ProcText.mounts(of: pid))
    }

    package init(parsing mountinfo: [UInt8]) {
        var mounts: [Mount] = []
        let procType = Array("proc".utf8)
        for line in mountinfo.split(separator: .newline) {
            let fields = line.split(separator: .blank)
            guard fields.count > 6, let dash = fields.dropFirst(6).firstIndex(of: [UInt8(ascii: "-")]),
                dash + 1 < fields.count
            else { continue }
            let (root, mountPoint) = (unescapingMountField(fields[3]), unescapingMountField(fields[4]))
            guard fields[dash + 1].elementsEqual(procType) else {
                mounts.append(
                    Mount(device: Array(fields[2]), root: root, mountPoint: mountPoint, type: Array(fields[dash + 1])))
                continue
            }
            guard mountPoint.elementsEqual("/proc".utf8), root.elementsEqual("/".utf8) else { continue }
            var flags: UInt32 = 0
            for option in Self.options(fields[5]) { flags |= Self.flags[option] ?? 0 }
            let options = dash + 3 < fields.count ? Self.options(fields[dash + 3]) : []
            // A later mount of the list covers an earlier one at the same place.
            proc = Proc(flags: flags, options: options.filter { $0 != "rw" && $0 != "ro" })
        }
        self.mounts = mounts.sorted()
    }

    private static let flags: [String: UInt32] = [
        "ro": MountFlag.MS_RDONLY, "nosuid": MountFlag.MS_NOSUID, "nodev": MountFlag.MS_NODEV, "noexec": MountFlag.MS_NOEXEC,
    ]

    /// Options of a mount, which are text: parts of super options that could be a name are not looked at.
    private static func options(_ field: ArraySlice<UInt8>) -> [String] {
        field.split(separator: UInt8(ascii: ",")).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Where a mount is, by the number that fdinfo has of it; nil: it is not mounted there any more.
    ///
    /// - Source: proc(5), `/proc/pid/mountinfo`, field 1.
    package static func mountPoint(of id: UInt64, in mountinfo: [UInt8]) -> [UInt8]? {
        let number = Array(String(id).utf8)
        for line in mountinfo.split(separator: .newline) {
            let fields = line.split(separator: .blank, maxSplits: 5)
            if fields.count > 5, fields[0].elementsEqual(number) { return unescapingMountField(fields[4]) }
        }
        return nil
    }

    /// Where the file system with a device number is mounted, in the order in which it was.
    package static func mountPoints(major: UInt64, minor: UInt64, in mountinfo: [UInt8]) -> [[UInt8]] {
        let device = Array("\(major):\(minor)".utf8)
        return mountinfo.split(separator: .newline).compactMap { line in
            let fields = line.split(separator: .blank, maxSplits: 5)
            return fields.count > 5 && fields[2].elementsEqual(device) ? unescapingMountField(fields[4]) : nil
        }
    }

    /// `major:minor` of the file system that a path leads to, by the mount points in the path.
    package static func device(of path: [UInt8], in mountinfo: [UInt8]) -> [UInt8]? {
        var best: (length: Int, device: [UInt8])?
        for line in mountinfo.split(separator: .newline) {
            let fields = line.split(separator: .blank, maxSplits: 5)
            guard fields.count > 5 else { continue }
            let point = unescapingMountField(fields[4])
            let slash = UInt8(ascii: "/")
            let isAbove = point == [slash] || path.starts(with: point) && (path.count == point.count || path[point.count] == slash)
            // A later mount covers an earlier one.
            if isAbove, point.count >= best?.length ?? 0 { best = (point.count, Array(fields[2])) }
        }
        return best?.device
    }

    /// Mount points of mounts that only one of the two has, sorted.
    package func differingMountPoints(from other: MountTable) -> [[UInt8]] {
        Set(Set(mounts).symmetricDifference(other.mounts).map(\.mountPoint)).sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// The same for messages.
    package func differences(from other: MountTable) -> [String] { differingMountPoints(from: other).map { printable($0) } }

    /// Whether the two have the same mounts, but for `/proc`.
    package func matches(_ other: MountTable) -> Bool { mounts == other.mounts }
}
