/// Decides which task creates which, and in which order, so that every process of a tree gets its old parent,
/// session and group.
///
/// The algorithm, and the words *creator*, *ghost* and *placeholder*, are those of DumpForest and MakeForest (Laadan
/// and Nieh, USENIX ATC 2007). What the kernel allows:
///
/// - A process gets into a session by `setsid` or by birth. `SessionPlan` says in which session each one is born.
/// - A process can join a group of its session as long as the group has a member. See `GroupPlan`.
/// - Processes share memory, descriptors and the like (`CLONE_VM`, ...) from birth on only. See `SharingPlan`.
/// - The parent of a process is its creator, or the creator's parent (`CLONE_PARENT`). When the parent dies it is
///   the nearest *subreaper* (`PR_SET_CHILD_SUBREAPER`) above.
///
/// Two kinds of tasks exist during the restart only:
///
/// - A **ghost** has the number of a dead leader whose session or group still has members. It makes the session or
///   group, and ends when all its members have joined.
/// - A **placeholder** has a number that the tree does not use. It creates children in its own session whose parent,
///   the *adopter*, is an ancestor of the placeholder in another session. When it dies its children become the
///   adopter's, because at that moment the adopter is a subreaper and no process between the two is.
///
/// All tasks do their actions in the same order, so no two of them wait for each other: first all tasks are created,
/// without waiting; then groups are made, without waiting; then groups are joined, which waits until they are made;
/// then placeholders die, those of the lowest adopters first; then ghosts.
///
/// The creator decides in which pid namespace a task is born: in the creator's own, in a new one, or in one that the
/// creator enters for this creation (`setns`). An orphan gets a new parent in its dead parent's pid namespace. A
/// process cannot join a group or session whose leader is in a pid namespace above its own, because it has no number
/// for it: it has to be born in it, so its creator joins the group before it creates the process.
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
        /// The signal that its parent gets when it ends: SIGCHLD, or what the flags of `clone` said.
        package var exitSignal: UInt32
        /// What it shares with other processes; nothing if it is a zombie.
        package var objects: CloneObjectIDs
        /// Its pid namespace, and its inner numbers: see `PidNamespaces`. A group or session that has no number in a
        /// namespace is 0 there.
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
        /// Create a child of the own parent (`CLONE_PARENT`).
        case createSibling(UInt32)
        case setsid
        /// Wait until this pid namespace exists, and create all further children in it, until another `enterNamespace`.
        case enterNamespace(Int)
        /// `setpgid(0, 0)`, unless `setsid` made it the leader already; then say that members can join.
        case leadGroup
        /// Wait until the group exists, then `setpgid(0, group)`.
        case joinGroup(UInt32)
        /// Wait until all processes that join this group by `setpgid` have done so.
        case awaitMembers(of: UInt32)
        /// Be a subreaper while placeholders below die.
        case adopt(Adoption)
        /// Of a placeholder: wait until this task is a subreaper.
        case awaitAdopter(UInt32)
        /// Wait for the end of a ghost or placeholder that is a child.
        case reap(UInt32)
        /// Tell this task that a placeholder whose children it adopted has been reaped.
        case reportAdoption(to: UInt32)
        /// `unshare`: give up these objects, which it had for its children only.
        case unshare(CloneObjectIDs)
        /// Make the kernel give it an io context, so that children can share it.
        case makeDiskContext
    }

    /// What a task waits for before it becomes a subreaper, and before it stops being one.
    package struct Adoption: Sendable, Equatable {
        /// The number of adopters directly below that have to stop being subreapers before this one becomes one.
        package var inner = 0
        /// The number of placeholders that have to be reaped before it stops.
        package var placeholders = 0
        /// The next adopter above.
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
        /// What it shares with its creator at its creation.
        package var sharesAtBirth: CloneObjects = []
        /// Of a ghost, a placeholder or a zombie: the objects of other tasks that it still has after its creations.
        package var carriesToItsEnd = CloneObjectIDs()
        /// What a ghost or placeholder is needed for, in words for messages.
        package var purpose = ""
        /// Its pid namespace, and its number in each namespace from that of the root to its own.
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

    /// Why the tree cannot be rebuilt: `reason` is a sentence whose subject is the process `pid`.
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
    /// Groups that a ghost or placeholder keeps in existence until all their members have joined.
    package internal(set) var heldGroups: Set<UInt32> = []
    package private(set) var namespaces = PidNamespaces()
    private var position: [UInt32: Int] = [:]
    private var ancestry = Ancestry(parents: [])

    /// - Parameters:
    ///   - members: the root first, parents before their children, siblings in the order of their start.
    ///   - namespaces: the pid namespaces that members live in, with all numbers that are taken there.
    ///   - outsideSession, outsideGroup: the session and group in which the root is created, 0: the root leads its own.
    ///   - spare: numbers that placeholders may get; those that the tree itself needs are passed over.
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

    /// Pid namespaces that a task enters to create children in them.
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

    /// Whether `upper` is `lower` itself, its creator, or a creator further above.
    package func created(_ upper: UInt32, _ lower: UInt32) -> Bool {
        guard let upper = position[upper], let lower = position[lower] else { return false }
        return ancestry.isAt(upper, orAbove: lower)
    }

    private mutating func sortFindings() { findings.sort { ($0.pid, $0.reason) < ($1.pid, $1.reason) } }

    /// Refuses trees that no kernel can have: a number twice, a member without a living parent, a circle of parents.
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
