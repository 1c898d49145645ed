/// Where a task is in one hierarchy of control groups.
///
/// - Source: cgroups(7), `/proc/pid/cgroup`.
package struct CgroupMembership: Hashable, Sendable {
    /// v1: controllers joined by commas, or `name=...`; empty: cgroup v2.
    package var hierarchy: String
    /// From the root of the hierarchy, as this process's cgroup namespace shows it.
    /// Its names are bytes without line ends, which the kernel writes as they are.
    package var pathBytes: [UInt8]

    package init(hierarchy: String, pathBytes: [UInt8]) {
        self.hierarchy = hierarchy
        self.pathBytes = pathBytes
    }

    package init(hierarchy: String, path: String) { self.init(hierarchy: hierarchy, pathBytes: Array(path.utf8)) }

    /// As text; damaged where a name is not UTF-8.
    package var path: String { String(decoding: pathBytes, as: UTF8.self) }

    /// Reads the text of `/proc/PID/cgroup`: lines of `number:hierarchy:path`.
    package static func parse(_ text: [UInt8]) throws(SystemError) -> [CgroupMembership] {
        var found: [CgroupMembership] = []
        for line in text.split(separator: .newline) {
            let parts = line.split(separator: .colon, maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, parts[2].first == UInt8(ascii: "/") else { throw malformed("cgroup") }
            found.append(
                CgroupMembership(hierarchy: String(decoding: parts[1], as: UTF8.self), pathBytes: Array(parts[2])))
        }
        return found
    }
}

/// The text of `/proc/PID/cgroup`, or of one task of the process: equal texts mean equal places.
package func cgroupText(of pid: Int32, task: Int32? = nil) throws(SystemError) -> [UInt8] {
    try FaultPoint.procCgroup.pass("read /proc/\(pid)/cgroup")
    return try readKernelRecord(task.map { "/proc/\(pid)/task/\($0)/cgroup" } ?? "/proc/\(pid)/cgroup", capacity: 2048)
}
