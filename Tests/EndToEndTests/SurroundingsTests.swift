import Foundation
import Testing

extension EndToEnd {
    /// Terminals, logs, time limits, ordinary users.
    @Suite struct Surroundings {
        private static func onTerminal(_ command: [String]) -> [String] {
            ["python3", Host.programs + "/onterminal.py"] + command
        }

        /// A tree whose terminal belongs to a process outside gets that of crrestart, and both commands say so.
        @Test(arguments: Place.allCases, [[], ["elsewhere"]])
        func anotherTerminal(place: Place, arguments: [String]) throws {
            let scratch = try Scratch()
            let first = try scratch.start(Self.onTerminal([Host.path(of: "Workloads"), "terminal", scratch.path] + arguments))
            #expect(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(first.errors)")
            let root = try #require(ProcessTable.children(of: first.pid).first)
            let log = scratch.file("messages")
            let done = try scratch.run(
                "crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill", "--log-file", log]
            ).require()
            #expect(done.errors.contains("belong"), "\(done.errors)")
            #expect(scratch.read("messages").contains("belong"))
            try first.wait(seconds: 20)
            scratch.remove("ready")
            if !arguments.isEmpty {
                let refused = try scratch.run(["setsid", "-w", Host.path(of: "crrestart"), scratch.file("image")]).expect(3)
                #expect(refused.errors.contains("is a terminal, and crrestart has none"), "\(refused.errors)")
            }
            let options = place.options + ["--copy-status", "--progress", "live", "--pid-file", scratch.file("root.pid")]
            let second = try scratch.start(Self.onTerminal([Host.path(of: "crrestart")] + options + [scratch.file("image")]))
            #expect(Clock.wait(seconds: 20) { scratch.hasLine("root.pid") || second.poll() != nil }, "\(second.output)")
            try scratch.finishWorkload("terminal", second)
            #expect(second.output.contains("the terminal is /dev/pts/") || second.output.contains("the terminal is ?"))
            #expect(second.output.contains("stands in"))
            #expect(scratch.becomesEmpty())
        }

        /// One live line on a terminal; one line per stage elsewhere; nothing with `none`.
        @Test func progress() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("files")
            func checkpoint(_ options: [String]) -> [String] {
                [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"] + options
            }
            let live = try scratch.run(Self.onTerminal(checkpoint([]))).require().output
            for stage in ["freeze", "collect", "write", "commit"] { #expect(live.contains("\r\u{1b}[K" + stage)) }
            #expect(live.contains("MiB/s") && live.contains("\r\u{1b}[K" + scratch.file("image")))
            let lines = try scratch.run(checkpoint([])).require().errorLines
            #expect(lines.prefix(3) == ["freeze", "collect", "write"] && lines.suffix(2) == ["commit", "release"])
            #expect(try scratch.run(checkpoint(["--progress", "none"])).require().errors.isEmpty)
            try scratch.finishWorkload("files", child)
        }

        /// The log file gets all messages, whatever the level on standard error.
        @Test func logFiles() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("files")
            let log = ["--log-file", scratch.file("messages"), "--log-level", "error"]
            let done = try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill"] + log).require()
            #expect(!done.errors.contains("debug"))
            try child.wait(seconds: 20)
            #expect(scratch.becomesEmpty())
            let ofCheckpoint = scratch.read("messages")
            for stage in ["freeze", "write", "done"] { #expect(ofCheckpoint.contains("ms: \(stage)")) }
            try scratch.run("crrestart", ["--pidns", "--detach"] + log + [scratch.file("image")]).require()
            // Messages are appended to an old log file.
            #expect(scratch.read("messages").hasPrefix(ofCheckpoint) && scratch.read("messages").contains("ms: the tree runs"))
            try scratch.write("finish")
            #expect(scratch.becomesEmpty(seconds: 30) && scratch.read("result") == "OK files\n")
        }

        @Test func aTaskThatCannotBeStopped() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("vforker")
            let done = try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--freeze-timeout", "0.3"]).expect(1)
            #expect(done.errors.contains("cannot stop \(child.pid) Workloads: it waits in vfork for its child "), "\(done.errors)")
            #expect(done.errors.contains("neither called execve nor ended in time (--freeze-timeout"), "\(done.errors)")
            #expect(!scratch.exists("image"))
            try scratch.finishWorkload("vforker", child)
        }

        private static let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]

        private static func startAsUser(_ workload: String, _ scratch: Scratch) throws -> Child {
            // Not with the files of the test process, which an ordinary user could not open.
            let quiet = ["sh", "-c", "exec \"$@\" > /dev/null 2>&1", "sh"]
            let child = try scratch.start(user + quiet + [Host.path(of: "Workloads"), workload, scratch.path, "3"])
            guard Clock.wait(seconds: 20, until: { scratch.exists("ready") || child.poll() != nil }), child.poll() == nil else {
                try Test.cancel("the workload's file is out of reach for an ordinary user: \(child.errors)")
            }
            return child
        }

        /// What an ordinary user can do with one capability, and without user namespaces.
        @Test func ordinaryUsers() throws {
            let scratch = try Scratch()
            let child = try Self.startAsUser("anon", scratch)
            // A checkpoint of their own tree needs no capability. But it is not ended for an image that they could not restart.
            let image = scratch.file("image")
            let noNamespaces = ["env", "TREERESTORE_FAULT=make-user-namespace=EPERM"]
            let arguments =
                Self.user + noNamespaces + [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", image, "--force", "--kill"]
            let refused = try scratch.run(arguments).expect(3)
            #expect(refused.errors.contains("CAP_CHECKPOINT_RESTORE") && refused.errors.contains("--unchecked"), "\(refused.errors)")
            #expect(refused.errors.contains("a user namespace, which is refused with EPERM"), "\(refused.errors)")
            #expect(ProcessTable.runs(child.pid))
            try scratch.run(arguments + ["--unchecked"]).require()
            try child.wait(seconds: 20)
            #expect(scratch.becomesEmpty())
            let none = try scratch.run(Self.user + [Host.path(of: "crrestart"), "--no-pidns", image]).expect(3)
            #expect(none.errors.contains("CAP_CHECKPOINT_RESTORE"), "\(none.errors)")
            #expect(scratch.living().isEmpty)
            // One capability is enough for the old pids.
            let one = Self.user + ["--inh-caps", "+checkpoint_restore", "--ambient-caps", "+checkpoint_restore"]
            let restarted = try scratch.start(one + [Host.path(of: "crrestart"), "--no-pidns", "--copy-status", image])
            try scratch.finishWorkload("anon", restarted)
        }

        /// Everything that an ordinary user lacks a privilege for is named.
        @Test func ordinaryUsersWithSharedMemory() throws {
            let scratch = try Scratch()
            let child = try Self.startAsUser("processes", scratch)
            let done = try scratch.run(
                Self.user + [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image")]).expect(4)
            #expect(done.errors.contains("shared memory") && done.errors.contains("CAP_CHECKPOINT_RESTORE"))
            try scratch.finishWorkload("processes", child)
        }

        /// An ordinary user cannot checkpoint another user's processes.
        @Test func somebodyElsesProcesses() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("files")
            let done = try scratch.run(
                Self.user + [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image")]).expect(1)
            #expect(done.errors.contains("EPERM") && done.errors.contains("CAP_SYS_PTRACE"))
            try scratch.finishWorkload("files", child)
        }
    }
}
