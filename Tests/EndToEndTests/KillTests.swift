import Foundation
import Testing

extension EndToEnd {
    /// A command that is killed at any moment leaves the whole tree or no process.
    @Suite struct Kills {
        @Test func checkpointerDies() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("registers")
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
            let duration = try Clock.seconds { try scratch.run("crcheckpoint", arguments).require() }
            let mappings = ProcessTable.mappings(of: child.pid).count

            for attempt in 0..<Host.kills {
                let command = try scratch.start("crcheckpoint", arguments)
                Clock.sleep(Double.random(in: 0...duration * 1.2))
                command.end()
                let after = "after kill \(attempt)"
                try #require(child.poll() == nil, "\(after): \(child.poll()!)")
                try #require(Clock.wait(seconds: 5) { ProcessTable.runs(child.pid) }, "\(after) it is stopped")
                try #require(!scratch.exists("failures"), "\(after): \(scratch.read("failures"))")
                let clean = Clock.wait(seconds: 5) { ProcessTable.mappings(of: child.pid).count == mappings }
                #expect(clean, "\(after) a mapping is left: \(ProcessTable.mappings(of: child.pid))")
                // An image that has its final name is complete.
                if attempt % 20 == 0, scratch.exists("image") {
                    try scratch.run("crimage", ["verify", scratch.file("image")]).expect(0)
                }
            }
            try scratch.run("crcheckpoint", arguments).require()
            try scratch.finishWorkload("registers", child)
            #expect(scratch.becomesEmpty())
        }

        @Test(arguments: Place.allCases)
        func restarterDies(place: Place) throws {
            let scratch = try Scratch()
            let processes = 201
            let child = try scratch.startWorkload("processes", ["200"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let arguments = place.options + [scratch.file("image")]
            let duration = try Clock.seconds { try scratch.run("crrestart", arguments + ["--detach"]).require() }
            try endTree(in: scratch)

            var none = 0
            var whole = 0
            for attempt in 0..<Host.kills / 2 {
                let command = try scratch.start("crrestart", arguments)
                Clock.sleep(Double.random(in: 0...duration * 1.5))
                try #require(command.poll() == nil, "restart \(attempt): \(command.errors)")
                command.end()
                // The guardian of the restart can be about to end the processes, so the state must be the same twice.
                var seen = -1
                let settled = Clock.wait(seconds: 20) {
                    let before = seen
                    seen = count(in: scratch, of: processes)
                    if seen >= 0 && seen == before { return true }
                    Clock.sleep(0.2)
                    return false
                }
                try #require(
                    settled, "after kill \(attempt): \(scratch.living().map { "\($0.pid) \($0.command) \($0.state)" })")
                if seen == 0 {
                    none += 1
                } else {
                    whole += 1
                    try endTree(in: scratch)
                }
            }
            // Otherwise the test killed the command at too few different stages.
            #expect(none > 0 && whole > 0)
            print("crrestart \(place.testDescription) killed \(none + whole) times: \(none) nothing, \(whole) whole")
        }

        /// 0 if nothing is left, the number of processes if all of them run, else -1.
        private func count(in scratch: Scratch, of processes: Int) -> Int {
            let orphans = scratch.reapOrphans()
            let living = scratch.living()
            if living.isEmpty { return orphans == 0 ? 0 : -1 }
            let members = living.filter { $0.command == "Workloads" }
            // A pid namespace made by crrestart has an init besides the tree.
            let whole = members.count == processes && living.count <= processes + 1
            return whole && members.allSatisfy { ProcessTable.runs($0.pid) } ? processes : -1
        }

        /// Asks the tree to verify itself and end, so that its numbers are free for the next one.
        private func endTree(in scratch: Scratch) throws {
            try scratch.write("finish")
            try #require(scratch.becomesEmpty(seconds: 60), "\(scratch.living().map(\.command))")
            try #require(scratch.read("result") == "OK processes\n", "\(scratch.read("failures"))")
            scratch.remove("finish")
            scratch.remove("result")
        }
    }
}
