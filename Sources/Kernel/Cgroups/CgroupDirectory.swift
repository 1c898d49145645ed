internal import LinuxABI

/// A control group of this host, by the directory of its files.
package struct CgroupDirectory: Sendable {
    package let pathBytes: [UInt8]
    package let isVersion2: Bool

    package init?(_ membership: CgroupMembership, among mounts: [CgroupMount]) {
        for mount in mounts where mount.holds(membership.hierarchy) {
            guard let directory = mount.directory(of: membership.pathBytes) else { continue }
            pathBytes = directory
            isVersion2 = mount.options == nil
            return
        }
        return nil
    }

    /// As text; damaged where a name is not UTF-8.
    package var path: String { String(decoding: pathBytes, as: UTF8.self) }

    package var exists: Bool { (try? FileStatus(of: file("cgroup.procs"))) != nil }

    /// The file that a task's number is written to: its whole process goes there, or that task alone.
    package func entrance(forThread: Bool) -> [UInt8] {
        file(forThread ? (isVersion2 ? "cgroup.threads" : "tasks") : "cgroup.procs")
    }

    private func file(_ name: String) -> [UInt8] { pathBytes + Array("/\(name)".utf8) }

    /// Nil, or why this process may not write there. Opening changes nothing.
    package func refusal() -> SystemError? {
        do throws(SystemError) {
            _ = try Descriptor.open(entrance(forThread: false), Int32(OpenFlag.O_WRONLY))
            return nil
        } catch { return error }
    }

    /// Why cgroup v2 takes no processes here, or nil. v1 has no such rule.
    ///
    /// - Source: Documentation/admin-guide/cgroup-v2.rst, "No Internal Process Constraint", "Threads".
    package func takesNoProcesses() -> String? {
        guard isVersion2 else { return nil }
        let type = word("cgroup.type")
        if type == "domain invalid" { return "its type is \"domain invalid\"" }
        // The root has no type.
        guard type == "domain", let enabled = word("cgroup.subtree_control"), !enabled.isEmpty else { return nil }
        let domainControllers = enabled.split(separator: " ").filter { !["cpu", "cpuset", "perf_event", "pids"].contains($0) }
        return domainControllers.isEmpty ? nil : "it hands \(domainControllers.joined(separator: ", ")) to cgroups below it"
    }

    /// The freezer holds all tasks in it, or will not let them go: set here or above.
    ///
    /// - Parameter top: where its hierarchy is mounted.
    package func isFrozen(top: [UInt8]) -> Bool {
        if !isVersion2 { return word("freezer.state").map { $0 != "THAWED" } ?? false }
        var place = pathBytes[...]
        while place.count > top.count, let slash = place.lastIndex(of: UInt8(ascii: "/")) {
            let state = try? readKernelText(Array(place) + "/cgroup.freeze".utf8, capacity: 16)
            if state?.first == UInt8(ascii: "1") { return true }
            place = place[..<slash]
        }
        return false
    }

    package func isFrozen(top: String) -> Bool { isFrozen(top: Array(top.utf8)) }

    private func word(_ name: String) -> String? {
        guard let text = try? readKernelText(file(name), capacity: 512) else { return nil }
        return String(decoding: text.prefix { $0 != .newline }, as: UTF8.self)
    }
}

extension [CgroupMount] {
    /// Whether a freezer holds the tasks that are there: the cgroup's path, or nil.
    package func freezer(holdingAny memberships: [CgroupMembership]) -> [UInt8]? {
        for membership in memberships {
            guard membership.hierarchy.isEmpty || membership.hierarchy.split(separator: ",").contains("freezer"),
                let mount = first(where: { $0.holds(membership.hierarchy) && $0.directory(of: membership.pathBytes) != nil }),
                let directory = CgroupDirectory(membership, among: self), directory.isFrozen(top: mount.mountPointBytes)
            else { continue }
            return membership.pathBytes
        }
        return nil
    }

    /// The same for messages.
    package func freezer(holding memberships: [CgroupMembership]) -> String? {
        freezer(holdingAny: memberships).map { printable($0) }
    }
}
