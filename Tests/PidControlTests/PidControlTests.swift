import PidControl
import Testing

@Suite struct CreationPlanTests {
    typealias Member = CreationPlan.Member

    @Test func plainTreeIsCreatedAfterSetsid() {
        let plan = CreationPlan(
            [
                Member(pid: 10, parent: 0, session: 10, group: 10),
                Member(pid: 11, parent: 10, session: 10, group: 10),
                Member(pid: 12, parent: 10, session: 10, group: 12),
            ], outsideSession: 0, outsideGroup: 0)
        #expect(plan.findings.isEmpty)
        #expect(plan.actions[10]?.callsSetsid == true)
        #expect(plan.actions[10]?.createAfterSession == [11, 12])
        #expect(plan.actions[11]?.group == .joins(10))
        #expect(plan.actions[12]?.group == .leads)
        #expect(plan.groupLeaders == 2)
    }

    @Test func childOfTheOldSessionIsCreatedBeforeSetsid() {
        // 10 forked 11, then called setsid, then forked 12.
        let plan = CreationPlan(
            [
                Member(pid: 9, parent: 0, session: 9, group: 9),
                Member(pid: 10, parent: 9, session: 10, group: 10),
                Member(pid: 11, parent: 10, session: 9, group: 9),
                Member(pid: 12, parent: 10, session: 10, group: 10),
            ], outsideSession: 0, outsideGroup: 0)
        #expect(plan.findings.isEmpty)
        #expect(plan.actions[10]?.createBeforeSession == [11])
        #expect(plan.actions[10]?.createAfterSession == [12])
    }

    @Test func rootInSomebodyElsesSessionInheritsIt() {
        let plan = CreationPlan(
            [Member(pid: 10, parent: 0, session: 5, group: 7), Member(pid: 11, parent: 10, session: 5, group: 7)],
            outsideSession: 5, outsideGroup: 7)
        #expect(plan.findings.isEmpty)
        #expect(plan.actions[11]?.group == .inherited)
        #expect(plan.actions[10]?.callsSetsid == false)
    }

    @Test func deadSessionAndGroupLeadersAreNamed() {
        let plan = CreationPlan(
            [Member(pid: 10, parent: 0, session: 10, group: 10), Member(pid: 11, parent: 10, session: 8, group: 8)],
            outsideSession: 0, outsideGroup: 0)
        #expect(plan.findings.contains { $0.pid == 10 && $0.reason.contains("session 8") })
        #expect(plan.findings.contains { $0.pid == 11 && $0.reason.contains("group 8") })
    }

    @Test func processThatNeedsTwoSessionsIsRefused() {
        let plan = CreationPlan(
            [
                Member(pid: 10, parent: 0, session: 10, group: 10),
                Member(pid: 11, parent: 10, session: 10, group: 10),
                Member(pid: 12, parent: 11, session: 7, group: 10),
            ], outsideSession: 0, outsideGroup: 0)
        #expect(plan.findings.contains { $0.pid == 11 && $0.reason.contains("sessions 7, 10") })
    }
}
