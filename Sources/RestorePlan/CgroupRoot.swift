/// A place in one hierarchy of control groups.
package struct CgroupPlace: Hashable, Sendable, CustomStringConvertible {
    /// As in `/proc/PID/cgroup`: v1 controllers or `name=...`; empty: cgroup v2.
    package var hierarchy: String
    package var path: String

    package init(hierarchy: String, path: String) {
        self.hierarchy = hierarchy
        self.path = path
    }

    package var description: String { (hierarchy.isEmpty ? "v2" : hierarchy) + ":" + path }
}

/// What `--cgroup-root [HIERARCHY:]PATH` says: the tree's cgroups are looked for below PATH.
package struct CgroupRoot: Equatable, Sendable {
    /// Nil: of every hierarchy.
    package var hierarchy: String?
    package var path: String

    /// Nil where the text is not of that form. `v2` names the hierarchy of cgroup v2.
    package init?(_ text: String) {
        var path = text[...]
        if !text.hasPrefix("/") {
            guard let colon = text.firstIndex(of: ":") else { return nil }
            let name = String(text[..<colon])
            hierarchy = name == "v2" ? "" : name
            path = text[text.index(after: colon)...]
        }
        while path.count > 1 && path.hasSuffix("/") { path.removeLast() }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let isPlain = path == "/" || parts.allSatisfy { !["", ".", ".."].contains($0) }
        guard path.hasPrefix("/"), isPlain else { return nil }
        self.path = String(path)
    }
}

/// Where cgroups of the image are looked for here: where they were, or below another root.
///
/// In each hierarchy the deepest cgroup that all tasks of the tree were in or below becomes the root given;
/// what lay below it keeps its place. A root for every hierarchy leaves alone those in which the whole tree
/// was at the top, unless it was at the top everywhere.
struct CgroupMapping {
    private var common: [String: String] = [:]
    private let roots: [CgroupRoot]

    init(_ places: [CgroupPlace], roots: [CgroupRoot]) {
        for place in places {
            common[place.hierarchy] = common[place.hierarchy].map { Self.ancestor($0, place.path) } ?? place.path
        }
        self.roots = roots
    }

    func mapped(_ place: CgroupPlace) -> CgroupPlace {
        guard let common = common[place.hierarchy], let root = root(of: place.hierarchy) else { return place }
        let rest = common == "/" ? place.path : String(place.path.dropFirst(common.count))
        let path = rest == "/" || rest.isEmpty ? root : (root == "/" ? "" : root) + rest
        return CgroupPlace(hierarchy: place.hierarchy, path: path)
    }

    private func root(of hierarchy: String) -> String? {
        if let own = roots.last(where: { $0.hierarchy == hierarchy }) { return own.path }
        guard let all = roots.last(where: { $0.hierarchy == nil }) else { return nil }
        return common[hierarchy] != "/" || common.values.allSatisfy { $0 == "/" } ? all.path : nil
    }

    /// The deepest cgroup that both are in or below.
    static func ancestor(_ first: String, _ second: String) -> String {
        let pairs = zip(first.split(separator: "/"), second.split(separator: "/"))
        return "/" + pairs.prefix { $0 == $1 }.map { String($0.0) }.joined(separator: "/")
    }
}
