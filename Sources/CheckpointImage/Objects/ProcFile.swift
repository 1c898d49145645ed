/// A file or directory below `/proc/PID` of a task of the tree.
extension ImageProcFile: SavedObject {
    /// Links to other files, and directories of such links: what is below them is not a file of `/proc`.
    private static let links: Set<[UInt8]> = Set(["root", "cwd", "exe", "fd", "fdinfo", "map_files", "ns", "task"].map { Array($0.utf8) })
    /// Who has opened them decides what may be written, not who writes. Source: user_namespaces(7).
    private static let maps: Set<[UInt8]> = Set(["uid_map", "gid_map", "projid_map", "setgroups"].map { Array($0.utf8) })

    package var awaited: UInt32? { process }
    /// Other threads than the first are made last.
    package var isMadeLast: Bool { thread != 0 && thread != process }

    package func check(_ rules: RuleContext) throws(ImageError) {
        try rules.require(rules.lookup.process[process] != nil, .procTask)
        if thread != 0 {
            let owner = rules.lookup.thread[thread].map { rules.records.threads[$0].process }
            try rules.require(owner == process, .procTask)
        }
        try rules.require(Self.canBeOpened(name.asBytes), .procName)
    }

    /// Whether a name is one of `/proc/PID` itself: not behind a link to another file, nor above the directory.
    package static func canBeOpened(_ name: [UInt8]) -> Bool {
        guard !name.contains(0), name.count <= 4000 else { return false }
        if name.isEmpty { return true }
        let parts = name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Array($0) }
        guard !parts.contains(where: { $0.isEmpty || $0 == [46] || $0 == [46, 46] }) else { return false }
        return parts.count == 1 || !links.contains(parts[0])
    }

    /// Whether what may be written to it depends on who has opened it.
    package static func isIdentityMap(_ name: [UInt8]) -> Bool { maps.contains(name) }

    /// Where it is, in a `/proc` that shows the pid namespace of the tree's root.
    package var path: [UInt8] {
        var path = Array("/proc/\(process)".utf8)
        if thread != 0 { path += Array("/task/\(thread)".utf8) }
        if !name.isEmpty { path += [UInt8(ascii: "/")] + name.asBytes }
        return path
    }

    package func summary(in image: CheckpointImage) -> String { path.asData.asText }
}
