/// Decides in which session each process has to be born, and which process of that session can create it.
///
/// A process gets into a session by `setsid` or by birth, in no other way. So a process that does not lead its session
/// was born in it, of a creator that was in it. If its parent is in another session, one of these happened:
///
/// - The parent leads its own session now, and was in the child's session before: the child is created before
///   the parent's `setsid`. Then the parent itself has to be born in the child's session, and the same question
///   arises for the parent's parent.
/// - The parent *adopted* the child: a descendant of the parent, in the child's session, created it and died. All
///   adopters of one session are ancestors of its founder, because orphans only move to ancestors of their dead parent.
/// - The parent is the init of a pid namespace: it adopted the child from a process that was created in the namespace
///   by one outside of it. The child is in the session of that outside process.
///
/// If the founder is in the tree (a zombie, too), its place in the tree says which of these it was. If it is not, the
/// first and the second are both possible: adoption is taken, unless the adopters are not on one line of ancestors.
struct SessionPlan {
    typealias Finding = CreationPlan.Finding

    /// Children of one session that another process of it creates, and that are then adopted by their parents.
    struct Adoption {
        var session: UInt32
        /// Nil: a ghost founds the session, as a child of the deepest adopter.
        var founder: Int?
        /// The deepest adopter first.
        var adopters: [(parent: Int, children: [Int])]
    }

    /// A child that has to be born in another session than its parent's.
    private struct Need {
        var child: Int
        /// Whether an ancestor of the child is in the session in which the child has to be born.
        var isBelowMember: Bool
    }

    private let tree: MemberTree
    /// By node: the session in which it has to be born; nil: any.
    private(set) var birth: [UInt32?]
    private(set) var adoptions: [Adoption] = []
    private(set) var findings: [Finding] = []

    init(_ tree: MemberTree) {
        self.tree = tree
        birth = [nil]
        guard let all = tree.all else { return }
        for node in all { birth.append(tree.leads(node) ? nil : tree.session(node)) }
        var fixed: [UInt32: [Need]] = [:]
        var dead: [UInt32: [Need]] = [:]
        for need in needs() {
            guard let session = birth[need.child] else { continue }
            if session == tree.outsideSession || tree.node(of: session) != nil {
                fixed[session, default: []].append(need)
            } else {
                dead[session, default: []].append(need)
            }
        }
        // Sessions whose founder is in the tree or outside of it come first: there is only one way for each of them.
        for (session, needs) in fixed.sorted(by: { $0.key < $1.key }) {
            conclude(session, climb(session, needs))
        }
        let climbed = dead.sorted(by: { $0.key < $1.key }).map { ($0.key, climb($0.key, $0.value)) }
        for (session, needs) in climbed { conclude(session, line(session, needs)) }
        findings.sort { ($0.pid, $0.reason) < ($1.pid, $1.reason) }
    }

    // MARK: Needs

    /// Finds every child that has to be born in another session than its parent's.
    private func needs() -> [Need] {
        var needs: [Need] = []
        var onPath: [UInt32: Int] = [:]
        var path: [Int] = []
        for node in tree.ancestry.order where node != 0 {
            while let last = path.last, !tree.ancestry.isAbove(last, node) {
                onPath[tree.session(last), default: 1] -= 1
                path.removeLast()
            }
            if let session = birth[node], session != tree.session(tree.parents[node]) {
                needs.append(Need(child: node, isBelowMember: onPath[session, default: 0] > 0))
            }
            onPath[tree.session(node), default: 0] += 1
            path.append(node)
        }
        return needs
    }

    private func isIn(_ node: Int, _ session: UInt32) -> Bool {
        tree.session(node) == session || birth[node] == session
    }

    /// Whether it is undecided in which session the node is born. It is at first for session leaders; all other processes
    /// are born in the session that they are in.
    private func mayBeBorn(_ node: Int) -> Bool { tree.leads(node) && birth[node] == nil }

    private enum Way { case adopts, isBornThere, none }

    /// How this parent can have got a child of that session: it adopted it, or was born in the session itself.
    private func way(_ parent: Int, _ session: UInt32, _ need: Need) -> Way {
        let other: Way = mayBeBorn(parent) ? .isBornThere : .none
        if parent == 0 || session == tree.outsideSession { return other }
        if let founder = tree.node(of: session) {
            if tree.ancestry.isAbove(parent, founder) { return .adopts }
            return other == .none && tree.adoptsFromOutside(parent, founder) ? .adopts : other
        }
        // The dead founder was above all members of its session, and in the adopter's pid namespace or one inside it.
        return need.isBelowMember || !tree.seesSession(session, from: parent) ? other : .adopts
    }

    /// Follows each need to the parent, and on to the parent's parent where the parent has to be born in the session too,
    /// until a parent is in the session or adopts.
    ///
    /// - Returns: the needs of children that are adopted.
    private mutating func climb(_ session: UInt32, _ needs: [Need]) -> [Need] {
        var waiting = needs
        var adopted: [Need] = []
        while let need = waiting.popLast() {
            let parent = tree.parents[need.child]
            if isIn(parent, session) { continue }
            switch way(parent, session, need) {
            case .adopts: adopted.append(need)
            case .isBornThere:
                birth[parent] = session
                waiting.append(Need(child: parent, isBelowMember: need.isBelowMember))
            case .none: refuse(need.child, session)
            }
        }
        return adopted
    }

    private mutating func refuse(_ child: Int, _ session: UInt32) {
        let parent = tree.parents[child]
        findings.append(
            Finding(
                pid: tree.pid(child),
                reason: "has to be born in session \(session), but its parent \(tree.pid(parent)) never was in it nor above its leader"))
    }

    // MARK: The line above a ghost

    /// Makes the adopters of a session with a dead founder one line of ancestors, with no process of the session above
    /// any of them: all of them have to be above the ghost. An adopter for which that is not so is born in the session
    /// instead, if it can be.
    ///
    /// - Returns: the needs of children that are still adopted.
    private mutating func line(_ session: UInt32, _ start: [Need]) -> [Need] {
        let ancestry = tree.ancestry
        var adopted = start
        while true {
            adopted.removeAll { isIn(tree.parents[$0.child], session) }
            let parents = Set(adopted.map { tree.parents[$0.child] })
            guard let deepest = pivot(of: parents) else { return adopted }
            var aside = parents.filter { !ancestry.isAt($0, orAbove: deepest) }
            for need in adopted where ancestry.isAt(need.child, orAbove: deepest) {
                aside.formUnion(parents.filter { ancestry.isAt(need.child, orAbove: $0) })
            }
            if aside.isEmpty { return adopted }
            var lifted: [Need] = []
            for parent in aside.sorted() where mayBeBorn(parent) {
                birth[parent] = session
                lifted.append(Need(child: parent, isBelowMember: false))
            }
            if lifted.isEmpty {
                for need in adopted where aside.contains(tree.parents[need.child]) { refuse(need.child, session) }
                return adopted.filter { !aside.contains(tree.parents[$0.child]) }
            }
            adopted += climb(session, lifted)
        }
    }

    /// The adopter that becomes the ghost's parent: the deepest one that can only adopt, or a deeper adopter below it.
    private func pivot(of parents: Set<Int>) -> Int? {
        func isDeeper(_ first: Int, _ second: Int) -> Bool {
            (tree.ancestry.depth[first], second) < (tree.ancestry.depth[second], first)
        }
        guard let fixed = parents.filter({ !mayBeBorn($0) }).max(by: isDeeper) else { return parents.max(by: isDeeper) }
        return parents.filter { tree.ancestry.isAt(fixed, orAbove: $0) }.max(by: isDeeper)
    }

    private mutating func conclude(_ session: UInt32, _ adopted: [Need]) {
        let children = Dictionary(grouping: adopted.map(\.child), by: { tree.parents[$0] })
        guard !children.isEmpty else { return }
        let adopters = children.sorted { tree.ancestry.depth[$0.key] > tree.ancestry.depth[$1.key] }
        adoptions.append(
            Adoption(
                session: session, founder: tree.node(of: session),
                adopters: adopters.map { ($0.key, $0.value.sorted()) }))
    }
}
