internal import CheckpointImage
internal import Kernel
internal import RestorePlan

extension HostFacts {
    /// Asks about the places where the tree's tasks belong, as far as crrestart is not in them itself.
    mutating func probeCgroups(of image: CheckpointImage, options: CgroupOptions) {
        let wanted = Set(CgroupPlacement.wanted(image, options).flatMap { $0 })
        guard !wanted.isEmpty, let text = try? cgroupText(of: Processes.ownPid),
            let own = try? CgroupMembership.parse(text), let mounts = try? CgroupMount.all()
        else { return }
        cgroups.own = Dictionary(own.map { ($0.hierarchy, $0.pathBytes) }, uniquingKeysWith: { first, _ in first })
        for place in wanted where cgroups.own[place.hierarchy] != place.path {
            cgroups.states[place] = Self.state(of: place, mounts, own: cgroups.own[place.hierarchy])
        }
    }

    private static func state(of place: CgroupPlace, _ mounts: [CgroupMount], own: [UInt8]?) -> CgroupFacts.State {
        guard let mount = mounts.first(where: { $0.holds(place.hierarchy) }) else { return .noHierarchy }
        if place.path.split(separator: UInt8(ascii: "/")).contains(where: { $0.elementsEqual("..".utf8) }) { return .hidden }
        let membership = CgroupMembership(hierarchy: place.hierarchy, pathBytes: place.path)
        guard let directory = CgroupDirectory(membership, among: mounts) else { return .hidden }
        if !directory.exists { return .missing }
        if directory.isFrozen(top: mount.mountPoint) { return .frozen }
        if let reason = directory.takesNoProcesses() { return .unfit(reason) }
        if let refusal = directory.refusal() { return .refused(refusal.name) }
        // cgroup v2 asks for the right to write to the deepest cgroup above both, too.
        if place.hierarchy.isEmpty, let own {
            let above = CgroupMembership(hierarchy: "", pathBytes: CgroupPlacement.ancestor(own, place.path))
            if let refusal = CgroupDirectory(above, among: mounts)?.refusal() { return .refused(refusal.name) }
        }
        return .usable
    }
}
