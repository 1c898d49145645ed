/// Who creates whom, in which order, so that every process of a tree gets its old parent, session and group.
///
/// The idea, and the words *creator*, *ghost* and *placeholder*, are those of DumpForest and MakeForest (Laadan
/// and Nieh, USENIX ATC 2007). What the kernel allows:
///
/// - A session is entered by `setsid` or by birth. `SessionPlan` says in which session each is born.
/// - A group can be joined by whoever is in its session, as long as somebody is in it. `GroupPlan`.
/// - What processes share (`CLONE_VM` and the like) they share by birth: `SharingPlan`.
/// - A parent is the creator, the creator's parent (`CLONE_PARENT`), or, once that has died, the nearest
///   *subreaper* above (`PR_SET_CHILD_SUBREAPER`).
///
/// Two kinds of tasks exist during the restart only:
///
/// - A **ghost** has the number of a dead leader whose session or group lives on. It makes that, and ends when
///   everybody is in it.
/// - A **placeholder** has a number that nobody needs. In its session it creates those who belong below somebody
///   further up, and dies at a chosen moment: when that one, and nobody between, is a subreaper.
///
/// The order of actions is the same everywhere, which is why nobody waits for ever: everything is created without
/// waiting for anybody; then groups are made, which waits for nobody; then they are joined, which waits for their
/// making; then placeholders die, those of the lowest adopters first; then ghosts.
///
/// In which pid namespace a task is born is a matter of its creator: it makes a new one, or enters one while it
/// creates, or has its own. An orphan goes to nobody outside of its dead parent's namespace. A process sees no
/// group or session whose leader is in a namespace above its own: in such it has to be born, so its creator joins
/// the group before it creates.
///
/// Pure: numbers in, decisions out.
///
/// - Source: setsid(2), setpgid(2), clone(2), PR_SET_CHILD_SUBREAPER(2const); `forget_original_parent` in
///   kernel/exit.c.
package struct CreationPlan: Sendable {
    /// What the plan needs to know of one process.
    package struct Member: Sendable, Equatable {
        package var pid: UInt32
        package var parent: UInt32
        package var session: UInt32
        package var group: UInt32
        package var isZombie: Bool
        /// What its parent gets at its end: SIGCHLD, but for children made by a bare `clone`.
        package var exitSignal: UInt32
        /// What it shares with others; nothing if it is a zombie.
        package var objects: CloneObjectIDs
        /// Its pid namespace, and inner numbers: see `PidNamespaces`. Of a group or session that is not seen
        /// in a namespace the number is 0.
        package var namespace: Int
        package var innerPids: [UInt32]
        package var innerSessions: [UInt32]
        package var innerGroups: [UInt32]

        package init(
            pid: UInt32, parent: UInt32, session: UInt32, group: UInt32, isZombie: Bool = false,
            exitSignal: UInt32 = CreationPlan.childSignal, objects: CloneObjectIDs = CloneObjectIDs(), namespace: Int = 0,
            inner: (pids: [UInt32], sessions: [UInt32], groups: [UInt32]) = ([], [], [])
        ) {
            self.pid = pid
            self.parent = parent
            self.session = session
            self.group = group
            self.isZombie = isZombie
            self.exitSignal = exitSignal
            self.objects = objects
            self.namespace = namespace
            (innerPids, innerSessions, innerGroups) = inner
        }

        package var leadsSession: Bool { session == pid }
        /// Whether its pid namespace has a number for its process group.
        var seesGroup: Bool { innerGroups.last != 0 }
    }

    package static let childSignal: UInt32 = 17

    package enum Role: Sendable, Equatable { case member, ghost, placeholder }

    /// One thing that a task does. Numbers are pids; a group is named by its number.
    package enum Action: Sendable, Equatable {
        case create(UInt32)
        /// As a child of the own parent.
        case createSibling(UInt32)
        case setsid
        /// Have children in this pid namespace, once it exists, until the same is said of the own one.
        case enterNamespace(Int)
        /// `setpgid(0, 0)`, unless it leads by `setsid` already; members may come.
        case leadGroup
        /// `setpgid(0, group)` once it exists.
        case joinGroup(UInt32)
        /// Until everybody who joins this group has done so.
        case awaitMembers(of: UInt32)
        /// Be a subreaper while placeholders below die.
        case adopt(Adoption)
        /// Of a placeholder: until this task adopts.
        case awaitAdopter(UInt32)
        /// Wait for the end of a child that was planned to end.
        case reap(UInt32)
        /// Tell this task that a placeholder which died for it has been reaped.
        case reportAdoption(to: UInt32)
        /// `unshare`: these, which it had at birth or handed on, are not its own in the end.
        case unshare(CloneObjectIDs)
        /// Have a disk context, so that it can be shared.
        case makeDiskContext
    }

    /// When a task adopts, and until when.
    package struct Adoption: Sendable, Equatable {
        /// Adopters further down that have to be done with it before.
        package var inner = 0
        package var placeholders = 0
        /// The next adopter further up.
        package var outer: UInt32?

        package init(inner: Int = 0, placeholders: Int = 0, outer: UInt32? = nil) {
            self.inner = inner
            self.placeholders = placeholders
            self.outer = outer
        }
    }

    package struct Task: Sendable, Equatable {
        package var pid: UInt32
        package var role: Role
        /// Nil: the root, which the tool creates.
        package var creator: UInt32?
        package var actions: [Action] = []
        /// What it is born with in common with its creator.
        package var sharesAtBirth: CloneObjects = []
        /// Of a task that ends: the objects of others that it has when it has created everybody.
        package var carriesToItsEnd = CloneObjectIDs()
        /// For people: what a ghost or placeholder is there for.
        package var purpose = ""
        /// Its pid namespace, and its numbers from that of the root inwards.
        package var namespace = 0
        package var numbers: [UInt32]

        init(pid: UInt32, role: Role, purpose: String, namespace: Int, inner: [UInt32]) {
            self.pid = pid
            self.role = role
            self.purpose = purpose
            self.namespace = namespace
            numbers = [pid] + inner
        }
    }

    /// A tree that this plan cannot rebuild, and why.
    package struct Finding: Error, Sendable, Equatable {
        package var pid: UInt32
        package var reason: String

        package init(pid: UInt32, reason: String) {
            self.pid = pid
            self.reason = reason
        }
    }

    /// The members in their order, then ghosts and placeholders.
    package internal(set) var tasks: [Task] = []
    package internal(set) var findings: [Finding] = []
    /// How many processes join each group by `setpgid`.
    package internal(set) var joiners: [UInt32: Int] = [:]
    /// Groups that a ghost or placeholder keeps alive until everybody has joined.
    package internal(set) var heldGroups: Set<UInt32> = []
    package private(set) var namespaces = PidNamespaces()
    private var position: [UInt32: Int] = [:]
    private var ancestry = Ancestry(parents: [])

    /// - Parameters:
    ///   - members: the root first, parents before their children, siblings in the order of their start.
    ///   - namespaces: the pid namespaces that members live in, with all numbers that are taken there.
    ///   - outsideSession, outsideGroup: numbers that belong to somebody outside of the tree, 0: none.
    ///   - spare: numbers that placeholders may get; those that the tree needs itself are left out.
    package init(
        _ members: [Member], in namespaces: PidNamespaces = PidNamespaces(), outsideSession: UInt32, outsideGroup: UInt32,
        spare: some Sequence<UInt32> = (2...4_194_303).lazy.reversed()
    ) {
        guard !members.isEmpty else { return }
        var namespaces = namespaces
        for member in members {
            for inner in [member.innerPids, member.innerSessions, member.innerGroups] { namespaces.note(inner, in: member.namespace) }
        }
        let tree = MemberTree(members, in: namespaces, outsideSession: outsideSession, outsideGroup: outsideGroup)
        self.namespaces = namespaces
        checkMembers(tree)
        let sessions = SessionPlan(tree)
        let groups = GroupPlan(tree)
        findings += sessions.findings + groups.findings
        guard findings.isEmpty else {
            sortFindings()
            return
        }
        var builder = CreationBuilder(tree, sessions, groups, spare: spare)
        builder.build()
        findings += builder.findings
        tasks = builder.tasks
        joiners = builder.joiners
        heldGroups = groups.held
        position = builder.position
        ancestry = builder.ancestry
        if findings.isEmpty { findings += CreationOrder(self).findings }
        sortFindings()
    }

    /// The number of a member, ghost or placeholder in the pid namespace of another one: nil where it has none.
    package func number(of pid: UInt32, seenBy observer: UInt32) -> UInt32? {
        guard let observer = task(observer), let seen = task(pid) else { return nil }
        guard namespaces.isAt(observer.namespace, orAbove: seen.namespace) else { return nil }
        return seen.numbers[namespaces.depths[observer.namespace]]
    }

    /// Whether it is the init of its pid namespace.
    package func isInit(_ task: Task) -> Bool { namespaces.isInit(task.pid, of: task.namespace) }

    /// Pid namespaces that somebody enters.
    package var enteredNamespaces: Set<Int> {
        guard namespaces.areNested else { return [] }
        var entered: Set<Int> = []
        for task in tasks {
            for case .enterNamespace(let namespace) in task.actions where namespace != task.namespace { entered.insert(namespace) }
        }
        return entered
    }

    package func task(_ pid: UInt32) -> Task? { position[pid].map { tasks[$0] } }

    package var ghosts: [UInt32] { tasks.lazy.filter { $0.role == .ghost }.map(\.pid) }
    package var placeholderCount: Int { tasks.count { $0.role == .placeholder } }

    /// Whether `upper` is `lower` or one of those by whom it is created, directly or not.
    package func created(_ upper: UInt32, _ lower: UInt32) -> Bool {
        guard let upper = position[upper], let lower = position[lower] else { return false }
        return ancestry.isAt(upper, orAbove: lower)
    }

    private mutating func sortFindings() { findings.sort { ($0.pid, $0.reason) < ($1.pid, $1.reason) } }

    /// What no kernel has.
    private mutating func checkMembers(_ tree: MemberTree) {
        let count = Set(tree.members.map(\.pid)).count
        if count != tree.members.count { findings.append(Finding(pid: tree.members[0].pid, reason: "some number occurs twice")) }
        for (index, member) in tree.members.enumerated() {
            if index > 0 && tree.parents[index + 1] == 0 {
                findings.append(Finding(pid: member.pid, reason: "its parent \(member.parent) is not in the tree"))
            }
            if tree.members.indices.contains(tree.parents[index + 1] - 1), tree.members[tree.parents[index + 1] - 1].isZombie {
                findings.append(Finding(pid: member.pid, reason: "its parent \(member.parent) is dead"))
            }
            if !tree.ancestry.isReached(index + 1) {
                findings.append(Finding(pid: member.pid, reason: "descends from itself"))
            }
        }
    }
}
