import Foundation
import Testing

extension EndToEnd {
    /// The effect of the time between checkpoint and restart on a tree.
    @Suite struct Time {
        /// Clocks continue from the checkpoint, also at the second restart of a tree that already has clocks of its own.
        @Test(arguments: Place.allCases) func relativeTimeDoesNotCount(place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload("clocks", ["relative", "1500"])
            var root = running.pid
            for _ in 0..<place.rounds {
                Clock.sleep(Double.random(in: 0...0.3))
                try scratch.checkpointAndKill(root, of: running)
                Clock.sleep(2)
                (running, root) = try scratch.restart(place)
            }
            Clock.sleep(0.5)
            try scratch.finishWorkload("clocks", running)
        }

        @Test(arguments: Place.allCases) func absoluteTimeCounts(place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload("clocks", ["absolute", "2000"])
            var root = running.pid
            // In the second round the tree's clocks are behind those of the host.
            try scratch.checkpointAndKill(root, of: running)
            (running, root) = try scratch.restart(place)
            try scratch.checkpointAndKill(root, of: running)
            Clock.sleep(2)
            (running, root) = try scratch.restart(place, options: ["--time", "absolute"])
            Clock.sleep(0.5)
            try scratch.finishWorkload("clocks", running)
        }

        /// The instants of the checkpoint and of the restart, on each clock.
        @Test func bothStampsAreTold() throws {
            let scratch = try Scratch()
            let child = try scratch.start(["sleep", "1000"])
            Clock.sleep(0.1)
            try scratch.checkpointAndKill(child.pid, of: child)
            Clock.sleep(1)
            let done = try scratch.run("crrestart", ["--pidns", "--detach", "--json", scratch.file("image")]).require()
            let result = try #require(
                JSONSerialization.jsonObject(with: Data(done.output.utf8)) as? [String: Any], "\(done.output)")
            let pid = try #require(result["pid"] as? Int)
            defer { kill(pid_t(pid), SIGKILL) }
            let stopped = try #require(result["stopped_ns"] as? [String: Int])
            let released = try #require(result["released_ns"] as? [String: Int])
            for clock in ["realtime", "monotonic", "boottime"] {
                let asFile = try #require(released[clock]) - #require(stopped[clock])
                #expect(asFile > 900_000_000 && asFile < 60_000_000_000, "\(clock): \(asFile) ns")
            }
        }

        @Test func anotherModelIsRefused() throws {
            let scratch = try Scratch()
            let done = try scratch.run("crrestart", ["--time", "sideways", "image"]).expect(64)
            #expect(done.errors.contains("relative") && done.errors.contains("absolute"), "\(done.errors)")
        }
    }
}
