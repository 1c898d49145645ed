/// The processes to create, as numbered nodes. Node 0 is the process outside of the tree that creates the root: the
/// root's parent, in the session `outsideSession`.
struct MemberTree: Sendable {
    typealias Member = CreationPlan.Member

    let members: [Member]
    let namespaces: PidNamespaces
    let outsideSession: UInt32
    let outsideGroup: UInt32
    /// By node; -1 for node 0.
    let parents: [Int]
    let ancestry: Ancestry
    private let nodes: [UInt32: Int]
    /// By session: the pid namespace of its leader and the leader's inner numbers, where a member in a nested pid
    /// namespace has a number for the session.
    private var sessionPlaces: [UInt32: (namespace: Int, inner: [UInt32])] = [:]

    /// - Parameter members: parents before their children. A member without a parent among them becomes a child of node 0.
    init(_ members: [Member], in namespaces: PidNamespaces, outsideSession: UInt32, outsideGroup: UInt32) {
        var nodes: [UInt32: Int] = [:]
        nodes.reserveCapacity(members.count)
        for (index, member) in members.enumerated() { nodes[member.pid] = index + 1 }
        var parents = [-1]
        for (index, member) in members.enumerated() {
            let parent = index == 0 ? 0 : nodes[member.parent] ?? 0
            parents.append(parent)
        }
        self.members = members
        self.namespaces = namespaces
        self.outsideSession = outsideSession
        self.outsideGroup = outsideGroup
        self.nodes = nodes
        self.parents = parents
        ancestry = Ancestry(parents: parents)
        for (index, member) in members.enumerated() where member.innerSessions.first ?? 0 != 0 {
            let place = place(ofDead: [index + 1]) { $0.innerSessions }
            if place.inner.count > sessionPlaces[member.session]?.inner.count ?? 0 { sessionPlaces[member.session] = place }
        }
    }

    /// All nodes but node 0.
    var all: ClosedRange<Int>? { members.isEmpty ? nil : 1...members.count }

    func node(of pid: UInt32) -> Int? { nodes[pid] }
    func pid(_ node: Int) -> UInt32 { node == 0 ? 0 : members[node - 1].pid }
    func session(_ node: Int) -> UInt32 { node == 0 ? outsideSession : members[node - 1].session }
    /// Its pid namespace.
    func namespace(_ node: Int) -> Int { node == 0 ? 0 : members[node - 1].namespace }
    func isInit(_ node: Int) -> Bool { node != 0 && namespaces.isInit(pid(node), of: namespace(node)) }
    /// Whether `parent` is the init of a pid namespace below that of `founder`: then it gets the orphans of the processes
    /// that `founder` creates in this namespace from outside.
    func adoptsFromOutside(_ parent: Int, _ founder: Int) -> Bool {
        isInit(parent) && namespaces.isAbove(namespace(founder), namespace(parent))
    }

    /// The pid namespace and inner numbers of a dead leader, as far as members of its session or group have a number for
    /// it in their own namespaces.
    func place(ofDead nodes: [Int], _ inner: (Member) -> [UInt32]) -> (namespace: Int, inner: [UInt32]) {
        var place = (namespace: 0, inner: [UInt32]())
        guard namespaces.areNested else { return place }
        for node in nodes {
            let seen = inner(members[node - 1]).prefix { $0 != 0 }
            if seen.count > place.inner.count { place = (namespaces.lineage(of: namespace(node))[seen.count - 1], Array(seen)) }
        }
        return place
    }

    /// The pid namespace and inner numbers of a session's leader, as the session's members see them.
    func place(ofSession session: UInt32) -> (namespace: Int, inner: [UInt32]) {
        sessionPlaces[session] ?? (namespace: 0, inner: [])
    }

    /// Whether a session has a number in the pid namespace of `observer`.
    func seesSession(_ session: UInt32, from observer: Int) -> Bool {
        namespaces.isAt(namespace(observer), orAbove: place(ofSession: session).namespace)
    }

    func leads(_ node: Int) -> Bool { node != 0 && members[node - 1].leadsSession }
}
