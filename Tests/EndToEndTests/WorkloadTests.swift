import Foundation
import Testing

/// A workload with its arguments.
struct Workload: CustomTestStringConvertible {
    let name: String
    var arguments: [String] = []
    var testDescription: String { ([name] + arguments).joined(separator: " ") }

    static let all = [
        Workload(name: "registers"), Workload(name: "vectors"), Workload(name: "sleepers"), Workload(name: "waits"),
        Workload(name: "memory"), Workload(name: "files"), Workload(name: "pipes"), Workload(name: "signals"),
        Workload(name: "credentials"), Workload(name: "processes", arguments: ["60"]),
        Workload(name: "threads", arguments: ["100"]), Workload(name: "anon", arguments: ["128"]),
        Workload(name: "tree"), Workload(name: "breakpoints"), Workload(name: "rseq", arguments: ["256"]),
        Workload(name: "events"), Workload(name: "timerfiles"), Workload(name: "epolls"),
        Workload(name: "posixtimers"), Workload(name: "semaphores"),
    ]
}

extension EndToEnd {
    /// The self-checking programs of `Tests/Workloads`.
    @Suite struct Workloads {
        @Test(arguments: Workload.all)
        func notDisturbedByCheckpoints(workload: Workload) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(workload.name, workload.arguments)
            let image = scratch.file("image")
            for _ in 0..<5 {
                Clock.sleep(Double.random(in: 0...0.15))
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", image, "--force"]).require()
            }
            try scratch.run("crimage", ["verify", image]).expect(0)
            try scratch.finishWorkload(workload.name, child)
        }

        @Test(arguments: Workload.all, Place.allCases)
        func restarted(workload: Workload, place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload(workload.name, workload.arguments)
            var root = running.pid
            for _ in 0..<place.rounds {
                Clock.sleep(Double.random(in: 0...0.3))
                let before = ProcessTable.tree(of: root)
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                let after = ProcessTable.tree(of: root)
                #expect(after.map(\.command).sorted() == before.map(\.command).sorted())
                if place == .here { expectSameRelatives(before, after) }
            }
            Clock.sleep(0.2)
            try scratch.finishWorkload(workload.name, running)
            #expect(scratch.becomesEmpty())
        }

        /// Same pids, parents (but the root's), groups and sessions.
        private func expectSameRelatives(_ before: [ProcessEntry], _ after: [ProcessEntry]) {
            func rows(_ entries: [ProcessEntry]) -> [[pid_t]] {
                entries.sorted { $0.pid < $1.pid }.map { entry in
                    let parent = entry.pid == entries.first?.pid ? 0 : entry.parent
                    return [entry.pid, parent, entry.group, entry.session]
                }
            }
            #expect(rows(after) == rows(before))
        }
    }
}
