/// How much memory a control group lets its tasks have, in bytes.
///
/// - Source: Documentation/admin-guide/cgroup-v2.rst, `memory.max`; Documentation/admin-guide/cgroup-v1/memory.rst.
package struct CgroupMemory: Equatable, Sendable {
    package var used: UInt64
    /// Up to the limit, with what the kernel can take back from cached files.
    package var free: UInt64

    package init(used: UInt64, free: UInt64) {
        self.used = used
        self.free = free
    }

    /// The tightest limit of a task: of its cgroups of either version, and of those around them. Nil: there is none, or it cannot be read.
    package static func tightest(of memberships: [CgroupMembership], among mounts: [CgroupMount]) -> CgroupMemory? {
        var tightest: CgroupMemory?
        for membership in memberships {
            guard membership.hierarchy.isEmpty || membership.hierarchy.split(separator: ",").contains("memory"),
                let mount = mounts.first(where: { $0.holds(membership.hierarchy) && $0.directory(of: membership.pathBytes) != nil }),
                let directory = mount.directory(of: membership.pathBytes)
            else { continue }
            var place = directory[...]
            while place.count >= mount.mountPointBytes.count {
                if let one = CgroupMemory(in: Array(place), isVersion2: mount.options == nil), one.free < tightest?.free ?? .max { tightest = one }
                guard let slash = place.lastIndex(of: UInt8(ascii: "/")) else { break }
                place = place[..<slash]
            }
        }
        return tightest
    }

    /// Nil: no limit.
    private init?(in directory: [UInt8], isVersion2: Bool) {
        func text(_ name: String) -> [UInt8]? { try? readKernelText(directory + Array("/\(name)".utf8)) }
        func number(_ name: String) -> UInt64? {
            guard let text = text(name) else { return nil }
            var cursor = ByteCursor(text)
            return cursor.decimal()
        }
        // "max" is no number; v1 has the largest multiple of a page for it.
        guard let limit = number(isVersion2 ? "memory.max" : "memory.limit_in_bytes"), limit < 1 << 62,
            let used = number(isVersion2 ? "memory.current" : "memory.usage_in_bytes")
        else { return nil }
        let cached = Self.value(isVersion2 ? "inactive_file" : "total_inactive_file", in: text("memory.stat") ?? [])
        self.init(used: used, free: min(limit, (limit > used ? limit - used : 0) &+ cached))
    }

    static func value(_ name: String, in text: [UInt8]) -> UInt64 {
        let prefix = Array("\(name) ".utf8)
        guard let line = text.split(separator: .newline).first(where: { $0.starts(with: prefix) }) else { return 0 }
        var cursor = ByteCursor(Array(line.dropFirst(prefix.count)))
        return cursor.decimal() ?? 0
    }
}
