import Foundation
import Testing

extension EndToEnd {
    /// The exit statuses of the commands and of the tree, the effect of signals to the commands, and files for scripts.
    @Suite struct Status {
        /// A shell that notes the signals it gets and ends by SIGTERM with 21.
        private static func startListener(_ scratch: Scratch) throws -> Child {
            let traps = ["HUP", "INT", "QUIT", "USR1", "USR2", "WINCH"].map {
                "trap 'echo \($0) >> \(scratch.file("signals"))' \($0)"
            }
            let program =
                (traps + [
                    "trap 'exit 21' TERM", "trap 'echo CONT >> \(scratch.file("signals"))' CONT",
                    "echo > \(scratch.file("ready"))", "while true; do sleep 0.05; done",
                ]).joined(separator: "; ")
            let shell = try scratch.start(["bash", "-c", program])
            guard Clock.wait(seconds: 30, until: { scratch.exists("ready") }) else { throw HarnessError("no shell") }
            return shell
        }

        @Test(arguments: Place.allCases)
        func signalsArePassedOn(place: Place) throws {
            let scratch = try Scratch()
            let shell = try Self.startListener(scratch)
            try scratch.checkpointAndKill(shell.pid, of: shell)
            let restarted = try scratch.restart(place)
            let signals = [("HUP", SIGHUP), ("INT", SIGINT), ("QUIT", SIGQUIT), ("USR1", SIGUSR1), ("USR2", SIGUSR2), ("WINCH", SIGWINCH)]
            for (name, number) in signals {
                restarted.command.signal(number)
                #expect(Clock.wait(seconds: 20) { scratch.read("signals").contains(name) }, "\(name): \(restarted.command.errors)")
                #expect(restarted.command.poll() == nil)
            }
            // As from Ctrl-Z: crrestart and the tree stop, and both continue.
            restarted.command.signal(SIGTSTP)
            #expect(Clock.wait(seconds: 20) { ProcessEntry(restarted.command.pid)?.state == "T" })
            restarted.command.signal(SIGCONT)
            #expect(Clock.wait(seconds: 20) { scratch.read("signals").contains("CONT") })
            #expect(Clock.wait(seconds: 20) { ProcessEntry(restarted.command.pid)?.state == "S" })
            restarted.command.signal(SIGTERM)
            #expect(try restarted.command.wait(seconds: 30) == .exited(21))
        }

        /// A root that runs `commands`, which end it, as soon as it is told to.
        private static func restartShell(_ commands: String, _ scratch: Scratch, _ options: [String]) throws -> Child {
            let loop = "echo > \(scratch.file("ready")); while [ ! -e \(scratch.file("go")) ]; do sleep 0.02; done; \(commands)"
            let shell = try scratch.start(["bash", "-c", loop])
            #expect(Clock.wait(seconds: 30) { scratch.exists("ready") })
            try scratch.checkpointAndKill(shell.pid, of: shell)
            let restarted = try scratch.start("crrestart", ["--pidns"] + options + [scratch.file("image")])
            try scratch.write("go")
            return restarted
        }

        struct Outcome: Decodable, Equatable {
            struct Root: Decodable, Equatable {
                var exit: Int32?
                var signal: Int32?
            }
            var tool: Int32
            var error: String?
            var root: Root?
        }

        private static func outcome(_ scratch: Scratch) throws -> Outcome {
            try JSONDecoder().decode(Outcome.self, from: Data(scratch.bytes("status")))
        }

        @Test(arguments: [("exit 37", ExitStatus.exited(37)), ("kill -KILL $$", .signaled(SIGKILL))], [true, false])
        func bothStatuses(ending: (commands: String, status: ExitStatus), copies: Bool) throws {
            let scratch = try Scratch()
            let options = ["--status-file", scratch.file("status"), "--show-status"] + (copies ? ["--copy-status"] : [])
            let restarted = try Self.restartShell(ending.commands, scratch, options)
            #expect(try restarted.wait(seconds: 30) == (copies ? ending.status : .exited(0)))
            var root = Outcome.Root()
            switch ending.status {
            case .exited(let code): root.exit = code
            case .signaled(let number): root.signal = number
            }
            #expect(try Self.outcome(scratch) == Outcome(tool: 0, error: nil, root: root))
            #expect(restarted.errors.contains("root"))
        }

        @Test func aFailureOfTheToolIsItsOwn() throws {
            let scratch = try Scratch()
            try scratch.write("image", Array("no image".utf8))
            let arguments = ["--status-file", scratch.file("status"), "--copy-status", scratch.file("image")]
            try scratch.run("crrestart", arguments).expect(2)
            let outcome = try Self.outcome(scratch)
            #expect(outcome.tool == 2 && outcome.root == nil && outcome.error?.contains("image") == true)
        }

        @Test func detachedStatus() throws {
            let scratch = try Scratch()
            let restarted = try Self.restartShell("exit 0", scratch, ["--detach", "--status-file", scratch.file("status")])
            #expect(try restarted.wait(seconds: 30) == .exited(0))
            #expect(try Self.outcome(scratch) == Outcome(tool: 0, error: nil, root: nil))
            #expect(scratch.becomesEmpty(seconds: 30))
        }

        /// Processes that remain after a command has ended do not hold its output open.
        @Test func detachedLetsGoOfItsOutput() throws {
            let scratch = try Scratch()
            let quiet = ["sh", "-c", "exec \"$@\" > /dev/null 2>&1", "sh"]
            let child = try scratch.start(quiet + [Host.path(of: "Workloads"), "processes", scratch.path, "2"])
            #expect(Clock.wait(seconds: 20) { scratch.exists("ready") })
            try scratch.checkpointAndKill(child.pid, of: child)
            let command = "\(Host.path(of: "crrestart")) --pidns --detach \(scratch.file("image")) | cat > \(scratch.file("told"))"
            let shell = try scratch.start(["sh", "-c", command])
            #expect(try shell.wait(seconds: 20) == .exited(0), "\(shell.errors)")
            let keepers = ProcessTable.all().filter { $0.command == "crrestart-time" && $0.session == shell.pid }
            #expect(keepers.isEmpty)
            try scratch.write("finish")
            #expect(scratch.becomesEmpty(seconds: 30))
        }

        /// Files that cannot be written are reported before the tree runs.
        @Test(arguments: ["--status-file", "--pid-file", "--log-file"])
        func filesAreCheckedFirst(option: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("files")
            try scratch.checkpointAndKill(child.pid, of: child)
            let refused = try scratch.run("crrestart", ["--pidns", option, scratch.file("none/x"), scratch.file("image")]).expect(1)
            #expect(refused.errors.contains("ENOENT") && scratch.living().isEmpty)
            try scratch.run("crrestart", ["--pidns", "--dry-run", scratch.file("image")]).expect(0)
        }

        /// Before the point of no return a signal undoes everything: when the command has ended all numbers are free.
        @Test(arguments: Place.allCases, [SIGINT, SIGTERM])
        func interruptedBeforeTheTreeRuns(place: Place, number: Int32) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["100"])
            let pids = ProcessTable.tree(of: child.pid).map(\.pid)
            try scratch.checkpointAndKill(child.pid, of: child)
            var undone = 0
            for attempt in 0..<10 {
                let command = try scratch.start("crrestart", place.options + ["--status-file", scratch.file("status"), scratch.file("image")])
                Clock.sleep(0.004 * Double(attempt))
                command.signal(number)
                let status = try command.wait(seconds: 60)
                if status == .exited(1) && command.errors.contains("interrupted") {
                    undone += 1
                    if place == .here { #expect(pids.allSatisfy { kill($0, 0) != 0 && errno == ESRCH }, "attempt \(attempt)") }
                    #expect(scratch.living().isEmpty)
                    let outcome = try Self.outcome(scratch)
                    #expect(outcome.tool == 1 && outcome.root == nil)
                } else {
                    // The signal came before the command could handle it, or the root got it.
                    #expect(status == .exited(0) || status == .signaled(number), "\(status) \(command.errors)")
                    scratch.killAll()
                }
            }
            #expect(undone > 0)
            let restarted = try scratch.restart(place)
            try scratch.finishWorkload("processes", restarted.command)
        }

        /// `crcheckpoint --kill` is killed: the tree runs, or it has ended, its image is complete, and no process has made a step since it was
        /// taken.
        @Test func checkpointerDiesWhileItKills() throws {
            let scratch = try Scratch()
            var ran = 0
            var killed = 0
            let image = scratch.file("image")
            var child = try scratch.startWorkload("ahead", ["20"])
            var duration = 1.0
            for attempt in 0..<30 {
                let arguments = ["--tree", "\(child.pid)", "-o", image, "--kill", "--force"]
                scratch.remove("image")
                let command = try scratch.start("crcheckpoint", arguments)
                // crcheckpoint ends the tree in the second half of its run.
                // The first command is not killed, only its duration is measured.
                if attempt == 0 {
                    duration = try Clock.seconds { try command.wait(seconds: 60) }
                } else {
                    Clock.sleep(Double.random(in: duration * 0.6...duration * 1.05))
                }
                command.end()
                let whole = { ProcessTable.tree(of: child.pid).filter { $0.state != "Z" }.count }
                var seen = -1
                let settled = Clock.wait(seconds: 20) {
                    let before = seen
                    seen = whole()
                    Clock.sleep(0.05)
                    return seen == before && (seen == 0 || seen == 21 && ProcessTable.runs(child.pid))
                }
                #expect(settled, "attempt \(attempt): \(seen) of 21 processes are left")
                if seen == 21 {
                    ran += 1
                    continue
                }
                killed += 1
                try scratch.run("crimage", ["verify", image]).expect(0)
                _ = scratch.becomesEmpty()
                let restarted = try scratch.restart(.namespace)
                // Some steps, before each of which it looks whether the file is ahead.
                Clock.sleep(0.1)
                try scratch.finishWorkload("ahead", restarted.command)
                for name in ["ready", "finish", "result", "steps"] { scratch.remove(name) }
                child = try scratch.startWorkload("ahead", ["20"])
            }
            print("crcheckpoint --kill killed \(ran + killed) times: \(ran) ran on, \(killed) ended")
            #expect(killed > 0)
            scratch.killAll()
        }
    }
}
