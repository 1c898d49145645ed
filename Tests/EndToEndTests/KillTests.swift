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
                try #require(Clock.wait(seconds: 30) { ProcessTable.runs(child.pid) }, "\(after) it is stopped")
                try #require(!scratch.exists("failures"), "\(after): \(scratch.read("failures"))")
                let clean = Clock.wait(seconds: 30) { ProcessTable.mappings(of: child.pid).count == mappings }
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

        /// A checkpoint was killed while a task answered it; on the way home a signal reaches that task, whose handler sleeps there. The
        /// next checkpoint waits until it is home: a restarted task would not find the way.
        @Test(arguments: ["resume-to-call:3", "resume-to-call:4", "write-memory:1", "interrupt:2"], Place.allCases)
        func handlerOnTheWayHome(point: String, place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("handlers", ["700", "1"])
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--live=never"]
            let killed = try scratch.run([Host.path(of: "crcheckpoint")] + arguments, environment: ["TREERESTORE_FAULT": "\(point)=SIGKILL"])
            #expect(killed.status == .signaled(SIGKILL), "\(killed.status)")
            #expect(kill(child.pid, SIGUSR1) == 0)
            try scratch.checkpointAndKill(child.pid, of: child)
            try scratch.finishWorkload("handlers", try scratch.restart(place).command)
            #expect(scratch.becomesEmpty())
        }

        /// A handler that stays is a reason to refuse.
        @Test func handlerThatStaysOnTheWayHome() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("handlers", ["6000", "1"])
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--live=never"]
            _ = try scratch.run([Host.path(of: "crcheckpoint")] + arguments, environment: ["TREERESTORE_FAULT": "resume-to-call:4=SIGKILL"])
            #expect(kill(child.pid, SIGUSR1) == 0)
            let refused = try scratch.run("crcheckpoint", arguments + ["--freeze-timeout", "2"])
            #expect(refused.status != .exited(0) && refused.errors.contains("EBUSY"), "\(refused.status) \(refused.errors)")
            #expect(ProcessTable.runs(child.pid))
            try scratch.run("crcheckpoint", arguments).require()
            try scratch.finishWorkload("handlers", child)
            #expect(scratch.becomesEmpty())
        }

        /// Where crrestart kills itself: a call that only it makes, not its inner half, and how often it has made it by then.
        /// `processes` is replaced by their number, so that a call in a loop over all is the first, a middle and the last one.
        private static let moments: [(point: String, passages: [String])] = [
            ("seize", ["1"]), ("event-message", ["1", "2", "half", "processes"]), ("resume", ["1", "3", "half", "processes", "double"]),
            ("interrupt", ["1", "half", "processes", "guardian"]), ("set-trace-options", ["1", "half", "processes", "next", "threehalves", "double"]),
            ("resume-to-call", ["1", "half", "processes", "next", "double"]), ("set-registers", ["1", "processes", "next", "double"]),
            ("set-signal-mask", ["1", "half", "processes"]), ("detach", ["1", "2", "3", "half", "processes", "next"]),
        ]

        /// A crrestart that dies leaves the whole tree or nothing, at whatever call it is.
        @Test(arguments: Place.allCases)
        func restarterDies(place: Place) throws {
            let scratch = try Scratch()
            let processes = 41
            let child = try scratch.startWorkload("processes", ["\(processes - 1)"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let counts = [
                "half": processes / 2, "processes": processes, "next": processes + 1, "guardian": processes + 1,
                "threehalves": processes * 3 / 2, "double": processes * 2,
            ]
            var outcomes: [String: Int] = [:]
            for (point, passages) in Self.moments {
                for passage in passages.map({ counts[$0].map(String.init) ?? $0 }) {
                    let setting = "\(point):\(passage)=SIGKILL"
                    let command = try scratch.start(
                        [Host.path(of: "crrestart"), "--detach"] + place.options + [scratch.file("image")],
                        environment: ["TREERESTORE_FAULT": setting])
                    let status = try command.wait(seconds: 30)
                    // Fewer calls than that: it has done its work.
                    let survived = status == .exited(0)
                    try #require(survived || status == .signaled(SIGKILL), "\(setting): \(status) \(command.errors)")
                    let left = try settled(in: scratch, of: processes, after: setting)
                    #expect(!survived || left == processes, "\(setting)")
                    outcomes[survived ? "done" : left == 0 ? "nothing" : "whole", default: 0] += 1
                    if left != 0 { try endTree(in: scratch) }
                }
            }
            // Otherwise the command was killed at too few different stages.
            #expect(outcomes["nothing"] ?? 0 >= 15 && outcomes["whole"] ?? 0 >= 4, "\(outcomes)")
            print("crrestart \(place.testDescription) killed at chosen calls: \(outcomes)")
        }

        /// The same at moments that nobody chose.
        @Test(arguments: Place.allCases)
        func restarterDiesAtRandom(place: Place) throws {
            let scratch = try Scratch()
            let processes = 41
            let child = try scratch.startWorkload("processes", ["\(processes - 1)"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let arguments = place.options + [scratch.file("image")]
            let duration = try Clock.seconds { try scratch.run("crrestart", arguments + ["--detach"]).require() }
            try endTree(in: scratch)
            for attempt in 0..<Host.kills / 10 {
                let command = try scratch.start("crrestart", arguments)
                Clock.sleep(Double.random(in: 0...duration * 1.1))
                try #require(command.poll() == nil, "restart \(attempt): \(command.errors)")
                command.end()
                if try settled(in: scratch, of: processes, after: "kill \(attempt)") != 0 { try endTree(in: scratch) }
            }
        }

        /// Waits until nothing is left or the whole tree runs, and stays so: the guardian may be about to end the processes.
        private func settled(in scratch: Scratch, of processes: Int, after what: String) throws -> Int {
            var seen = -1
            let settled = Clock.wait(seconds: 20) {
                let before = seen
                seen = count(in: scratch, of: processes)
                if seen == 0 || seen > 0 && seen == before { return true }
                if seen > 0 { Clock.sleep(0.1) }
                return false
            }
            try #require(
                settled, "after \(what): \(scratch.living().map { "\($0.pid) \($0.command) \($0.state)" })")
            return seen
        }

        /// 0 if nothing is left, the number of processes if all of them run, else -1.
        private func count(in scratch: Scratch, of processes: Int) -> Int {
            let living = scratch.living()
            // After this look: what ends in between leaves its dead children to the test process.
            let orphans = scratch.reapOrphans()
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
