/// Who creates whom, in which order, so that every process of a tree gets its old session and group.
///
/// The idea is DumpForest / MakeForest (Laadan and Nieh, USENIX ATC 2007): a session can only be
/// entered by being born in it or by `setsid`, so a child that is in another session than its parent
/// is now, and does not lead it, must have been forked before the parent called `setsid`; it has to be
/// created so again. A group can be joined later, as long as it exists.
///
/// Pure: numbers in, decisions out.
package struct CreationPlan: Sendable {
    /// What the plan needs to know of one process.
    package struct Member: Sendable, Equatable {
        package var pid: UInt32
        package var parent: UInt32
        package var session: UInt32
        package var group: UInt32
        package var isZombie: Bool

        package init(pid: UInt32, parent: UInt32, session: UInt32, group: UInt32, isZombie: Bool = false) {
            self.pid = pid
            self.parent = parent
            self.session = session
            self.group = group
            self.isZombie = isZombie
        }
    }

    package enum Group: Sendable, Equatable {
        /// Stays in the group it is born in.
        case inherited
        /// `setpgid(0, 0)`, or `setsid` where it leads its session, too.
        case leads
        /// `setpgid(0, group)` once the group exists.
        case joins(UInt32)
    }

    /// What one process does, in this order.
    package struct Actions: Sendable, Equatable {
        package var createBeforeSession: [UInt32] = []
        package var callsSetsid = false
        package var createAfterSession: [UInt32] = []
        package var group: Group = .inherited
    }

    /// A tree that this plan cannot rebuild, and why.
    package struct Finding: Error, Sendable, Equatable {
        package var pid: UInt32
        package var reason: String
    }

    package private(set) var actions: [UInt32: Actions] = [:]
    package private(set) var findings: [Finding] = []
    /// How many processes make a group of their own.
    package private(set) var groupLeaders = 0

    /// - Parameters:
    ///   - members: parents before their children, siblings in the order of their start.
    ///   - outsideSession, outsideGroup: numbers that belong to somebody outside of the tree, 0: none.
    package init(_ members: [Member], outsideSession: UInt32, outsideGroup: UInt32) {
        let byPid = Dictionary(members.map { ($0.pid, $0) }, uniquingKeysWith: { first, _ in first })
        var children: [UInt32: [UInt32]] = [:]
        for member in members.dropFirst() { children[member.parent, default: []].append(member.pid) }

        // The one session a process must be born in (nil: any), from the leaves up.
        var birth: [UInt32: UInt32] = [:]
        for member in members.reversed() {
            var needs: Set<UInt32> = member.session == member.pid ? [] : [member.session]
            for child in children[member.pid] ?? [] {
                if let need = birth[child], need != member.session { needs.insert(need) }
            }
            if needs.count > 1 {
                let list = needs.sorted().map(String.init).joined(separator: ", ")
                findings.append(
                    Finding(pid: member.pid, reason: "has descendants in sessions \(list) that it never was in"))
            }
            birth[member.pid] = needs.min()
        }

        guard let root = members.first else { return }
        if let need = birth[root.pid], need != outsideSession {
            findings.append(Finding(pid: root.pid, reason: "belongs to session \(need), whose leader is gone"))
        }

        let groups = Dictionary(grouping: members, by: \.group)
        for (group, users) in groups where byPid[group] == nil && group != outsideGroup {
            for user in users {
                findings.append(
                    Finding(pid: user.pid, reason: "belongs to process group \(group), whose leader is gone"))
            }
        }

        for member in members {
            var actions = Actions()
            actions.callsSetsid = member.session == member.pid
            for child in children[member.pid] ?? [] {
                if actions.callsSetsid, let need = birth[child], need != member.session {
                    actions.createBeforeSession.append(child)
                } else {
                    actions.createAfterSession.append(child)
                }
            }
            if member.group == member.pid {
                actions.group = .leads
                groupLeaders += 1
            } else if member.group == outsideGroup && byPid[member.group] == nil {
                actions.group = .inherited
            } else {
                actions.group = .joins(member.group)
            }
            self.actions[member.pid] = actions
        }
        findings.sort { ($0.pid, $0.reason) < ($1.pid, $1.reason) }
    }
}
