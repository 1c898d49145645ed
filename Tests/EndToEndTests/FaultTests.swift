import Foundation
import Testing

extension EndToEnd {
    /// One system call of each stage fails on purpose (`TREERESTORE_FAULT`): a sentence tells it, nothing is left
    /// behind, and the program goes on, or can be restarted from the same image afterwards.
    @Suite struct Faults {
        /// What is broken, and how the command has to end.
        struct Fault: Sendable, CustomTestStringConvertible {
            var setting: String
            var status: Int32 = 1
            /// Part of the sentence besides `cannot` and the errno.
            var sentence: String
            var options: [String] = []

            init(_ setting: String, status: Int32 = 1, _ sentence: String, options: [String] = []) {
                self.setting = setting
                self.status = status
                self.sentence = sentence
                self.options = options
            }

            var testDescription: String { setting }
            var errno: String { setting.split(separator: "=").dropFirst().first.map(String.init) ?? "EIO" }
        }

        // MARK: Checkpoint

        static let checkpointFaults = [
            // Before freeze.
            Fault("create-image=ENOSPC", "write image"),
            // Freeze.
            Fault("seize", "seize"),
            Fault("seize:3=EPERM", "seize"),
            // Collect: from outside.
            Fault("proc-fdinfo:3", "read the state of"),
            Fault("proc-limits=ENOMEM", "read the state of"),
            Fault("kcmp=EPERM", "read the state of"),
            Fault("pidfd-getfd:2=EPERM", status: 4, "cannot be asked who gets the signals"),
            // Collect: by calls of the tasks themselves, at their beginning and in the middle.
            Fault("set-registers", "ask thread"),
            Fault("write-memory", "ask thread"),
            Fault("resume-to-call:3", "ask thread"),
            Fault("set-signal-mask:3", "ask thread"),
            Fault("peek-signals:3=ENOMEM", "ask thread"),
            Fault("page-map:2", "look at the memory of"),
            // Write.
            Fault("read-pages", "write image"),
            Fault("write-image=ENOSPC", "write image"),
            Fault("write-image:3=EDQUOT", "write image"),
            // Commit.
            Fault("sync-image", "write image"),
            Fault("link-image=EACCES", "write image"),
            Fault("rename-image", "write image", options: ["--force"]),
        ]

        /// With `--kill`: a tree that was not saved must not be ended.
        @Test func checkpointsThatFail() throws {
            let scratch = try Scratch()
            let pipeline = try Self.startPipeline(in: scratch)
            for fault in Self.checkpointFaults {
                let replaces = fault.options == ["--force"]
                if replaces { try scratch.write("image", Array("precious".utf8)) }
                let done = try run(
                    "crcheckpoint", ["--tree", "\(pipeline.pid)", "-o", scratch.file("image"), "--kill"] + fault.options,
                    fault, in: scratch)
                expect(done, fault)
                try #require(pipeline.poll() == nil, "\(fault.setting): the pipeline is gone")
                // A child of the shell has the shell's name until it is `sleep`.
                let goesOn = Clock.wait(seconds: 30) {
                    let members = Self.members(in: scratch)
                    return members.map(\.command).sorted() == Self.pipeline && members.allSatisfy { ProcessTable.runs($0.pid) }
                }
                #expect(goesOn, "\(fault.setting): \(Self.members(in: scratch).map { "\($0.command) \($0.state)" })")
                let wanted = replaces ? ["data", "image", "out", "tmp"] : ["data", "out", "tmp"]
                #expect(Self.files(in: scratch) == wanted, "\(fault.setting): \(Self.files(in: scratch))")
                if replaces { #expect(scratch.read("image") == "precious") }
                scratch.remove("image")
            }
            try Self.finish(pipeline, in: scratch)
        }

        /// These are survived: there is another way.
        @Test(arguments: ["setup-bpf=EPERM", "run-bpf", "fork-check=EAGAIN", "fork-guardian=EAGAIN"])
        func checkpointThatFindsAnotherWay(_ setting: String) throws {
            let scratch = try Scratch()
            let pipeline = try Self.startPipeline(in: scratch)
            let arguments = ["--tree", "\(pipeline.pid)", "-o", scratch.file("image"), "--kill"]
            try run("crcheckpoint", arguments, Fault(setting, ""), in: scratch).require()
            try pipeline.wait(seconds: 20)
            #expect(scratch.becomesEmpty())
            try Self.finish(try scratch.restart(.here).command, in: scratch)
        }

        /// Programs that read the kernel's memory are loaded when something needs them: of a thread that waits in epoll_wait with a
        /// time limit, the first shows whether the kernel takes any, and the second looks for its timer. That the fault is met
        /// at all shows the command that it kills.
        @Test(arguments: ["setup-bpf:1", "setup-bpf:2", "run-bpf:1"])
        func checkpointWithoutTheKernelsMemory(_ point: String) throws {
            let scratch = try Scratch()
            let code = "import select, signal, sys; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0)); select.epoll().poll(600)"
            let waiter = try scratch.start(["/usr/bin/python3", "-c", code])
            try #require(Clock.wait(seconds: 20) { ProcessTable.systemCall(of: waiter.pid) == 232 }, "\(waiter.errors)")
            let arguments = ["--tree", "\(waiter.pid)", "-o", scratch.file("image"), "--kill"]
            let killed = try run("crcheckpoint", arguments, Fault(point + "=SIGKILL", ""), in: scratch)
            #expect(killed.status == .signaled(SIGKILL), "\(killed.status) \(killed.errors)")
            #expect(Clock.wait(seconds: 30) { ProcessTable.systemCall(of: waiter.pid) == 232 } && waiter.poll() == nil, "\(waiter.errors)")
            try run("crcheckpoint", arguments, Fault(point + "=EPERM", ""), in: scratch).require()
            try waiter.wait(seconds: 20)
            let (command, root) = try scratch.restart(.here)
            #expect(Clock.wait(seconds: 30) { ProcessTable.systemCall(of: root) == 232 }, "\(command.errors)")
            kill(root, SIGUSR1)
            #expect(try command.wait(seconds: 20) == .exited(0), "\(command.errors)")
        }

        // MARK: Restart

        static let restartFaults = [
            // Read, validate.
            Fault("open", status: 2, "open image"),
            Fault("pread-image:2", "read image"),
            // Prepare.
            Fault("make-namespace=ENOSPC", "make a time namespace"),
            Fault("set-time-offsets=EACCES", "set the tree's clocks"),
            Fault("map-launchpad=ENOMEM", "map the launchpad"),
            Fault("protect-loop=EACCES", "map the launchpad"),
            Fault("make-pipe:2=EMFILE", "make a pipe"),
            // Fork.
            Fault("clone-inner=EAGAIN", "fork the inner half"),
            Fault("seize=EPERM", "seize the inner half"),
            Fault("duplicate:2=EMFILE", "create"),
            Fault("clone-root=EAGAIN", "create"),
            // Load.
            Fault("check-pages:2", "read image"),
            // Finalise.
            Fault("interrupt:2", "finalise"),
            Fault("set-trace-options:2", "finalise"),
            Fault("get-registers", "finalise"),
            Fault("set-registers:2", "finalise"),
            Fault("set-signal-mask:2", "finalise"),
            Fault("resume-to-call", "finalise"),
        ]

        @Test(arguments: Place.allCases)
        func restartsThatFail(place: Place) throws {
            let scratch = try Scratch()
            let pipeline = try Self.startPipeline(in: scratch)
            try scratch.checkpointAndKill(pipeline.pid, of: pipeline)
            var faults = Self.restartFaults
            if place == .namespace { faults.append(Fault("mount-proc=EPERM", "create")) }
            for fault in faults {
                let done = try run("crrestart", place.options + [scratch.file("image")], fault, in: scratch)
                expect(done, fault)
                #expect(scratch.becomesEmpty(), "\(fault.setting): \(scratch.living().map(\.command))")
                let files = Self.files(in: scratch)
                #expect(files == ["data", "image", "out", "tmp"], "\(fault.setting): \(files)")
            }
            try Self.finish(try scratch.restart(place).command, in: scratch)
        }

        // MARK: The variable

        @Test(arguments: ["crcheckpoint", "crrestart"])
        func settingsAreChecked(tool: String) throws {
            let scratch = try Scratch()
            let names = try scratch.run(tool, ["--list-fault-points"]).expect(0).output.split(separator: "\n")
            #expect(names.count > 50 && names.contains("seize"), "\(names)")
            for setting in ["sieze", "seize:x", "seize=EWHAT"] {
                let done = try run(tool, ["--help"], Fault(setting, ""), in: scratch).expect(64)
                #expect(done.errorLines.count == 1 && done.errors.contains(setting), "\(done.errors)")
            }
        }

        // MARK: Helpers

        private func run(_ tool: String, _ arguments: [String], _ fault: Fault, in scratch: Scratch) throws -> Finished {
            try scratch.run(
                [Host.path(of: tool), "--progress", "none"] + arguments, environment: ["TREERESTORE_FAULT": fault.setting])
        }

        private func expect(_ done: Finished, _ fault: Fault) {
            #expect(done.status == .exited(fault.status), "\(fault.setting): \(done.status), \(done.output)\(done.errors)")
            #expect(done.output.isEmpty, "\(fault.setting): \(done.output)")
            let says = done.errors.contains("cannot ") && done.errors.contains(fault.errno) && done.errors.contains(fault.sentence)
            #expect(says, "\(fault.setting): \(done.errors)")
        }

        /// The programs of the pipeline; `sleep` comes and goes.
        private static let pipeline = ["bash", "bash", "sha256sum", "sort", "xz"]

        private static func members(in scratch: Scratch) -> [ProcessEntry] {
            scratch.living().filter { $0.command != "sleep" && !$0.command.hasPrefix("cr") }
        }

        private static func commands(in scratch: Scratch) -> [String] { members(in: scratch).map(\.command).sorted() }

        /// All but the output of the programs that the test ran.
        private static func files(in scratch: Scratch) -> [String] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: scratch.path)) ?? []
            return names.filter { !$0.hasSuffix(".out") && !$0.hasSuffix(".err") && $0 != "root.pid" }.sorted()
        }

        /// `sort` holds the data until the file `go` is there: the pipeline takes as long as the test.
        private static func startPipeline(in scratch: Scratch) throws -> Child {
            var text: [UInt8] = []
            for number in 0..<20_000 { text += Array("\((number &* 7919) % 20_011) is a line of the text\n".utf8) }
            try scratch.write("data", text)
            let commands = """
                cd \(scratch.path)
                (cat data; until [ -e go ]; do sleep 0.1; done) | sort | xz -9 -T1 | sha256sum > out
                exit $?
                """
            let pipeline = try scratch.start(["bash", "-c", commands])
            guard Clock.wait(seconds: 20, until: { Self.commands(in: scratch) == Self.pipeline }) else {
                throw HarnessError("the pipeline did not start: \(Self.commands(in: scratch))")
            }
            return pipeline
        }

        /// Lets the pipeline end, and compares its digest with that of an undisturbed run.
        private static func finish(_ command: Child, in scratch: Scratch) throws {
            let wanted = try scratch.run(["bash", "-c", "sort \(scratch.file("data")) | xz -9 -T1 | sha256sum"]).require()
            try scratch.write("go")
            #expect(try command.wait(seconds: 60) == .exited(0), "\(command.errors)")
            #expect(scratch.read("out") == wanted.output)
            #expect(scratch.becomesEmpty())
        }
    }
}
