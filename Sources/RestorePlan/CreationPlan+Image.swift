package import CheckpointImage
internal import PidControl

extension CreationPlan {
    /// - Parameter spare: numbers for placeholders; none of them is the number of a thread of the image.
    init(_ image: CheckpointImage, spare: some Sequence<UInt32>) {
        let members = image.processes.map {
            Member(
                pid: $0.pid, parent: $0.parent, session: $0.session, group: $0.group, isZombie: $0.state == .zombie,
                exitSignal: $0.exitSignal, objects: CloneObjectIDs(image.sharedNumbers(of: $0)), namespace: Int(image.pidNamespace(of: $0)),
                inner: ($0.innerPids, $0.innerSessions, $0.innerGroups))
        }
        var namespaces = PidNamespaces(
            rootIsInit: image.rootIsNamespaceInit,
            nested: image.nestedPidNamespaces.lazy.map { (parent: $0.parent ?? 0, initPid: $0.initPid) })
        for thread in image.threads where !thread.innerTids.isEmpty {
            namespaces.note(thread.innerTids, in: Int(image.process(thread.process).map { image.pidNamespace(of: $0) } ?? 0))
        }
        self.init(
            members, in: namespaces, outsideSession: image.header.outsideSession, outsideGroup: image.header.outsideGroup, spare: spare)
    }
}

/// The numbers that a restart needs besides those of the tasks. They are needed before it is planned, to find free ones.
package struct HelperNumbers: Sendable {
    /// The numbers of dead leaders whose session or group still has members.
    package let ghosts: [UInt32]
    /// How many more numbers are needed: any that the tree does not have.
    package let placeholders: Int

    package init(of image: CheckpointImage) {
        let used = Set(image.threads.map(\.tid))
        let plan = CreationPlan(image, spare: (2...4_194_303).lazy.filter { !used.contains($0) })
        ghosts = plan.ghosts
        placeholders = plan.placeholderCount
    }
}
