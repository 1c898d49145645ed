import Foundation
import Testing

extension EndToEnd {
    /// `--live`: the tree goes on while its pages are written from copies of its memory.
    @Suite struct Live {
        private static let mixed = Workload(name: "mixed", arguments: [Host.path(of: "Workloads"), "registers"])

        static let workloads = [
            Workload(name: "generations", arguments: ["24", "2"]), Workload(name: "registers"), Workload(name: "memory"),
            Workload(name: "advice"), Workload(name: "memfds"), Workload(name: "mutexes"), Workload(name: "segments"), Workload(name: "sleepers"),
            Workload(name: "anon", arguments: ["32"]), Workload(name: "prefork", arguments: ["16", "4"]), Workload(name: "family", arguments: ["1"]),
            Workload(name: "sharing"), Workload(name: "headless"), Workload(name: "rseq", arguments: ["32"]), Workload(name: "signals"),
            Workload(name: "rings"), Workload(name: "census"), Workload(name: "processes", arguments: ["60"]),
            Workload(name: "sandboxes", arguments: ["filters"]), Workload(name: "sandboxes", arguments: ["narrow"]),
            Workload(name: "sandboxes", arguments: ["strict"]), mixed,
        ]

        /// Whether any process but those of the tree is there: a copy, or what is left of one.
        private func isAlone(_ root: pid_t, in scratch: Scratch) -> Bool {
            let tree = Set(ProcessTable.tree(of: root).map(\.pid))
            return scratch.reapOrphans() == 0 && scratch.living().allSatisfy { tree.contains($0.pid) }
        }

        @Test(arguments: workloads)
        func notDisturbed(workload: Workload) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(workload.name, workload.arguments)
            let image = scratch.file("image")
            for _ in 0..<4 {
                Clock.sleep(Double.random(in: 0...0.1))
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", image, "--force", "--live"]).require()
                #expect(isAlone(child.pid, in: scratch), "\(scratch.living().map { "\($0.pid) \($0.command)" })")
            }
            try scratch.run("crimage", ["verify", image]).expect(0)
            try scratch.finishWorkload(workload.name, child)
            #expect(scratch.becomesEmpty())
        }

        /// Without the option a large tree is copied, a small one is not, and nothing is said of what stands in the way.
        @Test func withoutTheOption() throws {
            let scratch = try Scratch()
            let small = try scratch.startWorkload("registers")
            let stood = try scratch.run("crcheckpoint", ["--tree", "\(small.pid)", "-o", scratch.file("small")]).require()
            #expect(!stood.output.contains("cop") && !stood.errors.contains("note"), "\(stood.output)\(stood.errors)")
            try scratch.finishWorkload("registers", small)
            for name in ["ready", "finish", "result"] { scratch.remove(name) }
            let large = try scratch.startWorkload("anon", ["64"])
            let arguments = ["--tree", "\(large.pid)", "-o", scratch.file("image"), "--force"]
            let ran = try scratch.run("crcheckpoint", arguments).require()
            #expect(ran.output.contains("(1 copy), written while it ran"), "\(ran.output)")
            let failed = try scratch.run([Host.path(of: "crcheckpoint")] + arguments, environment: ["TREERESTORE_FAULT": "copy-memory=EAGAIN"]).require()
            #expect(!failed.output.contains("cop") && !failed.errors.contains("note"), "\(failed.output)\(failed.errors)")
            let never = try scratch.run("crcheckpoint", arguments + ["--live=never"]).require()
            #expect(!never.output.contains("cop"), "\(never.output)")
            try scratch.finishWorkload("anon", large)
            scratch.remove("finish")
            scratch.remove("result")
            try scratch.finishWorkload("anon", try scratch.restart(.here).command)
        }

        /// While every page is changed all the time, the image has each as it was when the tree stood still.
        @Test(arguments: [
            Workload(name: "generations", arguments: ["48", "3"]), Workload(name: "anon", arguments: ["64"]), Workload(name: "prefork", arguments: ["24", "4"]),
            Workload(name: "processes", arguments: ["20"]),
        ])
        func imagesAreOfOneMoment(workload: Workload) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(workload.name, workload.arguments)
            for number in 0..<3 {
                let done = try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image\(number)"), "--live=always"]).require()
                #expect(done.output.contains("cop") && done.output.contains("written while it ran"), "\(done.output)")
            }
            try scratch.finishWorkload(workload.name, child)
            #expect(scratch.becomesEmpty())
            for number in 0..<3 {
                scratch.remove("finish")
                scratch.remove("result")
                let (command, _) = try scratch.restart(number == 1 ? .namespace : .here, image: "image\(number)")
                try scratch.finishWorkload(workload.name, command)
                #expect(scratch.becomesEmpty())
            }
        }

        /// 32-bit programs copy themselves by the same calls.
        @Test(.enabled(if: Programs32.missing == nil, "\(Programs32.missing ?? "")"), arguments: ["registers", "narrow", "anon"])
        func programs32(name: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(name, program: Programs32.workloads.get())
            for _ in 0..<3 {
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--live=always"]).require()
            }
            try scratch.finishWorkload(name, child)
            #expect(scratch.becomesEmpty())
            scratch.remove("finish")
            scratch.remove("result")
            try scratch.finishWorkload(name, try scratch.restart(.here).command)
        }

        /// Mappings and what was advised about them are as before, also after a crcheckpoint that died while the task copied itself.
        @Test(arguments: [Workload(name: "generations", arguments: ["16", "2"]), Workload(name: "advice"), Workload(name: "memory")])
        func mappingsStay(workload: Workload) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(workload.name, workload.arguments)
            func mappings() -> [String] {
                let text = (try? ProcessTable.text("/proc/\(child.pid)/smaps")) ?? ""
                return text.split(separator: "\n").map(String.init).filter { $0.hasPrefix("VmFlags:") || $0.first?.isUppercase == false }
            }
            let before = mappings()
            #expect(!before.isEmpty)
            let command = [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--live=always"]
            try scratch.run(command).require()
            #expect(mappings() == before)
            // The stops on the way into the program of questions, of that which copies, and while it runs.
            for passage in ["9", "10", "11", "12", "13", "14", "15", "16"] {
                _ = try scratch.run(command, environment: ["TREERESTORE_FAULT": "resume-to-call:\(passage)=SIGKILL"])
                #expect(Clock.wait(seconds: 30) { mappings() == before }, "\(passage): \(Set(mappings()).symmetricDifference(before))")
            }
            for point in ["write-memory:2", "interrupt:4", "interrupt:5", "copy-memory"] {
                _ = try scratch.run(command, environment: ["TREERESTORE_FAULT": "\(point)=SIGKILL"])
                #expect(Clock.wait(seconds: 30) { mappings() == before }, "\(point): \(Set(mappings()).symmetricDifference(before))")
            }
            #expect(Clock.wait(seconds: 20) { isAlone(child.pid, in: scratch) }, "\(scratch.living().map { "\($0.pid) \($0.command)" })")
            try scratch.finishWorkload(workload.name, child)
        }

        /// Pages that processes share stay shared, in the tree that goes on and in the image.
        @Test func sharingStays() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("prefork", ["64", "5"])
            let tree = ProcessTable.tree(of: child.pid).map(\.pid)
            let before = Memory.share(of: tree)
            for _ in 0..<2 {
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--live=always"]).require()
            }
            let after = Memory.share(of: tree)
            #expect(after < before + 2 << 10, "\(before) KiB before, \(after) KiB after")
            let size = scratch.bytes("image").count
            #expect(size < 72 << 20, "\(size) bytes")
            try scratch.finishWorkload("prefork", child)
        }

        /// Python with threads, three times while it works; each image goes on with its work.
        @Test func pythonThreeTimes() throws {
            let scratch = try Scratch()
            let child = try scratch.start(["/usr/bin/python3", Host.programs + "/accounts.py", scratch.path])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") || child.poll() != nil } && child.poll() == nil, "\(child.errors)")
            for number in 0..<3 {
                try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image\(number)"), "--live=always"]).require()
            }
            func finish(_ command: Child) throws {
                try scratch.write("stop")
                #expect(try command.wait(seconds: 60) == .exited(0), "\(command.errors)")
                #expect(scratch.read("result") == "right\n" && scratch.becomesEmpty())
                scratch.remove("stop")
                scratch.remove("result")
            }
            try finish(child)
            for number in 0..<3 { try finish(try scratch.restart(.here, image: "image\(number)").command) }
        }

        /// A crcheckpoint that dies leaves the tree as it was, and no copy.
        @Test(arguments: [
            Workload(name: "registers"), mixed, Workload(name: "prefork", arguments: ["16", "6"]),
            Workload(name: "generations", arguments: ["32", "2"]),
        ])
        func checkpointerDies(workload: Workload) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(workload.name, workload.arguments)
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--live=always"]
            var longest = try 1.2 * Clock.seconds { try scratch.run("crcheckpoint", arguments).require() }
            var (busy, attempt) = (0, 0)
            while attempt < Host.kills / 4 || busy <= Host.kills / 16 && attempt < Host.kills * 2 {
                attempt += 1
                let command = try scratch.start("crcheckpoint", arguments)
                Clock.sleep(Double.random(in: 0...longest))
                // The first one may have been slow because the machine was busy.
                if command.poll() == nil { busy += 1 } else { longest *= 0.9 }
                command.end()
                let after = "after kill \(attempt)"
                try #require(child.poll() == nil, "\(after): \(child.poll()!)")
                try #require(!scratch.exists("failures"), "\(after): \(scratch.read("failures"))")
            }
            #expect(busy > Host.kills / 16, "\(busy) of \(attempt)")
            // A copy that was not held yet waits for some seconds.
            #expect(Clock.wait(seconds: 20) { isAlone(child.pid, in: scratch) }, "\(scratch.living().map { "\($0.pid) \($0.command)" })")
            try scratch.run("crcheckpoint", arguments).require()
            try scratch.finishWorkload(workload.name, child)
            #expect(scratch.becomesEmpty())
        }

        /// The same at chosen calls: before the copies are held, when they are, while pages are written.
        @Test(arguments: ["copy-memory=SIGKILL", "copy-memory:2=SIGKILL", "set-trace-options=SIGKILL", "set-trace-options:3=SIGKILL", "spool-pages=SIGKILL", "write-image=SIGKILL", "sync-image=SIGKILL"])
        func checkpointerDiesAt(_ setting: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("prefork", ["16", "4"])
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--live"]
            let killed = try scratch.run([Host.path(of: "crcheckpoint")] + arguments, environment: ["TREERESTORE_FAULT": setting])
            #expect(killed.status == .signaled(SIGKILL), "\(killed.status) \(killed.errors)")
            #expect(Clock.wait(seconds: 20) { isAlone(child.pid, in: scratch) }, "\(scratch.living().map { "\($0.pid) \($0.command)" })")
            try scratch.finishWorkload("prefork", child)
            #expect(scratch.becomesEmpty())
        }

        /// A copy that is ended by another process costs the image, not the tree.
        @Test func copyIsEnded() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["256"])
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--live=always"]
            let command = try scratch.start("crcheckpoint", arguments)
            var copy: pid_t?
            _ = Clock.wait(seconds: 20) {
                let others = scratch.living().filter { $0.command == "Workloads" && $0.pid != child.pid }
                // Held: before that it is not stopped.
                copy = others.first { $0.state == "t" }?.pid
                return copy != nil || command.poll() != nil
            }
            if let copy, kill(copy, SIGKILL) == 0, try command.wait(seconds: 30) != .exited(0) {
                #expect(command.poll() == .exited(1) && command.errors.contains("the copy of the memory of \(child.pid) Workloads was ended"), "\(command.errors)")
                #expect(!scratch.exists("image"))
            }
            try scratch.finishWorkload("anon", child)
        }

        // MARK: - What cannot be copied

        private static let subreaper = """
            import ctypes, os, sys, time
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
            if os.fork() == 0: time.sleep(600)
            open(sys.argv[1], "w").close()
            os.wait()
            """

        /// The tree adopts its orphans itself: the copy would be one of them.
        @Test func orphansOfTheTree() throws {
            let scratch = try Scratch()
            let child = try scratch.start(["/usr/bin/python3", "-c", Self.subreaper, scratch.file("ready")])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") && ProcessTable.tree(of: child.pid).count == 2 })
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
            let refused = try scratch.run("crcheckpoint", arguments + ["--live=always"]).expect(4)
            #expect(refused.errorLines.count { $0.contains("python3: memory: would leave its copy to \(child.pid) python3") } == 2, "\(refused.errors)")
            #expect(!scratch.exists("image"))
            let done = try scratch.run("crcheckpoint", arguments + ["--live"]).require()
            #expect(done.errors.contains("(and 1 more) were read while the tree stood still: it would leave") && !done.output.contains("cop"), "\(done.output)\(done.errors)")
            try scratch.run("crimage", ["verify", scratch.file("image")]).expect(0)
        }

        /// clone fails: the same as where a limit of processes or of memory has been reached.
        @Test func copiesThatFail() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("prefork", ["16", "4"])
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
            func run(_ setting: String, _ option: String) throws -> Finished {
                try scratch.run([Host.path(of: "crcheckpoint")] + arguments + [option], environment: ["TREERESTORE_FAULT": setting])
            }
            let some = try run("copy-memory:2=EAGAIN", "--live").require()
            #expect(some.errors.contains("could not be copied: EAGAIN (clone)") && some.output.contains("set aside), written while it ran"), "\(some.output)\(some.errors)")
            try scratch.run("crimage", ["verify", scratch.file("image")]).expect(0)
            let refused = try run("copy-memory:2=EAGAIN", "--live=always").expect(4)
            #expect(refused.errorLines.count { $0.contains("Workloads: memory: could not be copied: EAGAIN (clone)") } == 1, "\(refused.errors)")
            let stood = try run("copy-memory:2=EAGAIN,spool-pages=ENOSPC", "--live").require()
            #expect(stood.errors.contains("the tree stood still until its pages were written") && !stood.output.contains("written while"), "\(stood.output)\(stood.errors)")
            #expect(Clock.wait(seconds: 20) { isAlone(child.pid, in: scratch) }, "\(scratch.living().map { "\($0.pid) \($0.command)" })")
            try scratch.finishWorkload("prefork", child)
        }

        /// 64 MiB below a limit of 100: if the tree changed all of it, there would not be room for both.
        @Test func memoryOfTheControlGroupIsShort() throws {
            guard let cgroup = TestCgroup("memory") else { return print("skipped: there is no hierarchy of cgroup v1 for memory") }
            let scratch = try Scratch()
            try cgroup.write("/memory.limit_in_bytes", "104857600")
            let child = try scratch.start([
                "bash", "-c", "echo $$ > \(cgroup.directory)/cgroup.procs; exec \(Host.path(of: "Workloads")) anon \(scratch.path) 64",
            ])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(child.errors)")
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
            let stood = try scratch.run("crcheckpoint", arguments + ["--live"]).require()
            #expect(stood.errors.contains("can be given below the limit of its control group") && !stood.output.contains("written while"), "\(stood.output)\(stood.errors)")
            let ran = try scratch.run("crcheckpoint", arguments + ["--live=always"]).require()
            #expect(ran.output.contains("(1 copy), written while it ran"), "\(ran.output)")
            try scratch.finishWorkload("anon", child)
        }

        @Test(arguments: ["--kill", "--stop"]) func hasNoSenseThere(option: String) throws {
            let scratch = try Scratch()
            let done = try scratch.run("crcheckpoint", ["--tree", "\(getpid())", "-o", scratch.file("image"), option, "--live"]).expect(64)
            #expect(done.errors.contains("--live lets the tree go on"), "\(done.errors)")
        }
    }
}
