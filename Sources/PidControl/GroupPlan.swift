/// Who makes each process group, and who keeps it alive until its members are there.
///
/// A group is made by the process whose number it has, and exists as long as somebody is in it. That process
/// may be gone (a ghost makes the group), may lead its session (`setsid` makes both), or may have moved
/// to another group since (it makes the group, and leaves somebody behind).
struct GroupPlan {
    typealias Finding = CreationPlan.Finding

    /// A dead leader's group.
    struct Ghost {
        var group: UInt32
        /// The member that makes the ghost; nil: none is in its pid namespace.
        var maker: Int?
        /// Some member.
        var member: Int
        var namespace: Int
        var inner: [UInt32]
    }

    /// Groups of dead leaders; those whose ghost founds the session as well
    /// are not among them.
    private(set) var ghosts: [Ghost] = []
    /// Nodes that make a group and go to another.
    private(set) var leavers: Set<Int> = []
    /// Groups that would be empty for a while, and so gone, without a ghost or placeholder.
    private(set) var held: Set<UInt32> = []
    private(set) var findings: [Finding] = []

    init(_ tree: MemberTree) {
        guard let all = tree.all else { return }
        var users: [UInt32: [Int]] = [:]
        for node in all {
            let member = tree.members[node - 1]
            if member.leadsSession && member.group != member.pid {
                findings.append(Finding(pid: member.pid, reason: "leads session \(member.session) but is in process group \(member.group)"))
            }
            if tree.node(of: member.group) == nil && member.group == tree.outsideGroup { continue }
            users[member.group, default: []].append(node)
        }
        for (group, members) in users.sorted(by: { $0.key < $1.key }) {
            let session = tree.session(members[0])
            for node in members where tree.session(node) != session {
                findings.append(
                    Finding(pid: tree.pid(node), reason: "is in process group \(group), which is in session \(session), not its own"))
            }
            if let leader = tree.node(of: group) {
                if tree.session(leader) != session {
                    findings.append(
                        Finding(pid: group, reason: "is in another session than the process group of its number"))
                } else if tree.members[leader - 1].group != group {
                    leave(group, leader, tree)
                }
                continue
            }
            held.insert(group)
            if session == group && session != tree.outsideSession { continue }
            // Who lives can reap it without haste.
            let place = tree.place(ofDead: members) { $0.innerGroups }
            let makers = members.filter { tree.namespace($0) == place.namespace }
            let maker = makers.first { !tree.members[$0 - 1].isZombie } ?? makers.first
            ghosts.append(
                Ghost(group: group, maker: maker, member: members[0], namespace: place.namespace, inner: place.inner))
        }
    }

    /// The leader of a group has gone to another one. It can do so again, unless that has no number here.
    private mutating func leave(_ group: UInt32, _ leader: Int, _ tree: MemberTree) {
        let other = tree.members[leader - 1].group
        if other == tree.outsideGroup && tree.node(of: other) == nil {
            findings.append(
                Finding(pid: group, reason: "made process group \(group) and went back to \(other), which lies outside of the tree"))
            return
        }
        leavers.insert(leader)
        held.insert(group)
    }
}
