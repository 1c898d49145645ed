import Foundation
import Testing

extension EndToEnd {
    /// Daemons and jobs of programs of the distribution, below a process that adopts orphans.
    @Suite struct Daemons {
        @Test(arguments: Place.allCases)
        func adoptedDaemons(place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.start(["/usr/bin/python3", Host.programs + "/daemons.py", scratch.path])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") || running.poll() != nil }, "\(running.errors)")
            try #require(running.poll() == nil, "\(running.errors)")
            #expect(scratch.read("ready") == "10\n")
            var root = running.pid
            let before = Relative.tree(of: root)
            #expect(before.count == 12)
            // Sessions and groups whose leaders are dead: the daemon's, two shells' and their pipelines.
            let pids = Set(before.map(\.pid))
            #expect(Set(before.map(\.session)).subtracting(pids).count >= 3)
            #expect(Set(before.map(\.group)).subtracting(pids).count >= 4)
            for _ in 0..<place.rounds {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                #expect(Relative.tree(of: root) == before)
            }
            try scratch.write("finish")
            #expect(try running.wait(seconds: 30) == .exited(0), "\(running.errors)")
            #expect(scratch.read("result") == "OK daemons\n")
            #expect(scratch.becomesEmpty())
        }

        /// `--dry-run` shows processes that exist during the restart only as such.
        @Test func ghostsInTheDryRun() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("orphans")
            try scratch.checkpointAndKill(child.pid, of: child)
            let lines = try scratch.run("crrestart", ["--no-pidns", "--dry-run", scratch.file("image")]).require().output
                .split(separator: "\n")
            let ghosts = lines.filter { $0.hasPrefix("task ") && $0.contains(" ghost (led ") }
            #expect(ghosts.count == 3, "\(ghosts)")
            #expect(ghosts.allSatisfy { $0.contains("ends before the release") })
            #expect(lines.contains { $0.contains("wait for the end of") })
        }

        /// A number that a process has as its session or group only is taken, too, and is named.
        @Test func numbersOfGroupsThatLiveOn() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("orphans")
            let root = child.pid
            try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image")]).require()
            // The root ends; its orphans go to the test process and keep the numbers of their dead leaders.
            child.end()
            let refused = try scratch.run("crrestart", ["--no-pidns", "--pids", scratch.file("image")]).expect(3)
            let named = refused.errorLines.filter { $0.contains("taken by the session of") || $0.contains("taken by the process group of") }
            #expect(named.count >= 2, "\(refused.errors)")
            let (again, _) = try scratch.restart(.namespace)
            again.end()
            scratch.killAll()
        }
    }
}
