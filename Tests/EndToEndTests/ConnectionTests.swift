import Foundation
import Testing

extension EndToEnd {
    /// TCP connections with one end outside of the tree.
    @Suite(.enabled(if: Host.has("nft"), "needs nftables")) struct Connections {
        @Test(arguments: Place.allCases) func clientOutsideNoticesAPause(place: Place) throws {
            let pair = try Pair(connections: 6)
            for _ in 0..<2 {
                let before = try pair.progress()
                try pair.checkpoint(["--kill"]).require()
                #expect(try pair.locks().contains("\"connections\": 6"))
                Clock.sleep(3)
                try pair.restart(place)
                try pair.goesOn(since: before)
                #expect(try pair.locks() == "{\"locks\": []}\n")
            }
            try pair.finish()
        }

        /// A tree that goes on needs no lock.
        @Test func treeThatGoesOn() throws {
            let pair = try Pair(connections: 4)
            for _ in 0..<5 {
                let before = try pair.progress()
                try pair.checkpoint([]).require()
                #expect(try pair.locks() == "{\"locks\": []}\n")
                try pair.goesOn(since: before)
            }
            try pair.finish()
        }

        @Test func refusedCheckLeavesNoLock() throws {
            let pair = try Pair(connections: 4)
            let before = try pair.progress()
            let finished = try pair.checkpoint(["--kill"], fault: "restart-here")
            finished.expect(3)
            #expect(try pair.locks() == "{\"locks\": []}\n")
            try pair.goesOn(since: before)
            try pair.finish()
        }

        /// Whatever fails, and wherever it dies: either the tree runs and nothing is locked, or it has ended and its image is whole.
        @Test func checkpointerDies() throws {
            let pair = try Pair(connections: 4)
            let duration = try Clock.seconds { try pair.checkpoint(["--kill"]).require() }
            try pair.restart(.here)
            var ended = 0
            let attempts = Host.kills / 6
            for attempt in 0..<attempts {
                let command = try pair.scratch.start("crcheckpoint", pair.arguments(["--kill"]))
                Clock.sleep(duration * 1.1 * Double(attempt + 1) / Double(attempts))
                command.end()
                let isDone = Clock.wait(seconds: 1) { pair.server.poll() != nil }
                if isDone {
                    ended += 1
                    try pair.scratch.run("crimage", ["verify", pair.scratch.file("image")]).expect(0)
                    #expect(try pair.locks().contains("\"connections\": 4"), "attempt \(attempt)")
                    _ = pair.treeIsGone()
                    try pair.restart(.here)
                } else {
                    #expect(try Clock.wait(seconds: 5) { try pair.locks() == "{\"locks\": []}\n" }, "attempt \(attempt)")
                }
                try pair.goesOn(since: pair.progress())
            }
            // Otherwise it was killed at too few different stages.
            #expect(ended > 0 && ended < attempts, "\(ended) of \(attempts)")
            print("crcheckpoint --kill with connections killed \(attempts) times: the tree had ended \(ended) times")
            try pair.finish()
        }

        @Test func failedRestartLeavesTheLock() throws {
            let pair = try Pair(connections: 4)
            let before = try pair.progress()
            try pair.checkpoint(["--kill"]).require()
            for fault in ["set-registers", "run-program:2"] {
                let failed = try pair.scratch.run(
                    [Host.path(of: "crrestart"), "--no-pidns", pair.scratch.file("image")], environment: ["TREERESTORE_FAULT": fault])
                #expect(failed.status == .exited(1), "\(fault): \(failed.status) \(failed.errors)")
                #expect(try pair.locks().contains("\"connections\": 4"), "\(fault)")
                #expect(pair.treeIsGone())
            }
            try pair.scratch.run("crrestart", ["--dry-run", pair.scratch.file("image")]).expect(0)
            #expect(try pair.locks().contains("\"connections\": 4"))
            try pair.restart(.here)
            try pair.goesOn(since: before)
            try pair.finish()
        }

        @Test func unlock() throws {
            let pair = try Pair(connections: 4)
            try pair.checkpoint(["--kill"]).require()
            let listed = try pair.scratch.run("crcheckpoint", ["--locks"]).require()
            #expect(listed.output.contains(pair.scratch.file("image") + ": 4 connections, for ") && listed.output.contains("the image is there"))
            try FileManager.default.moveItem(atPath: pair.scratch.file("image"), toPath: pair.scratch.file("moved"))
            #expect(try pair.scratch.run("crcheckpoint", ["--locks"]).require().output.contains("the image is not there any more"))
            #expect(!pair.client.hasEnded)
            let unlocked = try pair.scratch.run("crcheckpoint", ["--unlock", pair.scratch.file("moved")]).require()
            #expect(unlocked.output == "4 connections are not locked any more\n")
            try pair.scratch.run("crcheckpoint", ["--unlock", pair.scratch.file("moved")]).expect(1)
            #expect(try pair.locks() == "{\"locks\": []}\n")
            #expect(Clock.wait(seconds: 30) { pair.client.hasEnded })
            #expect(pair.scratch.read("result").contains("ConnectionResetError"))
        }

        /// A tree that is left stopped, and goes on after all.
        @Test func stoppedTree() throws {
            let pair = try Pair(connections: 4)
            let before = try pair.progress()
            try pair.checkpoint(["--stop"]).require()
            #expect(try pair.locks().contains("\"connections\": 4"))
            try pair.scratch.run("crcheckpoint", ["--unlock", pair.scratch.file("image")]).require()
            kill(pair.root, SIGCONT)
            try pair.goesOn(since: before)
            try pair.finish()
        }

        @Test func closed() throws {
            let pair = try Pair(connections: 4)
            try pair.checkpoint(["--kill", "--tcp", "close"]).require()
            #expect(try pair.locks() == "{\"locks\": []}\n")
            #expect(Clock.wait(seconds: 30) { pair.client.hasEnded })
            #expect(pair.scratch.read("result") != "OK" && !pair.scratch.read("result").isEmpty)
            pair.scratch.remove("ended")
            try pair.restart(.here)
            let ended = Clock.wait(seconds: 20) { pair.scratch.read("ended").split(separator: "\n").count == 4 }
            #expect(ended, "\(pair.scratch.read("ended"))")
            // New ones are welcome.
            try pair.startClient(connections: 2)
            try pair.finish()
        }

        @Test func refused() throws {
            let pair = try Pair(connections: 2)
            let before = try pair.progress()
            let finished = try pair.checkpoint(["--kill", "--tcp", "refuse"])
            finished.expect(4)
            #expect(finished.errorLines.count { $0.contains("--tcp refuse") && $0.contains("connections.py") || $0.contains("python3") } == 2, "\(finished.errors)")
            #expect(try pair.locks() == "{\"locks\": []}\n")
            try pair.goesOn(since: before)
            try pair.finish()
        }
    }
}

/// A server, which is the tree, and a client outside of it.
private final class Pair {
    let scratch: Scratch
    var server: Child
    var root: pid_t
    private(set) var client: Child
    private let program = Host.programs + "/connections.py"

    init(connections: Int) throws {
        scratch = try Scratch()
        server = try scratch.start(["/usr/bin/python3", program, "serve", scratch.path])
        root = server.pid
        client = try scratch.start(["/usr/bin/python3", program, "client", scratch.path, "\(connections)"])
        try goesOn(since: 100_000)
    }

    func startClient(connections: Int) throws {
        scratch.remove("progress")
        scratch.remove("result")
        client = try scratch.start(["/usr/bin/python3", program, "client", scratch.path, "\(connections)"])
        try goesOn(since: 0)
    }

    func arguments(_ options: [String]) -> [String] { ["--tree", "\(root)", "-o", scratch.file("image"), "--force"] + options }

    func checkpoint(_ options: [String], fault: String? = nil) throws -> Finished {
        let finished = try scratch.run(
            [Host.path(of: "crcheckpoint")] + arguments(options), environment: fault.map { ["TREERESTORE_FAULT": $0] } ?? [:])
        if finished.status == .exited(0), options.contains("--kill") {
            try server.wait(seconds: 20)
            try #require(treeIsGone())
        }
        return finished
    }

    /// The client is all that is left.
    func treeIsGone() -> Bool {
        Clock.wait(seconds: 10) { scratch.living().allSatisfy { $0.pid == client.pid } && scratch.reapOrphans() == 0 }
    }

    func restart(_ place: Place) throws { (server, root) = try scratch.restart(place) }

    func locks() throws -> String { try scratch.run("crcheckpoint", ["--locks", "--json"]).require().output }

    /// Bytes that have come back on the slowest connection.
    func progress() throws -> Int { try #require(Int(scratch.read("progress"))) }

    func goesOn(since before: Int) throws {
        let isMore = Clock.wait(seconds: 60) { client.poll() != nil || (Int(scratch.read("progress")) ?? 0) > before }
        try #require(isMore && client.poll() == nil, "\(scratch.read("progress")) after \(before): \(scratch.read("result")) \(client.errors) \(server.errors)")
    }

    func finish() throws {
        try scratch.write("finish")
        #expect(try client.wait(seconds: 60) == .exited(0), "\(scratch.read("result")) \(client.errors)")
        #expect(scratch.read("result") == "OK")
        kill(root, SIGTERM)
        _ = try server.wait(seconds: 20)
    }
}

extension Child {
    fileprivate var hasEnded: Bool { poll() != nil }
}
