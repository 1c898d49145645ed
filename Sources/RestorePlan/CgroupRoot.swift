internal import LinuxABI

/// A place in one hierarchy of control groups.
package struct CgroupPlace: Hashable, Sendable, CustomStringConvertible {
    /// As in `/proc/PID/cgroup`: v1 controllers or `name=...`; empty: cgroup v2.
    package var hierarchy: String
    package var path: [UInt8]

    package init(hierarchy: String, path: [UInt8]) {
        self.hierarchy = hierarchy
        self.path = path
    }

    package init(hierarchy: String, path: String) { self.init(hierarchy: hierarchy, path: Array(path.utf8)) }

    package var description: String { (hierarchy.isEmpty ? "v2" : printable(Array(hierarchy.utf8))) + ":" + printable(path) }
}

/// The option `--cgroup-root [HIERARCHY:]PATH`: the tree's cgroups are looked for below PATH.
package struct CgroupRoot: Equatable, Sendable {
    /// Nil: it is for every hierarchy.
    package var hierarchy: String?
    package var path: [UInt8]

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
        self.path = Array(path.utf8)
    }
}

/// Maps cgroups of the image to places on this host: the same places, or places below another root.
///
/// In each hierarchy with a given root, the deepest cgroup that contains all tasks of the tree is mapped to that root, and
/// cgroups inside it keep their place relative to it. A root for every hierarchy is not applied to hierarchies in which a
/// task was in the top cgroup, unless that is so in all of them.
struct CgroupMapping {
    private static let top = [UInt8(ascii: "/")]
    private var common: [String: [UInt8]] = [:]
    private let roots: [CgroupRoot]

    init(_ places: [CgroupPlace], roots: [CgroupRoot]) {
        for place in places {
            common[place.hierarchy] = common[place.hierarchy].map { Self.ancestor($0, place.path) } ?? place.path
        }
        self.roots = roots
    }

    func mapped(_ place: CgroupPlace) -> CgroupPlace {
        guard let common = common[place.hierarchy], let root = root(of: place.hierarchy) else { return place }
        let rest = common == Self.top ? place.path : Array(place.path.dropFirst(common.count))
        let path = rest == Self.top || rest.isEmpty ? root : (root == Self.top ? [] : root) + rest
        return CgroupPlace(hierarchy: place.hierarchy, path: path)
    }

    private func root(of hierarchy: String) -> [UInt8]? {
        if let own = roots.last(where: { $0.hierarchy == hierarchy }) { return own.path }
        guard let all = roots.last(where: { $0.hierarchy == nil }) else { return nil }
        return common[hierarchy] != Self.top || common.values.allSatisfy { $0 == Self.top } ? all.path : nil
    }

    /// The deepest cgroup that both are in or below.
    static func ancestor(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] {
        let pairs = zip(first.split(separator: top[0]), second.split(separator: top[0]))
        return top + pairs.prefix { $0 == $1 }.map { $0.0 }.joined(separator: top)
    }
}
