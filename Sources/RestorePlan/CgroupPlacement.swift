package import CheckpointImage

/// The user's options for control groups.
package struct CgroupOptions: Sendable {
    /// The tree stays in the cgroups of crrestart.
    package var isIgnored = false
    /// A cgroup that has been removed is a finding. Otherwise its tasks stay in the cgroup of crrestart, which is told: a batch
    /// system removes the cgroup of a job that has ended, a session manager that of a session.
    package var isStrict = false
    package var roots: [CgroupRoot] = []

    package init() {}
}

/// What a restart needs to know of this host's control groups.
package struct CgroupFacts: Sendable {
    package enum State: Sendable, Equatable {
        case usable
        case missing
        /// This host has no such hierarchy.
        case noHierarchy
        /// It is outside of the part of the hierarchy that is mounted here, or outside of the cgroup namespace of crrestart.
        case hidden
        case frozen
        /// The kernel refuses to move a task there; the name of the errno.
        case refused(String)
        /// Why it takes no processes.
        case unfit(String)
    }

    /// The cgroups of crrestart: path by hierarchy. The processes that it creates are born there.
    package var own: [String: [UInt8]] = [:]
    /// The state of each place that ``CgroupPlacement/wanted(_:_:)`` names, without those that crrestart is in.
    package var states: [CgroupPlace: State] = [:]

    package init() {}
}

/// Decides which control groups each task gets. The monitor moves a task there when it is born, before its first
/// step, so the memory that it loads is charged to the right cgroup.
package struct CgroupPlacement: Sendable {
    /// By set of the image, counted from 0: path by hierarchy, of those that this host has.
    package private(set) var sets: [[String: [UInt8]]] = []
    private let own: [String: [UInt8]]
    private let isIgnored: Bool
    /// What has been removed, and the cgroup of crrestart that takes its place; each once.
    private var removed: [(place: CgroupPlace, instead: CgroupPlace)] = []

    /// By set of the image: the places on this host that its cgroups correspond to.
    package static func wanted(_ image: CheckpointImage, _ options: CgroupOptions) -> [[CgroupPlace]] {
        if options.isIgnored { return [] }
        let sets = image.header.cgroupSets.map { set in
            set.cgroups.map { CgroupPlace(hierarchy: $0.hierarchy, path: $0.path.asBytes) }
        }
        let mapping = CgroupMapping(sets.flatMap { $0 }, roots: options.roots)
        return sets.map { $0.map(mapping.mapped) }
    }

    /// - Parameter find: called for every place that the tree cannot have.
    init(
        _ image: CheckpointImage, _ facts: CgroupFacts, _ options: CgroupOptions,
        _ find: (String, String, String) -> Void
    ) {
        own = facts.own
        isIgnored = options.isIgnored
        for set in Self.wanted(image, options) {
            var paths: [String: [UInt8]] = [:]
            for place in set {
                let isOurs = own[place.hierarchy] == place.path
                let state = isOurs ? .usable : facts.states[place] ?? .noHierarchy
                // The top cgroup of a hierarchy limits and counts nothing, so nothing is lost without the hierarchy.
                if state == .noHierarchy && place.path == [UInt8(ascii: "/")] { continue }
                if state == .missing, !options.isStrict, options.roots.isEmpty, let path = own[place.hierarchy] {
                    paths[place.hierarchy] = path
                    if !removed.contains(where: { $0.place == place }) {
                        removed.append((place, CgroupPlace(hierarchy: place.hierarchy, path: path)))
                    }
                } else if let problem = Self.problem(state) {
                    find("cgroup \(place)", problem.reason, problem.help)
                } else {
                    paths[place.hierarchy] = place.path
                }
            }
            sets.append(paths)
        }
        for root in options.roots {
            guard let hierarchy = root.hierarchy, !options.isIgnored,
                !image.header.cgroupSets.contains(where: { $0.cgroups.contains { $0.hierarchy == hierarchy } })
            else { continue }
            find(
                "--cgroup-root \(CgroupPlace(hierarchy: hierarchy, path: root.path))",
                "the tree was in no cgroup of that hierarchy", "crimage info shows which it was in")
        }
    }

    /// What is different from the checkpoint, for the user.
    package var notices: [String] {
        removed.map { "cgroup \($0.place) has been removed: its tasks run in \($0.instead), with the limits of that (--cgroup strict refuses this)" }
    }

    /// The set of a task, counted from 0; nil: it stays in the cgroups that it is born in.
    package func set(of process: ImageProcess, _ thread: ImageThread?) -> Int? {
        if isIgnored { return nil }
        let number = thread.map(\.cgroupSet).flatMap { $0 == 0 ? nil : $0 } ?? process.cgroupSet
        return number == 0 || number > sets.count ? nil : Int(number) - 1
    }

    /// The moves of a task that is born in one set (nil: the cgroups of crrestart) and belongs to another.
    package func moves(from: Int?, to: Int) -> [CgroupPlace] {
        sets[to].compactMap { hierarchy, path in
            let current = from.flatMap { sets[$0][hierarchy] } ?? own[hierarchy]
            return current == path ? nil : CgroupPlace(hierarchy: hierarchy, path: path)
        }.sorted { $0.hierarchy < $1.hierarchy }
    }

    /// The deepest cgroup that both are in or below.
    package static func ancestor(_ first: [UInt8], _ second: [UInt8]) -> [UInt8] { CgroupMapping.ancestor(first, second) }

    private static func problem(_ state: CgroupFacts.State) -> (reason: String, help: String)? {
        let elsewhere = "--cgroup-root names another place, --cgroup ignore leaves the tree where crrestart is"
        switch state {
        case .usable: return nil
        case .missing: return ("does not exist here", "make it; " + elsewhere)
        case .noHierarchy: return ("this host has no such hierarchy", elsewhere)
        case .hidden: return ("cannot be seen from here (another cgroup namespace, or not mounted)", elsewhere)
        case .frozen: return ("is frozen: nothing could be loaded there", "thaw it; " + elsewhere)
        case .refused(let errno):
            return ("\(errno): tasks cannot be moved there", "be root, or have it delegated; " + elsewhere)
        case .unfit(let reason): return ("takes no processes: \(reason)", elsewhere)
        }
    }
}
