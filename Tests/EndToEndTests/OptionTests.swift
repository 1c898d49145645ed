import Foundation
import Testing

extension EndToEnd {
    /// The options of the commands.
    @Suite struct Options {
        @Test func checkpointLeavesTheTreeRunning() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            let done = try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image")]).require()
            #expect(done.output.contains(scratch.file("image")))
            #expect(ProcessTable.runs(child.pid))
            var status = stat()
            #expect(stat(scratch.file("image"), &status) == 0)
            #expect(status.st_mode & 0o7777 == 0o600)
            try scratch.finishWorkload("threads", child)
        }

        @Test func checkpointReportsAsJSON() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["5"])
            let done = try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--json"]
            ).require()
            let report = try #require(
                JSONSerialization.jsonObject(with: Data(done.output.utf8)) as? [String: Any], "\(done.output)")
            #expect(report["tasks"] as? Int == 6)
            let bytes = try #require(report["bytes"] as? Int)
            let stopped = try #require(report["stopped_ns"] as? Int)
            let total = try #require(report["total_ns"] as? Int)
            #expect(bytes > 0 && stopped > 0 && total >= stopped)
        }

        @Test func checkpointDoesNotOverwrite() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            try scratch.write("image", Array("precious".utf8))
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image")]
            try scratch.run("crcheckpoint", arguments).expect(1)
            #expect(scratch.read("image") == "precious")
            try scratch.run("crcheckpoint", arguments + ["--force"]).expect(0)
            try scratch.run("crimage", ["verify", scratch.file("image")]).expect(0)
            try scratch.finishWorkload("threads", child)
        }

        @Test func checkpointStops() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["4"])
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--stop"]).require()
            let tree = ProcessTable.tree(of: child.pid)
            #expect(tree.count == 5)
            #expect(tree.allSatisfy { $0.state == "T" }, "\(tree.map(\.state))")
            tree.forEach { kill($0.pid, SIGCONT) }
            try scratch.finishWorkload("processes", child)
        }

        @Test func checkpointDryRunWritesNothing() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("files")
            let before = try FileManager.default.contentsOfDirectory(atPath: scratch.path).count
            try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--dry-run"]
            ).expect(0)
            #expect(!scratch.exists("image"))
            // The only new files are the two outputs of the command.
            #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).count <= before + 2)
            try scratch.finishWorkload("files", child)
        }

        @Test func restartDryRunPrintsTheProgramsAndCreatesNothing() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            let pids = ProcessTable.tree(of: child.pid).map(\.pid)
            try scratch.checkpointAndKill(child.pid, of: child)
            let done = try scratch.run(
                "crrestart", ["--no-pidns", "--pids", "--dry-run", scratch.file("image")]
            ).expect(0)
            for pid in pids { #expect(done.output.contains("task \(pid)")) }
            #expect(done.output.contains("clone3") && done.output.contains("mmap") && done.output.contains("park"))
            #expect(scratch.living().isEmpty)
        }

        @Test(arguments: Place.allCases)
        func restartDetaches(place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            try scratch.checkpointAndKill(child.pid, of: child)
            // As in a script: no process of crrestart must keep the pipe open that the shell reads to its end.
            let options = place.options + ["--detach", "--pid-file", scratch.file("root.pid"), scratch.file("image")]
            let done = try scratch.run(
                ["bash", "-c", "root=$(\"$@\"); echo $root", "bash", Host.path(of: "crrestart")] + options
            ).require()
            let root = try #require(pid_t(done.output.trimmingCharacters(in: .whitespacesAndNewlines)), "\(done.output)")
            #expect(scratch.read("root.pid") == "\(root)\n")
            #expect(ProcessTable.tree(of: root).count == 4)
            try scratch.write("finish")
            #expect(scratch.becomesEmpty(seconds: 60))
            #expect(scratch.read("result") == "OK processes\n", "\(scratch.read("failures"))")
        }

        /// A root that ends with a code, or by a signal.
        @Test(arguments: Place.allCases, [("exit 37", ExitStatus.exited(37)), ("kill -TERM $$", .signaled(SIGTERM))])
        func restartCopiesTheStatus(place: Place, ending: (commands: String, status: ExitStatus)) throws {
            let scratch = try Scratch()
            let restarted = try Self.restartShell(ending.commands, in: scratch, place, options: ["--copy-status"])
            let status = try restarted.wait(seconds: 30)
            #expect(status == ending.status, "\(restarted.errors)")
        }

        /// Without --copy-status the exit status of crrestart only says that the restart succeeded.
        @Test(arguments: Place.allCases)
        func restartHasAStatusOfItsOwn(place: Place) throws {
            let scratch = try Scratch()
            let restarted = try Self.restartShell("exit 37", in: scratch, place, options: ["--show-status"])
            #expect(try restarted.wait(seconds: 30) == .exited(0), "\(restarted.errors)")
            #expect((restarted.output + restarted.errors).contains("37"))
        }

        @Test func restartPassesSignalsOn() throws {
            let scratch = try Scratch()
            let trap = "trap 'exit 21' TERM; echo > \(scratch.file("ready")); "
            let shell = try scratch.start(["bash", "-c", trap + "while true; do sleep 0.05; done"])
            #expect(Clock.wait(seconds: 30) { scratch.exists("ready") })
            try scratch.checkpointAndKill(shell.pid, of: shell)
            let restarted = try scratch.restart(.here)
            restarted.command.signal(SIGTERM)
            #expect(try restarted.command.wait(seconds: 30) == .exited(21))
        }

        @Test(arguments: Place.allCases)
        func restartStopped(place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let restarted = try scratch.restart(place, options: ["--stopped"])
            let tree = ProcessTable.tree(of: restarted.root)
            #expect(tree.count == 4)
            #expect(Clock.wait(seconds: 30) { ProcessTable.tree(of: restarted.root).allSatisfy { $0.state == "T" } })
            tree.forEach { kill($0.pid, SIGCONT) }
            try scratch.finishWorkload("processes", restarted.command)
        }

        @Test func imageIsShown() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("files")
            let image = scratch.file("image")
            try scratch.checkpointAndKill(child.pid, of: child)
            #expect(try scratch.run("crimage", ["info", image]).expect(0).output.isEmpty == false)
            let tree = try scratch.run("crimage", ["tree", image]).expect(0)
            #expect(tree.output.contains("\(child.pid)") && tree.output.contains("Workloads"))
            let files = try scratch.run("crimage", ["files", image]).expect(0)
            #expect(files.output.contains(scratch.file("inside")) || files.output.contains(scratch.file("data")))
            #expect(try scratch.run("crimage", ["memory", image]).expect(0).output.contains("[stack]"))
            let json = try scratch.run("crimage", ["json", image]).expect(0)
            #expect((try? JSONSerialization.jsonObject(with: Data(json.output.utf8))) != nil)
        }

        @Test(arguments: ["crcheckpoint", "crrestart", "crimage"])
        func versionOfToolAndFormat(tool: String) throws {
            let scratch = try Scratch()
            let line = try scratch.run(tool, ["--version"]).expect(0).output
            #expect(line.wholeMatch(of: /(\w+) (\d+\.\d+\.\d+) \(image format \d+\)\n/)?.output.1 == Substring(tool), "\(line)")
            // An image names the version that wrote it.
            let child = try scratch.startWorkload("threads", ["2"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let version = try #require(line.split(separator: " ").dropFirst().first)
            let info = try scratch.run("crimage", ["info", scratch.file("image")]).require().output
            #expect(info.contains(try Regex("tool version +\(version)\n")), "\(info)")
        }

        @Test(arguments: ["crcheckpoint", "crrestart", "crimage"])
        func wrongUsage(tool: String) throws {
            let scratch = try Scratch()
            try scratch.run(tool, ["--no-such-option"]).expect(64)
            try scratch.run(tool, ["--help"]).expect(0)
        }

        /// Restarts a shell that was checkpointed in a loop, and then lets it leave the loop and run the commands.
        private static func restartShell(
            _ commands: String, in scratch: Scratch, _ place: Place, options: [String]
        ) throws -> Child {
            let go = scratch.file("go")
            let loop = "echo > \(scratch.file("ready")); while [ ! -e \(go) ]; do sleep 0.02; done; \(commands)"
            let shell = try scratch.start(["bash", "-c", loop])
            #expect(Clock.wait(seconds: 30) { scratch.exists("ready") })
            try scratch.checkpointAndKill(shell.pid, of: shell)
            let restarted = try scratch.start("crrestart", place.options + options + [scratch.file("image")])
            try scratch.write("go")
            return restarted
        }
    }
}
