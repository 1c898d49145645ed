import Foundation
import Testing

extension EndToEnd {
    /// Every fault point fails once, over a tree with a pipeline, Python and a small server: each time a proper sentence, nothing left, and the
    /// original running. A point that is not passed, or that there is a way around, changes nothing.
    @Suite struct FaultSweep {
        /// What the kernel would say there; EIO elsewhere.
        private static let errnos: [(part: String, errno: String)] = [
            ("map-", "ENOMEM"), ("fork", "EAGAIN"), ("clone", "EAGAIN"), ("pipe", "EMFILE"), ("duplicate", "EMFILE"), ("seize", "EPERM"), ("kcmp", "EPERM"),
            ("pidfd", "EPERM"), ("write-image", "ENOSPC"), ("create-image", "ENOSPC"), ("get-", "ESRCH"), ("set-", "ESRCH"), ("mount", "EPERM"),
            ("namespace", "ENOSPC"), ("bpf", "EPERM"), ("link", "EACCES"),
        ]

        private static func setting(_ point: String) -> String {
            "\(point)=\(errnos.first { point.contains($0.part) }?.errno ?? "EIO")"
        }

        private static func points(of tool: String, in scratch: Scratch) throws -> [String] {
            try scratch.run(tool, ["--list-fault-points"]).expect(0).output.split(separator: "\n").map(String.init)
        }

        private static let server = #"""
            import os, socket, threading, time
            listener = socket.socket(socket.AF_UNIX)
            listener.bind("server.socket")
            listener.listen()
            def serve():
                peer, _ = listener.accept()
                while data := peer.recv(100): peer.sendall(data[::-1])
            threading.Thread(target=serve, daemon=True).start()
            client = socket.socket(socket.AF_UNIX)
            client.connect("server.socket")
            count = 0
            while not os.path.exists("stop"):
                text = b"%d" % count
                client.sendall(text)
                if client.recv(100) != text[::-1]: raise SystemExit(3)
                count += 1
                time.sleep(0.002)
            open("served", "w").write(str(count))
            """#

        private static func start(in scratch: Scratch) throws -> Child {
            try scratch.write("server.py", Array(server.utf8))
            let commands = """
                cd \(scratch.path)
                (until [ -e stop ]; do seq 1000; sleep 0.05; done) | sort -u | sha256sum > out &
                /usr/bin/python3 server.py
                code=$?; wait; exit $code
                """
            let child = try scratch.start(["bash", "-c", commands])
            guard Clock.wait(seconds: 20, until: { scratch.exists("server.socket") && commandsOf(child.pid) == members }) else {
                throw HarnessError("the tree did not start: \(commandsOf(child.pid))")
            }
            return child
        }

        /// `sleep` and `seq` come and go.
        private static let members = ["bash", "bash", "python3", "sha256sum", "sort"]

        private static func commandsOf(_ root: pid_t) -> [String] {
            ProcessTable.tree(of: root).map(\.command).filter { $0 != "sleep" && $0 != "seq" }.sorted()
        }

        private static func finish(_ command: Child, in scratch: Scratch) throws {
            try scratch.write("stop")
            #expect(try command.wait(seconds: 60) == .exited(0), "\(command.errors)")
            let wanted = try scratch.run(["bash", "-c", "seq 1000 | sort -u | sha256sum"]).require()
            #expect(scratch.read("out") == wanted.output && Int(scratch.read("served")) ?? 0 > 0)
            #expect(scratch.becomesEmpty())
        }

        private static func files(in scratch: Scratch) -> [String] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: scratch.path)) ?? []
            return names.filter { !$0.hasSuffix(".out") && !$0.hasSuffix(".err") && $0 != "root.pid" }.sorted()
        }

        private static func run(_ tool: String, _ arguments: [String], _ setting: String, in scratch: Scratch) throws -> Finished {
            do {
                return try scratch.run([Host.path(of: tool), "--progress", "none"] + arguments, environment: ["TREERESTORE_FAULT": setting])
            } catch { throw HarnessError("\(setting): \(error)") }
        }

        /// An exit status of the tool's, and a sentence that tells what it cannot do.
        private static func expectSentence(_ done: Finished, _ setting: String) {
            let isKnown = [1, 2, 3, 4, 70].contains { done.status == .exited($0) }
            #expect(isKnown && done.errorLines.contains { $0.contains("cannot ") }, "\(setting): \(done.status) \(done.errors)")
        }

        @Test(arguments: [[], ["--live=always"]]) func checkpoints(options: [String]) throws {
            let scratch = try Scratch()
            let child = try Self.start(in: scratch)
            let before = Self.files(in: scratch)
            var hit: [String] = []
            let points = try Self.points(of: "crcheckpoint", in: scratch)
            for point in points {
                let setting = Self.setting(point)
                let done = try Self.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image")] + options, setting, in: scratch)
                if done.status != .exited(0) {
                    hit.append(point)
                    Self.expectSentence(done, setting)
                    // An image of which only the check failed stays.
                    if done.status == .exited(1) || done.status == .exited(4) { #expect(!scratch.exists("image"), "\(setting): \(done.errors)") }
                }
                scratch.remove("image")
                #expect(Self.files(in: scratch) == before, "\(setting)")
                let goesOn = Clock.wait(seconds: 30) { child.poll() != nil || Self.commandsOf(child.pid) == Self.members }
                try #require(goesOn && child.poll() == nil, "\(setting): \(Self.commandsOf(child.pid))")
            }
            let isRunning = Clock.wait(seconds: 30) { ProcessTable.tree(of: child.pid).allSatisfy { ProcessTable.runs($0.pid) } }
            #expect(isRunning)
            print("fault sweep: \(hit.count) of \(points.count) points broke a checkpoint\(options.map { " " + $0 }.joined()): \(hit.joined(separator: " "))")
            #expect(hit.count > 25 && (options.isEmpty || hit.contains("copy-memory")))
            try Self.finish(child, in: scratch)
        }

        @Test func restarts() throws {
            let scratch = try Scratch()
            let child = try Self.start(in: scratch)
            try scratch.checkpointAndKill(child.pid, of: child)
            let before = Self.files(in: scratch)
            var hit: [String] = []
            let points = try Self.points(of: "crrestart", in: scratch)
            for point in points {
                let setting = Self.setting(point)
                let done = try Self.run("crrestart", Place.here.options + ["--detach", scratch.file("image")], setting, in: scratch)
                if done.status == .exited(0) {
                    // Not passed, or survived: it runs, whole.
                    let root = try #require(pid_t(done.output.trimmingCharacters(in: .whitespacesAndNewlines)), "\(setting): \(done.output)")
                    // The shell forks all the time.
                    #expect(Clock.wait(seconds: 30) { Self.commandsOf(root) == Self.members }, "\(setting): \(Self.commandsOf(root))")
                    scratch.killAll()
                } else {
                    hit.append(point)
                    Self.expectSentence(done, setting)
                }
                try #require(scratch.becomesEmpty(), "\(setting): \(scratch.living().map(\.command))")
                #expect(Self.files(in: scratch) == before, "\(setting): \(Self.files(in: scratch))")
            }
            print("fault sweep: \(hit.count) of \(points.count) points broke a restart: \(hit.joined(separator: " "))")
            #expect(hit.count > 25)
            try Self.finish(try scratch.restart(.here).command, in: scratch)
        }
    }
}
