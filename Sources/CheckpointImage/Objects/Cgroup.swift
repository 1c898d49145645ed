extension ImageLookup {
    private static let hierarchies = 64
    private static let hierarchyLength = 256
    /// The longest path that the kernel gives, in bytes.
    private static let pathLength = 4096

    /// The names cannot lead out of a cgroup file system, and each task's cgroups are in the header.
    func validateCgroups(_ records: ImageRecords) throws(ImageError) {
        let sets = records.header.cgroupSets
        try require(sets.count <= ImageLimits.tasks, .tooMany, "sets of cgroups")
        for (index, set) in sets.enumerated() {
            let subject = { "set \(index + 1) of cgroups" }
            var hierarchies: Set<String> = []
            try require(set.cgroups.count <= Self.hierarchies, .tooMany, subject())
            for cgroup in set.cgroups {
                let isName = cgroup.hierarchy.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "/") }
                try require(
                    isName && cgroup.hierarchy.utf8.count <= Self.hierarchyLength
                        && hierarchies.insert(cgroup.hierarchy).inserted && Self.isPath(cgroup.path.asBytes), .cgroup,
                    subject())
            }
        }
        for one in records.processes {
            try require(one.cgroupSet <= sets.count, .noCgroups, "process \(one.pid)")
        }
        for one in records.threads {
            try require(one.cgroupSet <= sets.count, .noCgroups, "thread \(one.tid) of process \(one.process)")
        }
    }

    /// Whether a path is absolute without `.` and `..`. For a cgroup outside of the cgroup namespace the kernel writes
    /// `/..` at the beginning, and only there.
    private static func isPath(_ path: [UInt8]) -> Bool {
        guard path.first == UInt8(ascii: "/"), path.count <= pathLength, !path.contains(0), !path.contains(10) else {
            return false
        }
        if path.count == 1 { return true }
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).dropFirst()
        let plain = parts.drop { $0.elementsEqual("..".utf8) }
        return plain.allSatisfy { !$0.isEmpty && !$0.elementsEqual(".".utf8) && !$0.elementsEqual("..".utf8) }
    }
}
