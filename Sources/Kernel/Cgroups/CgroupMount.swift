/// A mounted hierarchy of control groups.
///
/// - Source: proc(5), `/proc/pid/mountinfo`.
package struct CgroupMount: Equatable, Sendable {
    /// v1: the options of its super block, controllers and names among them; nil: cgroup v2.
    package var options: Set<String>?
    package var mountPointBytes: [UInt8]
    /// The cgroup that is visible at the mount point.
    package var rootBytes: [UInt8]

    package init(options: Set<String>?, mountPointBytes: [UInt8], rootBytes: [UInt8]) {
        self.options = options
        self.mountPointBytes = mountPointBytes
        self.rootBytes = rootBytes
    }

    package init(options: Set<String>?, mountPoint: String, root: String) {
        self.init(options: options, mountPointBytes: Array(mountPoint.utf8), rootBytes: Array(root.utf8))
    }

    /// As text; damaged where a name is not UTF-8.
    package var mountPoint: String { String(decoding: mountPointBytes, as: UTF8.self) }
    package var root: String { String(decoding: rootBytes, as: UTF8.self) }

    /// All of this mount namespace, v1 and v2.
    package static func all() throws(SystemError) -> [CgroupMount] {
        parse(try readKernelText("/proc/self/mountinfo"))
    }

    /// Fields of a line: id, parent, device, root, mount point, options, optional ones, `-`, type, source, super options.
    package static func parse(_ text: [UInt8]) -> [CgroupMount] {
        text.split(separator: .newline).compactMap { line in
            let fields = line.split(separator: .blank)
            guard let dash = fields.firstIndex(of: [UInt8(ascii: "-")]), dash >= 6, fields.count > dash + 3 else { return nil }
            let type = String(decoding: fields[dash + 1], as: UTF8.self)
            guard type == "cgroup" || type == "cgroup2" else { return nil }
            let words = String(decoding: fields[dash + 3], as: UTF8.self).split(separator: ",").map(String.init)
            return CgroupMount(
                options: type == "cgroup" ? Set(words) : nil, mountPointBytes: unescapingMountField(fields[4]),
                rootBytes: unescapingMountField(fields[3]))
        }
    }

    /// Whether this is the hierarchy, by its name in `/proc/PID/cgroup`.
    package func holds(_ hierarchy: String) -> Bool {
        guard let options else { return hierarchy.isEmpty }
        return !hierarchy.isEmpty && hierarchy.split(separator: ",").allSatisfy { options.contains(String($0)) }
    }

    /// Where a cgroup's files are; nil: it is not below the root of this mount.
    package func directory(of path: [UInt8]) -> [UInt8]? {
        let slash = [UInt8(ascii: "/")]
        if rootBytes == slash { return path == slash ? mountPointBytes : mountPointBytes + path }
        if path == rootBytes { return mountPointBytes }
        return path.starts(with: rootBytes + slash) ? mountPointBytes + path.dropFirst(rootBytes.count) : nil
    }

    package func directory(of path: String) -> String? {
        directory(of: Array(path.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }
}
