import Foundation
import Testing

extension EndToEnd {
    /// Descriptors that lead out of the tree: let through by `crcheckpoint --external`, and replaced by `crrestart --fd`.
    @Suite struct OutsideDescriptors {
        /// A daemon that leaked the write end of a pipe at 9, to its child as well; and the id of the pipe. Every 50 ms each of
        /// them writes a line there, and counts what went wrong.
        private func daemon(_ scratch: Scratch, children: Int = 1) throws -> (root: pid_t, child: Child, id: String) {
            try scratch.write("daemon.py", Array(Self.script.utf8))
            let commands = "(trap '' PIPE; exec python3 \(scratch.file("daemon.py")) \(scratch.path) \(children) 9>&1 </dev/null >/dev/null 2>\(scratch.file("daemon.err"))) | cat > \(scratch.file("before"))"
            let shell = try scratch.start(["bash", "-c", commands])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") }, "\(shell.errors)\(scratch.read("daemon.err"))")
            let root = try #require(pid_t(scratch.read("ready").trimmingCharacters(in: .whitespacesAndNewlines)))
            return (root, shell, try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(root)/fd/9"))
        }

        private static let script = """
            import errno, os, sys, time
            folder, children = sys.argv[1], int(sys.argv[2])
            for _ in range(children):
                if os.fork() == 0: break
            else:
                open(folder + "/ready.new", "w").write(str(os.getpid()))
                os.rename(folder + "/ready.new", folder + "/ready")
            wrong = 0
            while not os.path.exists(folder + "/finish"):
                try: os.write(9, b"line\\n")
                except OSError as error: wrong = error.errno
                open("%s/state.%d.new" % (folder, os.getpid()), "w").write(errno.errorcode.get(wrong, "fine"))
                os.rename("%s/state.%d.new" % (folder, os.getpid()), "%s/state.%d" % (folder, os.getpid()))
                wrong = 0
                time.sleep(0.05)
            try:
                while os.wait(): pass
            except ChildProcessError: pass
            """

        private func states(_ scratch: Scratch) -> [String] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: scratch.path)) ?? []
            return names.filter { $0.hasPrefix("state.") && !$0.hasSuffix(".new") }.map { scratch.read($0) }
        }

        private func forgetStates(_ scratch: Scratch) {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: scratch.path)) ?? []
            for name in names where name.hasPrefix("state.") && !name.hasSuffix(".new") { scratch.remove(name) }
        }

        private func checkpointed(_ scratch: Scratch) throws -> String {
            let (root, shell, id) = try daemon(scratch)
            let refused = try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill"]).expect(4)
            #expect(
                refused.errors.contains("crcheckpoint --external '\(id)', and crrestart --fd 9=null"), "\(refused.errors)")
            try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill", "--external", id]).require()
            _ = try shell.wait(seconds: 20)
            try #require(scratch.becomesEmpty())
            let files = try scratch.run("crimage", ["files", scratch.file("image")]).require()
            #expect(files.output.contains("\(id), external: the write end of a pipe"), "\(files.output)")
            forgetStates(scratch)
            return id
        }

        @Test(arguments: [("9=null", "fine"), ("9=close", "EBADF"), ("9=append:LOG", "fine"), ("9=LOG", "fine")], Place.allCases)
        func leakedPipe(_ how: (option: String, state: String), place: Place) throws {
            let scratch = try Scratch()
            let id = try checkpointed(scratch)
            try scratch.write("log", Array("old\n".utf8))
            let refused = try scratch.run("crrestart", place.options + [scratch.file("image")]).expect(3)
            #expect(
                refused.errorLines.contains { $0.contains("\(id): fd 9 was the write end of a pipe, and nothing is in its place (--fd 9=null, --fd 9=close, ") },
                "\(refused.errors)")
            #expect(scratch.read("log") == "old\n" && scratch.living().isEmpty)
            let option = how.option.replacing("LOG", with: scratch.file("log"))
            let (command, _) = try scratch.restart(place, options: ["--fd", option])
            #expect(Clock.wait(seconds: 20) { states(scratch).count == 2 }, "\(command.errors)")
            Clock.sleep(0.3)
            #expect(states(scratch) == [how.state, how.state])
            try scratch.write("finish")
            #expect(try command.wait(seconds: 20) == .exited(0), "\(command.errors)")
            let lines = scratch.read("log").split(separator: "\n")
            switch how.option {
            case "9=append:LOG": #expect(lines.first == "old" && lines.count > 4 && lines.dropFirst().allSatisfy { $0 == "line" }, "\(lines)")
            case "9=LOG": #expect(lines.count > 4 && lines.allSatisfy { $0 == "line" }, "\(lines)")
            default: #expect(lines == ["old"])
            }
        }

        /// By the number of the program and by the id of what was there; crrestart closes everything else that it was given.
        @Test(arguments: ["9=fd:5", "5=ID"], Place.allCases) func inheritedDescriptor(option: String, place: Place) throws {
            let scratch = try Scratch()
            let id = try checkpointed(scratch)
            let command = try scratch.start([
                "bash", "-c",
                "exec \(Host.path(of: "crrestart")) --copy-status \(place.options.joined(separator: " ")) --fd '\(option.replacing("ID", with: id))' \(scratch.file("image")) 5>\(scratch.file("given")) 6>\(scratch.file("stray"))",
            ])
            #expect(Clock.wait(seconds: 30) { states(scratch).count == 2 || command.poll() != nil }, "\(command.errors)")
            Clock.sleep(0.3)
            #expect(states(scratch) == ["fine", "fine"], "\(command.errors)")
            let links = scratch.living().filter { $0.command == "python3" || $0.command.hasPrefix("crrestart") }.flatMap { one in
                ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(one.pid)/fd")) ?? []).compactMap {
                    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(one.pid)/fd/\($0)")
                }
            }
            #expect(links.count { $0 == scratch.file("given") } == 2 && !links.contains(scratch.file("stray")), "\(links)")
            try scratch.write("finish")
            #expect(try command.wait(seconds: 20) == .exited(0), "\(command.errors)")
            #expect(scratch.read("given").hasPrefix("line\nline\n"))
        }

        /// Each process of the tree gets something of its own at the same number.
        @Test(arguments: Place.allCases) func oneProcessAlone(place: Place) throws {
            let scratch = try Scratch()
            let (root, shell, id) = try daemon(scratch)
            let child = try #require(ProcessTable.children(of: root).first)
            try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill", "--external", id]).require()
            _ = try shell.wait(seconds: 20)
            try #require(scratch.becomesEmpty())
            forgetStates(scratch)
            // One alone leaves the other without anything.
            let refused = try scratch.run("crrestart", place.options + ["--fd", "\(child):9=null", scratch.file("image")]).expect(3)
            #expect(refused.errors.contains("nothing is in its place"), "\(refused.errors)")
            for (choices, places) in [
                (["\(root):9=append:\(scratch.file("log"))", "\(child):9=null"], [scratch.file("log"), "/dev/null"]),
                (["\(child):9=append:\(scratch.file("log"))", "\(root):9=close"], [nil, scratch.file("log")]),
            ] {
                let (command, _) = try scratch.restart(place, options: choices.flatMap { ["--fd", $0] })
                #expect(Clock.wait(seconds: 20) { states(scratch).count == 2 }, "\(command.errors)")
                let tree = scratch.living().filter { $0.command == "python3" }.sorted { $0.pid < $1.pid }
                #expect(tree.map { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0.pid)/fd/9") } == places, "\(tree.map(\.pid))")
                #expect(states(scratch).sorted() == (places.contains(nil) ? ["EBADF", "fine"] : ["fine", "fine"]))
                try scratch.write("finish")
                #expect(try command.wait(seconds: 20) == .exited(0), "\(command.errors)")
                #expect(scratch.read("log").hasPrefix("line\n"))
                for name in ["finish", "log"] { scratch.remove(name) }
                forgetStates(scratch)
            }
        }

        /// Refused before anything is created: what means nothing, what is not open, and what cannot be opened.
        @Test func choicesThatCannotBeMade() throws {
            let scratch = try Scratch()
            _ = try checkpointed(scratch)
            for (option, code, text) in [
                ("77=null", Int32(3), "no process of the tree has that"), ("9=nul", 64, "N=null, N=close, N=/path"),
                ("9=fd:55", 64, "descriptor 55 of crrestart is not open"), ("9=/nowhere/log", 1, "cannot open /nowhere/log for --fd 9=/nowhere/log: ENOENT"),
            ] {
                let refused = try scratch.run("crrestart", ["--pidns", "--fd", option, scratch.file("image")]).expect(code)
                #expect(refused.errors.contains(text), "\(refused.errors)")
                #expect(scratch.living().isEmpty)
            }
            let reader = try scratch.run([
                "bash", "-c", "exec \(Host.path(of: "crrestart")) --pidns --fd 9=fd:5 \(scratch.file("image")) 5</dev/null",
            ]).expect(3)
            #expect(reader.errors.contains("the program is to write there, and descriptor 5 of crrestart is not open for that"), "\(reader.errors)")
        }

        /// One finding for a pipe that 201 processes hold, and one word that helps all of them.
        @Test func pipeOfManyProcesses() throws {
            let scratch = try Scratch()
            let (root, _, id) = try daemon(scratch, children: 200)
            let refused = try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill"]).expect(4)
            let findings = refused.errorLines.filter { $0.contains("end of a pipe") }
            #expect(findings.count == 1 && findings.first?.contains("201 processes have it open") == true, "\(refused.errors)")
            try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill", "--external", id]).require()
            try #require(scratch.becomesEmpty())
            forgetStates(scratch)
            let (command, _) = try scratch.restart(.namespace, options: ["--fd", "9=null"])
            #expect(Clock.wait(seconds: 60) { states(scratch).count == 201 })
            #expect(Set(states(scratch)) == ["fine"])
            try scratch.write("finish")
            #expect(try command.wait(seconds: 30) == .exited(0), "\(command.errors)")
        }

        /// A connection with a log daemon outside, and a device: each by its own id.
        @Test(arguments: Place.allCases) func logSocketAndDevice(place: Place) throws {
            let scratch = try Scratch()
            try scratch.write("log.py", Array(Self.logger.utf8))
            let server = try scratch.start(["python3", scratch.file("log.py"), "server", scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("server") }, "\(server.errors)")
            let client = try scratch.start(["python3", scratch.file("log.py"), "client", scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("client") }, "\(client.errors)")
            let refused = try scratch.run("crcheckpoint", ["--tree", "\(client.pid)", "-o", scratch.file("image"), "--kill"]).expect(4)
            let socket = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(client.pid)/fd/7")
            #expect(refused.errorLines.contains { $0.contains("fd 7: is a unix ") && $0.contains("crcheckpoint --external '\(socket)', and crrestart --fd 7=null") }, "\(refused.errors)")
            #expect(refused.errorLines.contains { $0.contains("fd 8: is the device /dev/fuse (10:229)") && $0.contains("crcheckpoint --external /dev/fuse, and crrestart --fd 8=null") }, "\(refused.errors)")
            let done = try scratch.run(
                "crcheckpoint", ["--tree", "\(client.pid)", "-o", scratch.file("image"), "--kill", "--external", socket, "--external", "/dev/fuse"]
            ).require()
            #expect(done.errors.contains("\(socket) is not in the image: a restart needs something in its place, for instance crrestart --fd 7=null"), "\(done.errors)")
            _ = try client.wait(seconds: 20)
            let (command, _) = try scratch.restart(place, options: ["--fd", "7=append:\(scratch.file("log"))", "--fd", "8=close"])
            try scratch.write("finish")
            #expect(try command.wait(seconds: 20) == .exited(0), "\(command.errors)")
            #expect(scratch.read("log") == "after\n")
        }

        private static let logger = """
            import os, socket, sys, time
            side, folder = sys.argv[1:]
            if side == "server":
                server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                server.bind(folder + "/dev-log")
                open(folder + "/server", "w").close()
                while True: server.recv(100)
            log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            log.connect(folder + "/dev-log")
            os.dup2(log.detach(), 7)
            os.close(3)
            fuse = os.open("/dev/fuse", os.O_RDWR)
            os.dup2(fuse, 8)
            os.close(fuse)
            os.write(7, b"before\\n")
            open(folder + "/client", "w").close()
            while not os.path.exists(folder + "/finish"): time.sleep(0.02)
            os.write(7, b"after\\n")
            try: os.fstat(8)
            except OSError: sys.exit(0)
            sys.exit(1)
            """
    }
}
