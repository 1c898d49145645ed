import Foundation
import PidControl
import Testing
import TreeModel

extension EndToEnd {
    /// Random trees: real processes make them from a script, and a restart makes them from the image.
    @Suite struct Forests {
        /// Fifty trees of five to thirty processes, some with calls that are rare in real programs.
        @Test(arguments: 0..<10) func randomTrees(batch: Int) throws {
            var done = 0
            var seed = UInt64(batch) * 1000
            while done < 5 {
                seed += 1
                var random = SplitMix(seed)
                let script = TreeScript(&random, atMost: 30, isUnusual: seed % 4 == 0)
                if script.members.count < 5 { continue }
                try rebuild(script, "seed \(seed)")
                done += 1
            }
        }

        /// Trees of processes that share descriptors, directories, undo lists and io contexts.
        @Test(arguments: 0..<4) func treesThatShare(batch: Int) throws {
            var done = 0
            var seed = UInt64(batch) * 1000 + 500
            let kinds = CloneObjects.unshareable.union(CloneObjects(.disk))
            while done < 5 {
                seed += 1
                var random = SplitMix(seed)
                let script = TreeScript(&random, atMost: 20, isUnusual: seed % 4 == 0, sharing: kinds)
                if script.members.count < 5 || script.sharing.count < 3 || script.sharesWithOutside { continue }
                try rebuild(script, "sharing seed \(seed)")
                done += 1
            }
        }

        private func rebuild(_ script: TreeScript, _ name: String) throws {
            let scratch = try Scratch()
            let (root, pids) = try start(script, in: scratch)
            let before = Relative.tree(of: root, outside: outside(script, pids))
            // Checks that the model behaves like this kernel.
            #expect(before == modelled(script, pids), "\(name)")

            let plan = CreationPlan(
                script.members, outsideSession: script.outsideSession, outsideGroup: script.outsideGroup)
            let image = scratch.file("image")
            if !plan.findings.isEmpty {
                try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", image]).expect(4)
                return
            }
            try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", image, "--kill"]).require()
            // Processes that have left the tree have numbers that its restart needs.
            scratch.killAll()

            for place in Place.allCases {
                let (command, again) = try scratch.restart(place)
                let own = place == .here ? command.pid : 0
                let outside = Relative.Outside(
                    session: script.outsideSession == 0 ? 0 : own, group: script.outsideGroup == 0 ? 0 : own)
                let after = Relative.tree(of: again, outside: outside)
                #expect(after == before, "\(name) \(place)")
                if place == .namespace { scratch.killAll() } else { try scratch.finishWorkload("forest", command) }
            }
            #expect(scratch.becomesEmpty())
        }

        /// Runs the script to its end. Gives the root, and all pids by number.
        private func start(_ script: TreeScript, in scratch: Scratch) throws -> (root: pid_t, pids: [pid_t]) {
            try scratch.write("script", Array(script.lines.map { $0 + "\n" }.joined().utf8))
            let members = script.members
            let zombies = members.count { $0.isZombie }
            let child = try scratch.start(
                "Workloads", ["forest", scratch.path, "\(script.root)", "\(members.count - zombies)", "\(zombies)"])
            let ready = Clock.wait(seconds: 30) {
                scratch.reapOrphans()
                return scratch.exists("ready") || child.poll() != nil
            }
            guard ready, child.poll() == nil else { throw HarnessError("forest is not ready: \(child.errors)") }
            let pids = scratch.read("pids").split(separator: "\n").compactMap { line in
                line.split(separator: " ").last.flatMap { pid_t($0) }
            }
            return (pids[script.root], pids)
        }

        /// The session and group of the root, where their leaders are outside of the tree.
        private func outside(_ script: TreeScript, _ pids: [pid_t]) -> Relative.Outside {
            Relative.Outside(
                session: real(script.outsideSession, script, pids) ?? 0, group: real(script.outsideGroup, script, pids) ?? 0)
        }

        private func real(_ pid: UInt32, _ script: TreeScript, _ pids: [pid_t]) -> pid_t? {
            script.pids.firstIndex(of: pid).map { pids[$0] }
        }

        private func modelled(_ script: TreeScript, _ pids: [pid_t]) -> [Relative] {
            func number(_ pid: UInt32, outside: UInt32 = 0) -> pid_t { pid == outside ? 0 : real(pid, script, pids) ?? -1 }
            return script.members.map { member in
                Relative(
                    pid: number(member.pid), parent: number(member.parent),
                    group: number(member.group, outside: script.outsideGroup),
                    session: number(member.session, outside: script.outsideSession), isZombie: member.isZombie)
            }.sorted { $0.pid < $1.pid }
        }
    }
}
