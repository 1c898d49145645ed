import Foundation
import Testing

extension EndToEnd {
    /// No program is ended for an image that cannot be restarted, and `--kill` succeeds only when all have ended.
    @Suite struct Promises {
        // MARK: Could it be restarted?

        /// A defect of our reader, and a reason of this host: the tree goes on, the image stays.
        @Test(arguments: [("restart-here", Int32(3)), ("own-reader", 70)], ["--kill", "--stop"])
        func imageThatCouldNotBeRestarted(fault: (name: String, status: Int32), option: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            let arguments = [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image"), option]
            let setting = ["TREERESTORE_FAULT": fault.name]
            let done = try scratch.run(arguments, environment: setting).expect(fault.status)
            #expect(done.errors.contains("the tree goes on; the image is \(scratch.file("image"))"), "\(done.errors)")
            try expectRunning(child, 4)
            try scratch.run("crimage", ["verify", scratch.file("image")]).require()
            // The good image is not replaced by such a one.
            let before = scratch.bytes("image")
            let again = try scratch.run(arguments + ["--force"], environment: setting).expect(fault.status)
            #expect(again.errors.contains("the image is \(scratch.file("image.refused"))"), "\(again.errors)")
            #expect(scratch.bytes("image") == before)
            try scratch.run("crimage", ["verify", scratch.file("image.refused")]).require()
            try scratch.finishWorkload("processes", child)
        }

        @Test func imageThatGoesElsewhere() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            let tool = Host.path(of: "crcheckpoint")
            let arguments = [tool, "--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill", "--unchecked"]
            try scratch.run(arguments, environment: ["TREERESTORE_FAULT": "restart-here,own-reader"]).require()
            try finishElsewhere("processes", child, scratch)
        }

        /// The same user, with fewer rights than the tree.
        @Test func userWhoCouldNotRestartIt() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            let weak = ["setpriv", "--bounding-set", "-sys_resource", "prlimit", "--core=0:0", Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)"]
            let kill = try scratch.run(weak + ["-o", scratch.file("image"), "--kill"]).expect(3)
            #expect(kill.errors.contains("its limit 4 is") && kill.errors.contains("--unchecked"), "\(kill.errors)")
            try expectRunning(child, 4)
            let dry = try scratch.run(weak + ["--dry-run", "--kill"]).expect(3)
            #expect(dry.errors.contains("its limit 4 is"), "\(dry.errors)")
            let note = try scratch.run(weak + ["--dry-run"]).expect(0)
            #expect(note.errors.contains("it could not be restarted here: \(child.pid) Workloads: its limit 4 is"), "\(note.errors)")
            #expect(try scratch.run(weak + ["--dry-run", "--kill", "--unchecked"]).expect(0).errors.isEmpty)
            try scratch.finishWorkload("processes", child)
        }

        /// Nothing of the tree that still lives stands in the way: its numbers are free by then.
        @Test func dryRunOfATreeThatCouldBe() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            let done = try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "--dry-run", "--kill"]).expect(0)
            #expect(done.errors.isEmpty, "\(done.errors)")
            try scratch.finishWorkload("processes", child)
        }

        // MARK: The root ends

        /// A root that ends while the tree is being stopped is no checkpoint, and what was there is not replaced.
        @Test func rootThatEndsDuringTheFreeze() throws {
            let scratch = try Scratch()
            try scratch.write("image", Array("precious".utf8))
            var missed = 0
            for attempt in 0..<120 {
                remakePrecious(scratch)
                let child = try scratch.start(["sleep", String(format: "0.%03d", 3 + attempt % 30)])
                let done = try scratch.run(
                    "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force", "--progress", "none"])
                if done.status == .exited(0) {
                    try scratch.run("crimage", ["verify", scratch.file("image")]).require()
                    let tree = try scratch.run("crimage", ["tree", scratch.file("image")]).require()
                    #expect(!tree.output.contains("zombie"), "\(tree.output)")
                } else {
                    missed += 1
                    done.expect(1)
                    #expect(done.errors.contains("\(child.pid)"), "\(done.errors)")
                    #expect(scratch.read("image") == "precious")
                }
                try child.wait(seconds: 20)
            }
            #expect(missed > 0)
        }

        private func remakePrecious(_ scratch: Scratch) {
            scratch.remove("image")
            try? scratch.write("image", Array("precious".utf8))
        }

        // MARK: Output

        /// The image does not get the number of a closed standard stream, where messages would be written into it.
        @Test(arguments: ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
        func closedStandardStreams(redirection: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            let command = "\(Host.path(of: "crcheckpoint")) --progress lines --tree \(child.pid) -o \(scratch.file("image")) --kill"
            try scratch.run(["bash", "-c", "\(command) \(redirection)"]).require()
            try scratch.run("crimage", ["verify", scratch.file("image")]).require()
            try finishElsewhere("threads", child, scratch)
        }

        @Test func closedStandardOutputIsNoPlaceForAnImage() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            let done = try scratch.run(["bash", "-c", "\(Host.path(of: "crcheckpoint")) --tree \(child.pid) -o - >&-"]).expect(1)
            #expect(done.errors.contains("EBADF"), "\(done.errors)")
            try scratch.finishWorkload("threads", child)
        }

        /// What must not be replaced, and writes that fail by a signal or without: one sentence, and the tree goes on.
        @Test func placesThatAreRefused() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["8"])
            try scratch.run(["mkfifo", scratch.file("fifo")]).require()
            try scratch.run(["mknod", scratch.file("null"), "c", "1", "3"]).require()
            try scratch.run(["ln", "-s", "ready", scratch.file("link")]).require()
            let tool = Host.path(of: "crcheckpoint")
            let image = scratch.file("image")
            for (command, wanted) in [
                ("\(tool) --tree \(child.pid) --kill --force -o \(scratch.file("fifo"))", "named pipe"),
                ("\(tool) --tree \(child.pid) --kill --force -o \(scratch.file("null"))", "device"),
                ("\(tool) --tree \(child.pid) --kill --force -o \(scratch.file("link"))", "symbolic link"),
                ("\(tool) --tree \(child.pid) --kill --force -o \(scratch.file("tmp"))", "directory"),
                ("ulimit -f 1000; \(tool) --tree \(child.pid) --kill -o \(image)", "EFBIG"),
                ("\(tool) --tree \(child.pid) -o - | true; exit ${PIPESTATUS[0]}", "EPIPE"),
                ("\(tool) --tree \(child.pid) --kill -o - | cat > \(image); exit ${PIPESTATUS[0]}", "--ack"),
                ("\(tool) --tree \(child.pid) --kill -o - --ack 3 3< /dev/null | cat > /dev/null; exit ${PIPESTATUS[0]}", "did not acknowledge"),
                ("\(tool) --tree \(child.pid) --kill -o - --ack 3 3< <(echo no) | cat > /dev/null; exit ${PIPESTATUS[0]}", "said \"no\""),
            ] {
                scratch.remove("image")
                let done = try scratch.run(["bash", "-c", command])
                #expect(done.status == .exited(1) && done.errors.contains(wanted), "\(command): \(done.status), \(done.errors)")
                try expectRunning(child, 1)
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: scratch.path)
            #expect(!left.contains { $0.hasSuffix(".partial") }, "\(left)")
            try scratch.finishWorkload("anon", child)
        }

        /// Standard output that is a file is one that the image is safe in.
        @Test func standardOutputIsAFile() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["3"])
            try scratch.run(
                ["bash", "-c", "\(Host.path(of: "crcheckpoint")) --tree \(child.pid) --kill -o - > \(scratch.file("image"))"]).require()
            try finishElsewhere("threads", child, scratch)
        }

        /// Two trees are saved under one name at once: whoever is second keeps its tree.
        @Test func twoOntoOnePath() throws {
            let scratch = try Scratch()
            let other = try Scratch()
            for _ in 0..<3 {
                for one in [scratch, other] { for name in ["ready", "finish", "result", "image"] { one.remove(name) } }
                let children = [try scratch.startWorkload("processes", ["3"]), try other.startWorkload("processes", ["3"])]
                let commands = try children.map {
                    try scratch.start("crcheckpoint", ["--tree", "\($0.pid)", "-o", scratch.file("image"), "--kill"])
                }
                let statuses = try commands.map { try $0.wait(seconds: 60) }
                #expect(statuses.filter { $0 == .exited(0) }.count == 1, "\(statuses) \(commands.map(\.errors))")
                let winner = statuses[0] == .exited(0) ? 0 : 1
                try expectRunning(children[1 - winner], 4)
                try children[winner].wait(seconds: 20)
                let tree = try scratch.run("crimage", ["tree", scratch.file("image")]).require()
                #expect(tree.output.contains("\(children[winner].pid) "), "\(tree.output)")
                try (winner == 0 ? other : scratch).finishWorkload("processes", children[1 - winner])
                #expect(scratch.becomesEmpty() && other.becomesEmpty())
            }
        }

        // MARK: The end

        /// A tree that this user may look at but not end: found before anything is written.
        @Test func treeThatMayNotBeEnded() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            try scratch.run(["cp", Host.path(of: "crcheckpoint"), scratch.file("crcheckpoint")]).require()
            let user = [
                "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "+sys_ptrace,+checkpoint_restore", "--ambient-caps",
                "+sys_ptrace,+checkpoint_restore",
            ]
            for option in ["--kill", "--stop"] {
                let done = try scratch.run(
                    user + [scratch.file("crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image"), option, "--unchecked"]
                ).expect(1)
                #expect(done.errors.contains("EPERM") && done.errors.contains("CAP_KILL"), "\(done.errors)")
                #expect(!scratch.exists("image"))
                try expectRunning(child, 4)
            }
            try scratch.finishWorkload("processes", child)
        }

        /// The guardian leaves one alive: crcheckpoint ends it before it reports success.
        @Test func guardianThatFails() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            try scratch.run(
                ["env", "TREERESTORE_FAULT=pidfd-signal:5=EPERM", Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)"]
                    + ["-o", scratch.file("image"), "--kill"]
            ).require()
            #expect(ProcessTable.tree(of: child.pid).allSatisfy { $0.state == "Z" })
            try finishElsewhere("processes", child, scratch)
        }

        // MARK: Streams

        /// The tree is ended here when it runs there, and only then.
        @Test func acknowledgement() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["3"])
            let (save, restart) = (Host.path(of: "crcheckpoint"), Host.path(of: "crrestart"))
            try scratch.run(["mkfifo", scratch.file("ack")]).require()
            func move(_ option: String, filter: String = "") -> String {
                """
                \(save) --tree \(child.pid) -o - --kill --ack 3 3< \(scratch.file("ack")) | \(filter)
                \(restart) \(option) --copy-status --ack 4 - 4> \(scratch.file("ack"))
                echo ${PIPESTATUS[*]}
                """
            }
            // The numbers are taken: the tree goes on here.
            let refused = try scratch.run(["bash", "-c", move("--no-pidns")])
            #expect(refused.output.hasPrefix("1 3"), "\(refused.output)\(refused.errors)")
            #expect(refused.errors.contains("did not acknowledge") || refused.errors.contains("EPIPE"), "\(refused.errors)")
            try expectRunning(child, 4)
            // A filter in between holds back the last bytes until the end.
            let both = try scratch.start(["bash", "-c", move("--pidns", filter: "dd bs=64M iflag=fullblock status=none |")])
            try child.wait(seconds: 60)
            try scratch.finishWorkload("processes", both)
            #expect(both.output == "0 0 0\n", "\(both.output)\(both.errors)")
        }

        /// The tree has ended, and goes on from its image.
        private func finishElsewhere(_ workload: String, _ child: Child, _ scratch: Scratch) throws {
            try child.wait(seconds: 20)
            #expect(scratch.becomesEmpty())
            try scratch.finishWorkload(workload, try scratch.restart(.here).command)
        }

        private func expectRunning(_ child: Child, _ count: Int, sourceLocation: SourceLocation = #_sourceLocation) throws {
            try #require(child.poll() == nil, sourceLocation: sourceLocation)
            let runs = Clock.wait(seconds: 30) {
                let tree = ProcessTable.tree(of: child.pid)
                return tree.count == count && tree.allSatisfy { ProcessTable.runs($0.pid) }
            }
            #expect(runs, "\(ProcessTable.tree(of: child.pid).map { "\($0.command) \($0.state)" })", sourceLocation: sourceLocation)
        }
    }
}
