/// Decides which process makes each process group, and which one keeps it in existence until its members have joined.
///
/// A group is made by the process that has its number, and exists as long as it has a member. If that process is dead,
/// a ghost makes the group. If it leads its session, `setsid` makes both. If it is in another group now, it makes its
/// own group first, creates a placeholder in it that stays until the members have joined, and goes to the other one.
struct GroupPlan {
    typealias Finding = CreationPlan.Finding

    /// A group whose leader is dead.
    struct Ghost {
        var group: UInt32
        /// The member that creates the ghost; nil: no member is in the ghost's pid namespace.
        var maker: Int?
        /// Any member of the group.
        var member: Int
        var namespace: Int
        var inner: [UInt32]
    }

    /// Groups of dead leaders, without those whose ghost founds the session of the same number as well.
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
            // A living member can reap the ghost at any time; a zombie would have to do so before its own end.
            let place = tree.place(ofDead: members) { $0.innerGroups }
            let makers = members.filter { tree.namespace($0) == place.namespace }
            let maker = makers.first { !tree.members[$0 - 1].isZombie } ?? makers.first
            ghosts.append(
                Ghost(group: group, maker: maker, member: members[0], namespace: place.namespace, inner: place.inner))
        }
    }

    /// Notes a leader that has gone to another group. It does so again, unless the other group lies outside of the tree:
    /// then the group has no known number at the restart.
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
