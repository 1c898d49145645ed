import PidControl
import Testing
import TreeModel

/// One test for each way in which a process can have come by its session, group and parent.
@Suite struct CreationPlanTests {
    typealias Member = CreationPlan.Member
    typealias Action = CreationPlan.Action

    /// Plans the members, carries out the plan in the model, and compares.
    ///
    /// - Returns: the plan.
    private func rebuilt(
        _ members: [Member], outsideSession: UInt32 = 0, outsideGroup: UInt32 = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> CreationPlan {
        for toolIsInit in [true, false] {
            for seed in UInt64(0)..<20 {
                var random = SplitMix(seed)
                let found = try RandomTreeTests.differences(
                    members, outsideSession: outsideSession, outsideGroup: outsideGroup, toolIsInit: toolIsInit, &random)
                #expect(found.isEmpty, "\(found)", sourceLocation: sourceLocation)
            }
        }
        return CreationPlan(members, outsideSession: outsideSession, outsideGroup: outsideGroup)
    }

    private func refused(
        _ members: [Member], outsideSession: UInt32 = 0, outsideGroup: UInt32 = 0
    ) -> [CreationPlan.Finding] {
        CreationPlan(members, outsideSession: outsideSession, outsideGroup: outsideGroup).findings
    }

    private func actions(_ plan: CreationPlan, _ pid: UInt32) -> [Action] { plan.task(pid)?.actions ?? [] }

    @Test func plainTreeNeedsNoGhostOrPlaceholder() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 10, group: 10),
            Member(pid: 12, parent: 10, session: 10, group: 12),
            Member(pid: 13, parent: 10, session: 10, group: 12),
        ])
        #expect(plan.task(10)?.creator == nil)
        #expect(actions(plan, 10) == [.setsid, .create(11), .create(12), .create(13), .leadGroup])
        // Born in its group.
        #expect(actions(plan, 11) == [])
        #expect(actions(plan, 12) == [.leadGroup])
        #expect(actions(plan, 13) == [.joinGroup(12)])
        #expect(plan.ghosts == [] && plan.placeholderCount == 0)
    }

    @Test func childOfTheOldSessionIsCreatedBeforeSetsid() throws {
        // 10 forked 11, then called setsid, then forked 12.
        let plan = try rebuilt([
            Member(pid: 9, parent: 0, session: 9, group: 9),
            Member(pid: 10, parent: 9, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 9, group: 9),
            Member(pid: 12, parent: 10, session: 10, group: 10),
        ])
        #expect(actions(plan, 10) == [.create(11), .setsid, .create(12), .leadGroup])
        #expect(plan.tasks.count == 4)
    }

    @Test func sessionsBeforeSessionsAreHandedDown() throws {
        // 10 and 11 were born in session 9, and 12 by 11 before either called setsid.
        let plan = try rebuilt([
            Member(pid: 9, parent: 0, session: 9, group: 9),
            Member(pid: 10, parent: 9, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 11, group: 11),
            Member(pid: 12, parent: 11, session: 9, group: 9),
        ])
        #expect(actions(plan, 10) == [.create(11), .setsid, .leadGroup])
        #expect(actions(plan, 11) == [.create(12), .setsid, .leadGroup])
    }

    @Test func rootInAnOutsideSessionInheritsIt() throws {
        let plan = try rebuilt(
            [Member(pid: 10, parent: 0, session: 5, group: 7), Member(pid: 11, parent: 10, session: 5, group: 7)],
            outsideSession: 5, outsideGroup: 7)
        #expect(actions(plan, 10) == [.create(11)])
        #expect(actions(plan, 11) == [])
    }

    @Test func rootLeadsAJobInAnOutsideSession() throws {
        let plan = try rebuilt(
            [Member(pid: 10, parent: 0, session: 5, group: 10), Member(pid: 11, parent: 10, session: 5, group: 10)],
            outsideSession: 5)
        #expect(actions(plan, 10) == [.create(11), .leadGroup])
        #expect(actions(plan, 11) == [.joinGroup(10)])
    }

    /// A daemon by double fork: its first parent led the session and is dead; the root adopted the daemon.
    @Test func ghostLeadsTheSessionOfADaemon() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 12, parent: 10, session: 11, group: 11),
            Member(pid: 13, parent: 12, session: 11, group: 11),
        ])
        #expect(plan.ghosts == [11])
        #expect(plan.task(11)?.creator == 10)
        #expect(actions(plan, 10) == [.setsid, .create(11), .leadGroup, .reap(11)])
        #expect(actions(plan, 11) == [.setsid, .createSibling(12), .leadGroup, .awaitMembers(of: 11)])
        #expect(actions(plan, 12) == [.create(13)])
    }

    /// A daemon whose first parent has not been waited for yet: the zombie founds the session, no ghost is needed.
    @Test func zombieLeadsTheSessionOfADaemon() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 11, group: 11, isZombie: true),
            Member(pid: 12, parent: 10, session: 11, group: 11),
            Member(pid: 13, parent: 12, session: 11, group: 13),
        ])
        #expect(plan.tasks.count == 4)
        #expect(actions(plan, 11) == [.setsid, .createSibling(12), .leadGroup])
    }

    /// The session's leader lives two levels below the root, and the root adopted an orphan of it. A placeholder has to
    /// die while the root is a subreaper and the process between is none.
    @Test func orphanOfALivingSessionGoesUpTwoLevels() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 10, group: 10),
            Member(pid: 12, parent: 11, session: 12, group: 12),
            Member(pid: 14, parent: 10, session: 12, group: 12),
        ])
        #expect(plan.placeholderCount == 1)
        let placeholder = try #require(plan.tasks.last)
        #expect(placeholder.creator == 12)
        #expect(placeholder.actions == [.create(14), .awaitAdopter(10)])
        #expect(
            actions(plan, 12) == [
                .setsid, .create(placeholder.pid), .leadGroup, .reap(placeholder.pid), .reportAdoption(to: 10),
            ])
        #expect(actions(plan, 10).last == .adopt(CreationPlan.Adoption(inner: 0, placeholders: 1, outer: nil)))
    }

    /// Two subreapers, one above the other, have orphans of one session: the lower one adopts first, and has stopped
    /// before the upper one begins.
    @Test func nestedAdoptersTakeTurns() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 10, group: 10),
            Member(pid: 12, parent: 11, session: 10, group: 10),
            Member(pid: 13, parent: 12, session: 13, group: 13),
            Member(pid: 14, parent: 11, session: 13, group: 13),
            Member(pid: 15, parent: 10, session: 13, group: 13),
        ])
        #expect(plan.placeholderCount == 2)
        #expect(actions(plan, 11).contains(.adopt(CreationPlan.Adoption(inner: 0, placeholders: 1, outer: 10))))
        #expect(actions(plan, 10).contains(.adopt(CreationPlan.Adoption(inner: 1, placeholders: 1, outer: nil))))
        let reports = actions(plan, 13).compactMap { if case .reportAdoption(let to) = $0 { to } else { nil } }
        #expect(reports == [11, 10])
    }

    /// The parents of orphans tell whether 11 became a subreaper before or after its parent got orphans.
    @Test func orphansWentPastALaterSubreaper() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 11, group: 11),
            Member(pid: 13, parent: 11, session: 12, group: 12),
            Member(pid: 14, parent: 10, session: 12, group: 12),
        ])
        #expect(plan.ghosts == [12])
        #expect(plan.task(12)?.creator == 11)
        #expect(actions(plan, 12).contains(.createSibling(13)))
        #expect(plan.task(14)?.creator != 10)
    }

    @Test func groupsOfDeadLeadersAreMadeByGhosts() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 12, parent: 10, session: 10, group: 11),
            Member(pid: 13, parent: 10, session: 10, group: 11),
        ])
        #expect(plan.ghosts == [11])
        #expect(actions(plan, 11) == [.leadGroup, .awaitMembers(of: 11)])
        #expect(actions(plan, 12) == [.create(11), .joinGroup(11), .reap(11)])
        #expect(actions(plan, 13) == [.joinGroup(11)])
        #expect(plan.joiners[11] == 2)
    }

    @Test func groupOfZombiesOnly() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 12, parent: 10, session: 10, group: 11, isZombie: true),
        ])
        #expect(actions(plan, 12) == [.create(11), .joinGroup(11), .reap(11)])
    }

    @Test func leadersThatSwappedTheirGroupsLeavePlaceholders() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 10, group: 12),
            Member(pid: 12, parent: 10, session: 10, group: 11),
        ])
        #expect(plan.placeholderCount == 2)
        #expect(plan.heldGroups == [11, 12])
    }

    /// Two session leaders forked in session 9 before they called setsid. The leader of 9 cannot have been a descendant of
    /// both, so at least one of them was born in session 9.
    @Test func leadersBornInADeadSession() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 11, group: 11),
            Member(pid: 12, parent: 10, session: 12, group: 12),
            Member(pid: 13, parent: 11, session: 9, group: 9),
            Member(pid: 14, parent: 12, session: 9, group: 9),
            Member(pid: 15, parent: 10, session: 8, group: 8),
        ])
        #expect(Set(plan.ghosts) == [8, 9])
        let late = try #require(plan.ghosts.contains(9) ? plan.task(9)?.creator : nil)
        let other: UInt32 = late == 11 ? 12 : 11
        #expect(actions(plan, other).first == .create(other == 11 ? 13 : 14))
    }

    /// The root called setsid after it forked 11. A plan in which the root adopts 11 from a ghost gives the same tree.
    @Test func rootThatLeftADeadSession() throws {
        let plan = try rebuilt([
            Member(pid: 10, parent: 0, session: 10, group: 10), Member(pid: 11, parent: 10, session: 9, group: 9),
        ])
        #expect(plan.ghosts == [9])
    }

    /// An orphan in the session of a process that has left the tree needs a ghost, too.
    @Test func sessionOfAProcessThatLeft() throws {
        let plan = try rebuilt(
            [Member(pid: 10, parent: 0, session: 5, group: 7), Member(pid: 12, parent: 10, session: 11, group: 11)],
            outsideSession: 5, outsideGroup: 7)
        #expect(plan.ghosts == [11])
    }

    /// A group of the outside session whose leader is not in the tree: a ghost makes it in the session of the tool.
    @Test func jobOfTheOutsideSession() throws {
        let plan = try rebuilt(
            [Member(pid: 10, parent: 0, session: 5, group: 7), Member(pid: 12, parent: 10, session: 5, group: 11)],
            outsideSession: 5, outsideGroup: 7)
        #expect(plan.ghosts == [11])
        #expect(actions(plan, 12) == [.create(11), .joinGroup(11), .reap(11)])
    }

    // MARK: Refused

    @Test func processThatWasInTwoSessionsIsRefused() {
        // The creator of 12 was in session 11, but the parent of 12 was never above a process of that session.
        let findings = refused([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 11, parent: 10, session: 11, group: 11),
            Member(pid: 12, parent: 10, session: 10, group: 10),
            Member(pid: 13, parent: 12, session: 11, group: 11),
        ])
        #expect(findings.map(\.pid) == [13])
        #expect(findings[0].reason.contains("has to be born in session 11"))
    }

    @Test func leaderThatWentToAGroupOutsideIsRefused() {
        let findings = refused(
            [Member(pid: 10, parent: 0, session: 5, group: 5), Member(pid: 11, parent: 10, session: 5, group: 10)],
            outsideSession: 5, outsideGroup: 5)
        #expect(findings.map(\.reason) == ["made process group 10 and went back to 5, which lies outside of the tree"])
    }

    @Test func adoptedChildWithAnotherSignalIsRefused() {
        let findings = refused([
            Member(pid: 10, parent: 0, session: 10, group: 10),
            Member(pid: 12, parent: 10, session: 11, group: 11, exitSignal: 10),
        ])
        #expect(findings.map(\.reason) == ["was adopted, but would send its parent signal 10 at its end"])
    }

    @Test func impossibleTreesAreRefused() {
        #expect(!refused([Member(pid: 10, parent: 0, session: 10, group: 11)]).isEmpty)
        #expect(
            !refused([
                Member(pid: 10, parent: 0, session: 10, group: 10), Member(pid: 11, parent: 10, session: 11, group: 11),
                Member(pid: 12, parent: 10, session: 10, group: 11),
            ]).isEmpty)
        #expect(
            !refused([
                Member(pid: 10, parent: 0, session: 10, group: 10),
                Member(pid: 11, parent: 10, session: 10, group: 10, isZombie: true),
                Member(pid: 12, parent: 11, session: 10, group: 10),
            ]).isEmpty)
        #expect(!refused([Member(pid: 10, parent: 0, session: 10, group: 10), Member(pid: 11, parent: 99, session: 10, group: 10)]).isEmpty)
        // Each session's leader below a member of the other.
        #expect(
            !refused([
                Member(pid: 10, parent: 0, session: 10, group: 10),
                Member(pid: 11, parent: 10, session: 8, group: 8), Member(pid: 12, parent: 11, session: 7, group: 7),
                Member(pid: 13, parent: 12, session: 8, group: 8),
            ]).isEmpty)
    }

    @Test func noSpareNumber() {
        let members = [
            Member(pid: 10, parent: 0, session: 10, group: 10), Member(pid: 11, parent: 10, session: 10, group: 10),
            Member(pid: 12, parent: 11, session: 12, group: 12), Member(pid: 14, parent: 10, session: 12, group: 12),
        ]
        let plan = CreationPlan(members, outsideSession: 0, outsideGroup: 0, spare: [11, 12])
        #expect(plan.findings.map(\.reason) == ["needs a spare number, and there is none"])
        #expect(CreationPlan(members, outsideSession: 0, outsideGroup: 0, spare: [11, 77]).task(77)?.role == .placeholder)
    }

    /// No part of the planning takes quadratic time: each of these trees takes a few hundredths of a second.
    @Test func tenThousandProcesses() {
        let count: UInt32 = 10_000
        func plan(_ member: (UInt32) -> Member) -> CreationPlan {
            CreationPlan((0..<count).map(member), outsideSession: 0, outsideGroup: 0)
        }
        let root = Member(pid: 100, parent: 0, session: 100, group: 100)
        let daemons = plan { $0 == 0 ? root : Member(pid: 100 + $0, parent: 100, session: 100_000 + $0, group: 100_000 + $0) }
        #expect(daemons.findings.isEmpty && daemons.ghosts.count == 9999)
        let line = plan { $0 == 0 ? root : Member(pid: 100 + $0, parent: 99 + $0, session: 100 + $0, group: 100 + $0) }
        #expect(line.findings.isEmpty && line.tasks.count == 10_000)
        // Every second process forked in a session with a dead leader, and called setsid afterwards.
        let leaders = plan { number in
            if number == 0 { return root }
            return number % 2 == 1
                ? Member(pid: 100 + number, parent: 100, session: 100 + number, group: 100 + number)
                : Member(pid: 100 + number, parent: 99 + number, session: 50, group: 50)
        }
        #expect(leaders.findings.isEmpty && leaders.ghosts == [50])
    }
    /// The same with children that share objects: in pairs, with their neighbours on both sides, or so that it is refused.
    @Test func tenThousandSharers() {
        let count: UInt32 = 10_000
        func plan(signal: (UInt32) -> UInt32 = { _ in CreationPlan.childSignal }, _ objects: (UInt32) -> [UInt32]) -> CreationPlan {
            let members = (0..<count).map { number in
                number == 0
                    ? Member(pid: 100, parent: 0, session: 100, group: 100)
                    : Member(
                        pid: 100 + number, parent: 100, session: 100, group: 100, exitSignal: signal(number),
                        objects: CloneObjectIDs(objects(number)))
            }
            return CreationPlan(members, outsideSession: 0, outsideGroup: 0)
        }
        let pairs = plan { [0, 1 + $0 / 2, 0, 0, 0, 0] }
        #expect(pairs.findings.isEmpty && actions(pairs, 100).count { if case .unshare = $0 { true } else { false } } == 4999)
        let chain = plan { [0, 1 + $0 / 2, 1 + ($0 + 1) / 2, 0, 0, 0] }
        #expect(chain.findings.isEmpty && chain.placeholderCount == 0)
        // The first of each pair creates the second.
        let handlers = plan { [1 + $0 / 2, 0, 0, 1 + $0 / 2, 0, 0] }
        #expect(handlers.findings.isEmpty && actions(handlers, 102) == [.createSibling(103)])
        let refused = plan(signal: { $0 % 2 == 0 ? 17 : 10 }) { [0, 0, 0, 1 + $0 / 2, 0, 0] }
        #expect(refused.findings.count == 4999)
    }
}
