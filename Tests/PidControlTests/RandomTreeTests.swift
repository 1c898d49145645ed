import PidControl
import Testing
import TreeModel

/// Makes random trees in the model of the kernel, plans them, and carries out the plans in the same model.
@Suite struct RandomTreeTests {
    typealias Member = CreationPlan.Member

    /// Plans and rebuilds the members.
    ///
    /// - Returns: each difference between the members and what was built in words; none if all is as it was.
    static func differences(
        _ members: [Member], in namespaces: PidNamespaces = PidNamespaces(), outsideSession: UInt32, outsideGroup: UInt32,
        toolIsInit: Bool, _ random: inout SplitMix
    ) throws -> [String] {
        let plan = CreationPlan(members, in: namespaces, outsideSession: outsideSession, outsideGroup: outsideGroup)
        if plan.findings.contains(where: { $0.reason.contains("went back to \(outsideGroup), which lies outside") }) { return [] }
        if !plan.findings.isEmpty { return plan.findings.map { "refused: \($0.pid) \($0.reason)" } }
        var execution = try PlanExecution(plan, of: members, toolIsInit: toolIsInit)
        try execution.run(&random)
        let kernel = execution.kernel
        let tool = execution.tool
        var found: [String] = []
        let pids = Set(members.map(\.pid))
        for member in members {
            guard let process = kernel[member.pid] else {
                found.append("\(member.pid) is missing")
                continue
            }
            let isOutside = member.session == outsideSession
            let groupIsOutside = member.group == outsideGroup && !pids.contains(member.group)
            let wanted = Member(
                pid: member.pid, parent: member.parent == 0 ? tool : member.parent,
                session: isOutside ? kernel[tool]!.session : member.session,
                group: groupIsOutside ? kernel[tool]!.group : member.group, isZombie: member.isZombie,
                exitSignal: member.exitSignal, objects: process.objects, namespace: member.namespace,
                inner: (
                    member.innerPids, isOutside ? member.innerSessions : kernel.inner(member.session, seenBy: member.pid),
                    groupIsOutside ? member.innerGroups : kernel.inner(member.group, seenBy: member.pid)
                ))
            let got = Member(
                pid: process.pid, parent: process.parent, session: process.session, group: process.group,
                isZombie: process.isZombie, exitSignal: process.exitSignal, objects: process.objects,
                namespace: namespaces.inits.firstIndex(of: process.namespace) ?? 0,
                inner: (kernel.inner(process.pid, seenBy: process.pid), member.innerSessions, member.innerGroups))
            if got != wanted { found.append("\(got) instead of \(wanted)") }
            if process.isSubreaper { found.append("\(member.pid) is a subreaper still") }
        }
        let living = members.filter { !$0.isZombie }
        let shared = TreeScript.sharing(living.map { ($0.pid, $0.objects) })
        let again = TreeScript.sharing(living.compactMap { member in kernel[member.pid].map { (member.pid, $0.objects) } })
        if shared != again { found.append("shared is \(again) instead of \(shared)") }
        if let one = living.first(where: { kernel[$0.pid]!.objects == kernel[tool]!.objects }) { found.append("\(one.pid) shares with the tool") }
        for pid in kernel.processes.keys where !pids.contains(pid) && pid != tool && pid != 1 {
            found.append("\(pid) is left")
        }
        return found
    }

    /// Checks many random trees.
    ///
    /// - Returns: how many were refused, how many needed ghosts or placeholders, the members of the biggest one, and how
    ///   many had shared objects.
    private func check(
        _ count: Int, seed: UInt64, atMost: Int, isUnusual: Bool, sharing: CloneObjects = [], hasNamespaces: Bool = false
    ) throws -> (refused: Int, helped: Int, biggest: Int, sharing: Int) {
        var sharers = 0
        var refused = 0
        var helped = 0
        var biggest = 0
        for number in 0..<UInt64(count) {
            var random = SplitMix(seed &* 1_000_003 &+ number)
            let script = TreeScript(
                &random, atMost: atMost, isUnusual: isUnusual, sharing: sharing, hasNamespaces: hasNamespaces)
            if !script.holdsInits { continue }
            let members = script.members
            biggest = max(biggest, members.count)
            let plan = CreationPlan(
                members, in: script.namespaces, outsideSession: script.outsideSession, outsideGroup: script.outsideGroup)
            if plan.tasks.count > members.count { helped += 1 }
            let isOfSharing = plan.findings.contains { $0.reason.hasPrefix("shares ") || $0.reason.contains("that share with each other") }
            if (isUnusual || isOfSharing || hasNamespaces) && !plan.findings.isEmpty {
                refused += 1
                continue
            }
            if !script.sharing.isEmpty { sharers += 1 }
            let found: [String]
            do {
                found = try Self.differences(
                    members, in: script.namespaces, outsideSession: script.outsideSession, outsideGroup: script.outsideGroup,
                    toolIsInit: Bool.random(using: &random), &random)
            } catch { found = ["\(error)"] }
            #expect(found.isEmpty, "seed \(seed), tree \(number): \(found)\n\(members)")
        }
        return (refused, helped, biggest, sharers)
    }

    /// Fork, setsid, setpgid, exit, wait, subreapers: none of these may be refused.
    @Test(arguments: 1...8) func usualTrees(seed: Int) throws {
        let small = try check(700, seed: UInt64(seed), atMost: 12, isUnusual: false)
        let big = try check(60, seed: UInt64(seed) + 100, atMost: 200, isUnusual: false)
        #expect(small.helped > 50 && big.helped > 20)
        #expect(big.biggest > 100)
    }

    /// Pid namespaces in pid namespaces, and processes put into them from outside.
    @Test(arguments: 1...4) func nestedNamespaces(seed: Int) throws {
        let small = try check(1000, seed: UInt64(seed) + 300, atMost: 15, isUnusual: false, hasNamespaces: true)
        let big = try check(60, seed: UInt64(seed) + 400, atMost: 100, isUnusual: false, hasNamespaces: true)
        // Refused: a process left a group while it had children in it to whose pid namespace the group has no number.
        #expect(small.refused < 120 && big.refused < 35, "\(small) \(big)")
        #expect(small.helped > 200)
    }

    /// Nested pid namespaces with processes that share objects.
    @Test(arguments: 1...2) func sharersInNamespaces(seed: Int) throws {
        let found = try check(1000, seed: UInt64(seed) + 600, atMost: 15, isUnusual: false, sharing: .all, hasNamespaces: true)
        #expect(found.refused < 160 && found.sharing > 400, "\(found)")
    }

    /// Former subreapers, siblings by CLONE_PARENT, other exit signals: rebuilt or refused.
    @Test(arguments: 1...4) func unusualTrees(seed: Int) throws {
        let found = try check(1000, seed: UInt64(seed) + 200, atMost: 30, isUnusual: true)
        #expect(found.refused < 100, "\(found)")
    }

    /// Processes that share only objects that unshare(2) can give up: at most a few of these trees may be refused.
    @Test(arguments: 1...4) func sharersOfUnshareableObjects(seed: Int) throws {
        let small = try check(1000, seed: UInt64(seed) + 300, atMost: 14, isUnusual: false, sharing: .unshareable)
        let big = try check(60, seed: UInt64(seed) + 400, atMost: 200, isUnusual: false, sharing: .unshareable)
        print("sharers of unshareable objects: \(small) \(big)")
        #expect(small.sharing > 300 && small.refused < 20, "\(small)")
        #expect(big.sharing > 30, "\(big)")
    }

    /// Processes that share objects of all kinds, some of which called execve: rebuilt, or refused because a process between
    /// two that share an object does not share it.
    @Test(arguments: 1...4) func sharersOfEverything(seed: Int) throws {
        let small = try check(1000, seed: UInt64(seed) + 500, atMost: 10, isUnusual: false, sharing: .all)
        let big = try check(60, seed: UInt64(seed) + 600, atMost: 100, isUnusual: true, sharing: .all)
        print("sharers of everything: \(small) \(big)")
        #expect(small.sharing > 300 && small.refused < 300, "\(small)")
    }
}
