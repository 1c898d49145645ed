import Foundation
import Testing

extension EndToEnd {
    /// Trees that run before their pages are there.
    @Suite struct Lazy {
        /// Pages that no task touches do not come: what the tree does then, it does while pages are missing.
        private static let onTouchOnly = ["env", "TREERESTORE_FAULT=fill-ahead"]

        static let workloads = [
            Workload(name: "late"), Workload(name: "memory"), Workload(name: "anon", arguments: ["64"]), Workload(name: "prefork", arguments: ["8", "3"]),
            Workload(name: "family", arguments: ["2"]), Workload(name: "advice"), Workload(name: "threads", arguments: ["5"]),
        ]

        /// Known contents in memory of every kind, in every form of image.
        @Test(arguments: workloads, Place.allCases) func everyPageIsRight(workload: Workload, place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload(workload.name, workload.arguments)
            var root = running.pid
            for form in [[], ["--compress", "lz4"]] {
                try scratch.checkpointAndKill(root, of: running, options: form)
                (running, root) = try scratch.restart(place, options: ["--lazy"])
                try #require(Clock.wait(seconds: 60) { !Self.isServed(root) }, "pages are still missing")
            }
            try scratch.finishWorkload(workload.name, running)
            #expect(scratch.becomesEmpty())
        }

        /// None ahead, and some.
        @Test(arguments: ["", ":1", ":40", ":200"], Place.allCases) func usedWhilePagesCome(passage: String, place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            let running = try scratch.restart(
                image: "image", options: place.options + ["--lazy"], wrapper: ["env", "TREERESTORE_FAULT=fill-ahead\(passage)"])
            try scratch.finishWorkload("late", running.command)
            #expect(scratch.becomesEmpty())
        }

        private static func served(_ mode: String) -> [String] { ["/usr/bin/python3", Host.programs + "/served.py", mode] }

        /// `--served`: another program reads the image.
        @Test(arguments: [true, false]) func askedFor(isAhead: Bool) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            let wrapper = isAhead ? [] : Self.onTouchOnly
            let running = try scratch.restart(image: "image", options: ["--lazy"], wrapper: wrapper + Self.served("whole"))
            try scratch.finishWorkload("late", running.command)
            #expect(running.command.output.contains("done 1, ended"), "\(running.command.output)")
            #expect(scratch.becomesEmpty())
        }

        /// Without the other side, or with other bytes from it, pages are missing: the tree is ended, and the reason told.
        @Test(arguments: [("hung up", "the program that serves the image is gone"), ("damaged", "are damaged")])
        func endedWithoutItsImage(mode: String, reason: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["64"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let running = try scratch.restart(image: "image", options: ["--lazy"], wrapper: Self.onTouchOnly + Self.served(mode))
            try scratch.write("finish")
            #expect(try running.command.wait(seconds: 60) == .signaled(SIGKILL))
            #expect(running.command.output.contains("done 0, ended"), "\(running.command.output)")
            #expect(running.command.errors.contains(reason) && running.command.errors.contains("the tree is ended"), "\(running.command.errors)")
            #expect(scratch.becomesEmpty())
            #expect(!scratch.exists("result"))
        }

        @Test func noAnswerThatThereIs() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            let nonsense = Self.served("nonsense") + [Host.path(of: "crrestart"), "--lazy", "--pid-file", scratch.file("pid"), scratch.file("image")]
            let refused = try scratch.run(nonsense).expect(1)
            #expect(refused.errors.contains("EPROTO") && refused.errors.contains("docs/protocol.md"), "\(refused.errors)")
            for (options, word) in [(["--served", "0"], "goes with --lazy"), (["--lazy", "--served", "0"], "descriptors 0 to 2"), (["--lazy", "--served", "77"], "which is not open")] {
                let wrong = try scratch.run("crrestart", options + [scratch.file("image")]).expect(64)
                #expect(wrong.errors.contains(word), "\(wrong.errors)")
            }
            #expect(scratch.isEmpty)
        }

        /// Pages of the parent image and of the image itself.
        @Test func incremental() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("first"), "--compress", "zstd"]).require()
            try scratch.checkpointAndKill(child.pid, of: child, options: ["--parent", scratch.file("first")])
            let running = try scratch.restart(image: "image", options: ["--lazy"], wrapper: Self.onTouchOnly)
            // What is open stays.
            scratch.remove("first")
            scratch.remove("image")
            try scratch.finishWorkload("late", running.command)
            #expect(scratch.becomesEmpty())
        }

        /// The process that brings pages is another one: crrestart may end, or be killed.
        @Test(arguments: [true, false]) func crrestartIsNotNeeded(detaches: Bool) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            if detaches {
                // As in a script: nothing must keep the pipe open that the shell reads to its end.
                let done = try scratch.run(
                    Self.onTouchOnly + ["bash", "-c", "root=$(\"$@\"); echo $root", "bash", Host.path(of: "crrestart"), "--lazy", "--detach", scratch.file("image")]
                ).require()
                #expect(Int(done.output.trimmingCharacters(in: .whitespacesAndNewlines)) != nil, "\(done.output)")
            } else {
                let running = try scratch.restart(image: "image", options: ["--lazy"], wrapper: Self.onTouchOnly)
                running.command.signal(SIGKILL)
                #expect(try running.command.wait(seconds: 20) == .signaled(SIGKILL))
            }
            try scratch.write("finish")
            #expect(scratch.becomesEmpty(seconds: 60))
            #expect(scratch.read("result") == "OK late\n", "\(scratch.read("failures"))")
        }

        /// Pages that are missing would be zeros without the process that brings them: the tree ends with it.
        @Test(arguments: Place.allCases) func treeEndsWithItsServer(place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            let running = try scratch.restart(image: "image", options: place.options + ["--lazy"], wrapper: Self.onTouchOnly)
            let server = try Self.process("crrestart-pages", in: scratch)
            kill(server, SIGKILL)
            #expect(try running.command.wait(seconds: 30) == .signaled(SIGKILL))
            #expect(scratch.becomesEmpty())
            #expect(running.command.errors.contains("the process that brings pages (\(server)) was ended from outside; the tree is ended"), "\(running.command.errors)")
            #expect(!scratch.exists("failures"))
        }

        /// The guard alone decides nothing.
        @Test func serverGoesOnWithoutItsGuard() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            let running = try scratch.restart(image: "image", options: ["--lazy"], wrapper: Self.onTouchOnly)
            kill(try Self.process("crrestart-guard", in: scratch), SIGKILL)
            try scratch.finishWorkload("late", running.command)
            #expect(scratch.becomesEmpty())
        }

        /// Contents that are not those of the checkpoint reach no program.
        @Test func damagedPagesEndTheTree() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["64"])
            try scratch.checkpointAndKill(child.pid, of: child)
            var image = scratch.bytes("image")
            // In the middle of 64 MiB of pages.
            image[image.count / 2] ^= 1
            try scratch.write("image", image)
            let running = try scratch.restart(image: "image", options: ["--lazy"], wrapper: Self.onTouchOnly)
            try scratch.write("finish")
            #expect(try running.command.wait(seconds: 30) == .signaled(SIGKILL))
            #expect(scratch.becomesEmpty())
            #expect(running.command.errors.contains("of page data at 0x") && running.command.errors.contains("are damaged") && running.command.errors.contains("the tree is ended"), "\(running.command.errors)")
            #expect(!scratch.exists("result"))
        }

        /// A checkpoint would take pages that have not come for zeros.
        @Test func noCheckpointBeforeAllPagesAreThere() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            let running = try scratch.restart(image: "image", options: ["--lazy"], wrapper: Self.onTouchOnly)
            for options in [[], ["--dry-run"]] {
                let refused = try scratch.run("crcheckpoint", ["--tree", "\(running.root)", "-o", scratch.file("again")] + options).expect(4)
                #expect(refused.errors.contains("is served by userfaultfd") && refused.errors.contains("crrestart --lazy"), "\(refused.errors)")
            }
            #expect(!scratch.exists("again"))
            try scratch.finishWorkload("late", running.command)
            #expect(scratch.becomesEmpty())
        }

        /// What has no places that can be read, and who may not answer page faults.
        @Test func refusedBeforeAnythingIsMade() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("late")
            try scratch.checkpointAndKill(child.pid, of: child)
            let piped = try scratch.run(["bash", "-c", "cat \(scratch.file("image")) | \(Host.path(of: "crrestart")) --lazy -"]).expect(3)
            #expect(piped.errors.contains("ESPIPE") && piped.errors.contains("--lazy reads pages when they are touched"), "\(piped.errors)")
            chmod(scratch.file("image"), 0o644)
            let unprivileged = try scratch.run(["setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace", Host.path(of: "crrestart"), "--lazy", scratch.file("image")]).expect(3)
            #expect(unprivileged.errors.contains("--lazy: page faults of the tree cannot be answered here: EPERM"), "\(unprivileged.errors)")
            #expect(scratch.isEmpty)
        }

        /// How much comes late.
        @Test func isTold() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["16"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let shown = try scratch.run("crrestart", ["--lazy", "--dry-run", scratch.file("image")]).expect(0).output
            #expect(shown.contains("userfaultfd") && shown.contains("lazy  16 MiB in 1 address space come while the tree runs"), "\(shown)")
            let done = try scratch.run("crrestart", ["--lazy", "--detach", "--json", scratch.file("image")]).require()
            let report = try #require(JSONSerialization.jsonObject(with: Data(done.output.utf8)) as? [String: Any], "\(done.output)")
            #expect(report["lazy_bytes"] as? Int == 16 << 20)
            try scratch.write("finish")
            #expect(scratch.becomesEmpty(seconds: 60))
            #expect(scratch.read("result") == "OK anon\n")
        }

        /// Whether pages of a process or of its descendants can be missing.
        static func isServed(_ root: pid_t) -> Bool {
            ProcessTable.tree(of: root).contains { process in
                let text = (try? ProcessTable.text("/proc/\(process.pid)/smaps")) ?? ""
                return text.split(separator: "\n").contains { $0.hasPrefix("VmFlags:") && $0.split(separator: " ").contains("um") }
            }
        }

        /// It gets its name when the tree may run already.
        private static func process(_ name: String, in scratch: Scratch) throws -> pid_t {
            var found: pid_t?
            _ = Clock.wait(seconds: 30) {
                found = scratch.living().first { $0.command == name }?.pid
                return found != nil
            }
            return try #require(found)
        }
    }
}
