/// A mounted hierarchy of control groups.
///
/// - Source: proc(5), `/proc/pid/mountinfo`.
package struct CgroupMount: Equatable, Sendable {
    /// v1: the options of its super block, controllers and names among them; nil: cgroup v2.
    package var options: Set<String>?
    package var mountPoint: String
    /// The cgroup that is visible at the mount point.
    package var root: String

    /// All of this mount namespace, v1 and v2.
    package static func all() throws(SystemError) -> [CgroupMount] {
        parse(try readKernelText("/proc/self/mountinfo"))
    }

    /// Fields of a line: id, parent, device, root, mount point, options, optional ones, `-`, type, source, super options.
    package static func parse(_ text: [UInt8]) -> [CgroupMount] {
        text.split(separator: .newline).compactMap { line in
            let fields = line.split(separator: .blank).map { String(decoding: $0, as: UTF8.self) }
            guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { return nil }
            let type = fields[dash + 1]
            guard type == "cgroup" || type == "cgroup2" else { return nil }
            let options = type == "cgroup" ? Set(fields[dash + 3].split(separator: ",").map(String.init)) : nil
            return CgroupMount(options: options, mountPoint: unescaped(fields[4]), root: unescaped(fields[3]))
        }
    }

    /// Whether this is the hierarchy, by its name in `/proc/PID/cgroup`.
    package func holds(_ hierarchy: String) -> Bool {
        guard let options else { return hierarchy.isEmpty }
        return !hierarchy.isEmpty && hierarchy.split(separator: ",").allSatisfy { options.contains(String($0)) }
    }

    /// Where a cgroup's files are; nil: it is not below the root of this mount.
    package func directory(of path: String) -> String? {
        if root == "/" { return path == "/" ? mountPoint : mountPoint + path }
        if path == root { return mountPoint }
        return path.hasPrefix(root + "/") ? mountPoint + path.dropFirst(root.count) : nil
    }

    /// Blanks and the like are written as three octal digits.
    private static func unescaped(_ text: String) -> String {
        guard text.contains("\\") else { return text }
        var bytes: [UInt8] = []
        let all = Array(text.utf8)
        var index = 0
        while index < all.count {
            if all[index] == UInt8(ascii: "\\"), index + 3 < all.count,
                let code = UInt8(String(decoding: all[index + 1...index + 3], as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                index += 4
            } else {
                bytes.append(all[index])
                index += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
