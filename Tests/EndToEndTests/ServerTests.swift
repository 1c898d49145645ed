import Foundation
import Testing

extension EndToEnd {
    /// Servers with their clients in one tree.
    @Suite struct Servers {
        /// PostgreSQL under pgbench: left running, then killed and restarted twice.
        @Test(.enabled(if: Self.hasPostgreSQL, "needs postgresql"), arguments: Place.allCases) func postgreSQL(place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.start(["bash", Host.programs + "/pgbench.sh", scratch.path])
            try #require(Clock.wait(seconds: 60) { scratch.exists("ready") || running.poll() != nil })
            try #require(running.poll() == nil, "\(running.errors)\(scratch.read("failures"))")
            var root = running.pid
            for _ in 0..<2 {
                try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--force"]).require()
            }
            for _ in 0..<2 {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
            }
            try scratch.finishWorkload("pgbench", running)
            #expect(scratch.becomesEmpty())
        }

        private static let hasPostgreSQL = !((try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []).isEmpty
    }
}
