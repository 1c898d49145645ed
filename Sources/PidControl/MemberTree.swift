/// The processes to be as numbered nodes. Node 0 is whoever creates the first of them: the parent of the root,
/// in the session that lies outside of the tree.
struct MemberTree: Sendable {
    typealias Member = CreationPlan.Member

    let members: [Member]
    let outsideSession: UInt32
    let outsideGroup: UInt32
    /// By node; -1 for node 0.
    let parents: [Int]
    let ancestry: Ancestry
    private let nodes: [UInt32: Int]

    /// - Parameter members: parents before their children. Whose parent is not among them hangs below node 0.
    init(_ members: [Member], outsideSession: UInt32, outsideGroup: UInt32) {
        var nodes: [UInt32: Int] = [:]
        nodes.reserveCapacity(members.count)
        for (index, member) in members.enumerated() { nodes[member.pid] = index + 1 }
        var parents = [-1]
        for (index, member) in members.enumerated() {
            let parent = index == 0 ? 0 : nodes[member.parent] ?? 0
            parents.append(parent)
        }
        self.members = members
        self.outsideSession = outsideSession
        self.outsideGroup = outsideGroup
        self.nodes = nodes
        self.parents = parents
        ancestry = Ancestry(parents: parents)
    }

    /// All nodes but node 0.
    var all: ClosedRange<Int>? { members.isEmpty ? nil : 1...members.count }

    func node(of pid: UInt32) -> Int? { nodes[pid] }
    func pid(_ node: Int) -> UInt32 { node == 0 ? 0 : members[node - 1].pid }
    func session(_ node: Int) -> UInt32 { node == 0 ? outsideSession : members[node - 1].session }
    func leads(_ node: Int) -> Bool { node != 0 && members[node - 1].leadsSession }
}
