/// In which session each process has to be born, and how it gets there.
///
/// A session is entered by `setsid` or by birth, never otherwise. So a process that does not lead its session was
/// born in it, by somebody who was in it. Where its parent is in another session there are two ways in which
/// that came about:
///
/// - The parent leads its session now, and was born in the child's: the child is created before the
///   parent's `setsid`. Then the parent itself has to be born in that session, and the same question arises one
///   level up.
/// - The parent *adopted* it: somebody of the child's session, somewhere below the parent, created it, and
///   died. All who adopted from one session lie on one line above its founder, because orphans only ever move up.
///
/// A third way leads into a pid namespace: its init adopts orphans of whoever was created there by somebody
/// outside, in that one's session.
///
/// Where the founder lives (or is a zombie) its place tells which way it was. Where the founder is dead,
/// either way may do; adoption is taken unless the line does not come out even.
struct SessionPlan {
    typealias Finding = CreationPlan.Finding

    /// Children that get to their parents by way of somebody else of their session.
    struct Adoption {
        var session: UInt32
        /// Nil: a ghost founds the session, as a child of the deepest adopter.
        var founder: Int?
        /// The deepest adopter first.
        var adopters: [(parent: Int, children: [Int])]
    }

    /// Whom a session needs, with somebody of that session above them or not.
    private struct Need {
        var child: Int
        var isBelowMember: Bool
    }

    private let tree: MemberTree
    /// By node: the session to be born in; nil: any.
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
        // Where there is no choice first.
        for (session, needs) in fixed.sorted(by: { $0.key < $1.key }) {
            conclude(session, climb(session, needs))
        }
        let climbed = dead.sorted(by: { $0.key < $1.key }).map { ($0.key, climb($0.key, $0.value)) }
        for (session, needs) in climbed { conclude(session, line(session, needs)) }
        findings.sort { ($0.pid, $0.reason) < ($1.pid, $1.reason) }
    }

    // MARK: Needs

    /// Every child whose parent is in another session than it has to be born in.
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

    private func mayBeBorn(_ node: Int) -> Bool { tree.leads(node) && birth[node] == nil }

    private enum Way { case adopts, isBornThere, none }

    /// How this parent can have come by a child of that session.
    private func way(_ parent: Int, _ session: UInt32, _ need: Need) -> Way {
        let other: Way = mayBeBorn(parent) ? .isBornThere : .none
        if parent == 0 || session == tree.outsideSession { return other }
        if let founder = tree.node(of: session) {
            if tree.ancestry.isAbove(parent, founder) { return .adopts }
            return other == .none && tree.adoptsFromOutside(parent, founder) ? .adopts : other
        }
        // Below a member of the session its founder cannot be, nor in another pid namespace than the adopter.
        return need.isBelowMember || !tree.seesSession(session, from: parent) ? other : .adopts
    }

    /// Follows needs upwards until a parent is in the session or adopts. Gives those who are adopted.
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

    /// Brings those who adopt from a dead session into one line, with nobody of the session above any of them.
    /// Who stands aside is born in the session instead.
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

    /// The adopter under which the ghost comes: the deepest of those that have no choice, or deeper on its line.
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
