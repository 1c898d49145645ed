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
                #expect(try pair.locks().contains(6))
                Clock.sleep(3)
                try pair.restart(place)
                try pair.goesOn(since: before)
                #expect(try pair.locks().isEmpty)
            }
            try pair.finish()
        }

        /// A tree that goes on needs no lock. With and without the one system call that looks into a connection.
        /// Segments are as long as before, as far as a socket can be told.
        @Test(arguments: ["127.0.0.1", "::1"]) func segmentsStayLong(address: String) throws {
            let scratch = try Scratch()
            let code = """
                import os, socket, time
                family = socket.AF_INET6 if ":" in "\(address)" else socket.AF_INET
                listening = socket.socket(family)
                listening.bind(("\(address)", 0))
                listening.listen()
                ends = [socket.create_connection(listening.getsockname()[:2]), listening.accept()[0]]
                for one, other in (ends, ends[::-1]):
                    one.sendall(b"x" * 1000)
                    other.recv(1000)
                def lengths(): return [end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for end in ends]
                before = lengths()
                open("\(scratch.file("ready"))", "w").close()
                while not os.path.exists("\(scratch.file("finish"))"): time.sleep(0.01)
                for one, other in (ends, ends[::-1]):
                    one.sendall(b"y" * 1000)
                    other.recv(1000)
                open("\(scratch.file("lengths"))", "w").write(" ".join(map(str, before + lengths())))
                """
            let program = try scratch.start(["/usr/bin/env", "python3", "-c", code])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") || program.poll() != nil }, "\(program.errors)")
            try scratch.checkpointAndKill(program.pid, of: program)
            let (running, _) = try scratch.restart(.here)
            try scratch.write("finish")
            #expect(try running.wait(seconds: 30) == .exited(0), "\(running.errors)")
            let lengths = scratch.read("lengths").split(separator: " ").compactMap { Int($0) }
            try #require(lengths.count == 4)
            // TCP_MAXSEG takes 32,767 at most; timestamps take twelve of them.
            for (before, after) in zip(lengths[..<2], lengths[2...]) { #expect(after >= min(before, 32755), "\(lengths)") }
        }

        @Test(arguments: [nil, "setup-ring=EPERM"]) func treeThatGoesOn(fault: String?) throws {
            let pair = try Pair(connections: 4)
            for _ in 0..<5 {
                let before = try pair.progress()
                try pair.checkpoint([], fault: fault).require()
                #expect(try pair.locks().isEmpty)
                try pair.goesOn(since: before)
            }
            try pair.finish()
        }

        @Test func refusedCheckLeavesNoLock() throws {
            let pair = try Pair(connections: 4)
            let before = try pair.progress()
            let finished = try pair.checkpoint(["--kill"], fault: "restart-here")
            finished.expect(3)
            #expect(try pair.locks().isEmpty)
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
            var attempt = 0
            // Each round takes longer than the one before, if the machine is slower now than when the duration was measured.
            while attempt < attempts || attempt < attempts * 8 && ended == 0 {
                let command = try pair.scratch.start("crcheckpoint", pair.arguments(["--kill"]))
                Clock.sleep(duration * 1.1 * Double(attempt % attempts + 1) / Double(attempts) * Double(1 + attempt / attempts))
                command.end()
                // Without a lock the tree goes on; with one it goes on soon, or ends.
                let isSettled = try Clock.wait(seconds: 30) {
                    try pair.server.poll() != nil || ProcessTable.runs(pair.root) && pair.locks().isEmpty
                }
                #expect(isSettled, "attempt \(attempt)")
                if pair.server.poll() != nil {
                    ended += 1
                    try pair.scratch.run("crimage", ["verify", pair.scratch.file("image")]).expect(0)
                    #expect(try pair.locks().contains(4), "attempt \(attempt)")
                    _ = pair.treeIsGone()
                    try pair.restart(.here)
                }
                try pair.goesOn(since: pair.progress())
                attempt += 1
            }
            // Otherwise it was killed at too few different stages.
            #expect(ended > 0 && ended < attempt, "\(ended) of \(attempt)")
            print("crcheckpoint --kill with connections killed \(attempt) times: the tree had ended \(ended) times")
            try pair.finish()
        }

        /// While connections are looked into, no call of the program on them may fail. A tree that goes on is looked into most of the time here.
        @Test func checkpointerDiesWhileItLooks() throws {
            let pair = try Pair(connections: 12)
            let duration = try Clock.seconds { try pair.checkpoint([]).require() }
            for attempt in 0..<Host.kills {
                let command = try pair.scratch.start("crcheckpoint", pair.arguments([]))
                Clock.sleep(duration * 1.1 * Double(attempt + 1) / Double(Host.kills))
                command.end()
                try #require(pair.client.poll() == nil && pair.server.poll() == nil, "attempt \(attempt): \(pair.scratch.read("result"))")
            }
            try pair.goesOn(since: pair.progress())
            #expect(pair.scratch.read("ended").isEmpty)
            try pair.finish()
        }

        /// Both ends of the connections, in two images, whose locks lie over each other.
        @Test(arguments: [false, true]) func twoImages(clientFirst: Bool) throws {
            let pair = try Pair(connections: 3)
            let before = try pair.progress()
            try pair.scratch.run("crcheckpoint", ["--tree", "\(pair.client.pid)", "-o", pair.scratch.file("other"), "--kill"]).require()
            try pair.client.wait(seconds: 20)
            let server = pair.arguments(["--kill"])
            try pair.scratch.run("crcheckpoint", server).require()
            try pair.server.wait(seconds: 20)
            try #require(Clock.wait(seconds: 30) { pair.scratch.reapOrphans() == 0 && pair.scratch.living().isEmpty })
            let restarts: [() throws -> Void] = [{ try pair.restart(.here) }, { try pair.restartClient(image: "other") }]
            for restart in clientFirst ? restarts.reversed() : restarts {
                try restart()
                Clock.sleep(0.5)
            }
            try pair.goesOn(since: before)
            #expect(try pair.locks().isEmpty)
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
                #expect(try pair.locks().contains(4), "\(fault)")
                #expect(pair.treeIsGone())
            }
            try pair.scratch.run("crrestart", ["--dry-run", pair.scratch.file("image")]).expect(0)
            #expect(try pair.locks().contains(4))
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
            #expect(try pair.locks().isEmpty)
            #expect(Clock.wait(seconds: 30) { pair.client.hasEnded })
            #expect(pair.scratch.read("result").contains("ConnectionResetError"))
        }

        /// A tree that is left stopped, and goes on after all.
        @Test func stoppedTree() throws {
            let pair = try Pair(connections: 4)
            let before = try pair.progress()
            try pair.checkpoint(["--stop"]).require()
            #expect(try pair.locks().contains(4))
            try pair.scratch.run("crcheckpoint", ["--unlock", pair.scratch.file("image")]).require()
            kill(pair.root, SIGCONT)
            try pair.goesOn(since: before)
            try pair.finish()
        }

        @Test func closed() throws {
            let pair = try Pair(connections: 4)
            try pair.checkpoint(["--kill", "--tcp", "close"]).require()
            #expect(try pair.locks().isEmpty)
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

        /// Connections that the program has not accepted are named: they are reset at the end of the tree.
        @Test func unaccepted() throws {
            let scratch = try Scratch()
            let program = "import socket, sys, time\none = socket.create_server(('127.0.0.1', 0))\nopen(sys.argv[1], 'w').write(f'{one.getsockname()[1]}\\n')\ntime.sleep(1000)"
            let server = try scratch.start(["/usr/bin/python3", "-c", program, scratch.file("port")])
            try #require(Clock.wait(seconds: 20) { scratch.hasLine("port") }, "\(server.errors)")
            let connect =
                "import socket, sys, time\nones = [socket.create_connection(('127.0.0.1', int(sys.argv[1]))) for _ in range(2)]\nones[1].send(b'hello')\nopen(sys.argv[2], 'w').write(' '.join(str(one.getsockname()[1]) for one in ones) + '\\n')\ntime.sleep(1000)"
            let client = try scratch.start(["/usr/bin/python3", "-c", connect, String(scratch.read("port").dropLast()), scratch.file("ports")])
            try #require(Clock.wait(seconds: 20) { scratch.hasLine("ports") }, "\(client.errors)")
            let done = try scratch.run("crcheckpoint", ["--tree", "\(server.pid)", "-o", scratch.file("image"), "--kill"]).require()
            #expect(done.errors.contains(": 2 connections (") && done.errors.contains("that the program has not accepted yet are not in the image"), "\(done.errors)")
            let ports = scratch.read("ports").dropLast().split(separator: " ")
            #expect(done.errors.contains("127.0.0.1:\(ports[1]), which has sent 5 B") && done.errors.contains("127.0.0.1:\(ports[0])"), "\(done.errors)")
            try scratch.run("crcheckpoint", ["--unlock", scratch.file("image")])
        }

        @Test func refused() throws {
            let pair = try Pair(connections: 2)
            let before = try pair.progress()
            let finished = try pair.checkpoint(["--kill", "--tcp", "refuse"])
            finished.expect(4)
            #expect(finished.errorLines.count { $0.contains("--tcp refuse") && $0.contains("connections.py") || $0.contains("python3") } == 2, "\(finished.errors)")
            #expect(try pair.locks().isEmpty)
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
        Clock.wait(seconds: 30) { scratch.living().allSatisfy { $0.pid == client.pid } && scratch.reapOrphans() == 0 }
    }

    func restart(_ place: Place) throws { (server, root) = try scratch.restart(place) }

    /// The client, which was a tree of its own meanwhile.
    func restartClient(image: String) throws { client = try scratch.restart(.here, image: image).command }

    /// How many connections each lock of an image of this test has. Other locks of the machine do not count.
    func locks() throws -> [Int] {
        struct All: Decodable { var locks: [Lock] }
        struct Lock: Decodable {
            var image: String
            var connections: Int
        }
        let text = try scratch.run("crcheckpoint", ["--locks", "--json"]).require().output
        return try JSONDecoder().decode(All.self, from: Data(text.utf8)).locks.filter { $0.image.hasPrefix(scratch.path + "/") }.map(\.connections)
    }

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
