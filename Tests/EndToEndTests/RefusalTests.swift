import Foundation
import Testing

extension EndToEnd {
    /// Everything that cannot be saved is named, and the tree goes on unchanged.
    @Suite struct Refusals {
        @Test(arguments: [[], ["--kill"], ["--dry-run"]])
        func everyFindingIsListed(options: [String]) throws {
            let scratch = try Scratch()
            let program = try scratch.start(["/usr/bin/python3", Host.programs + "/holder.py", scratch.path])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(program.errors)")
            let descriptors = scratch.read("ready").split(whereSeparator: \.isWhitespace)
            #expect(descriptors.count == 3)

            let refused = try scratch.run(
                "crcheckpoint", ["--tree", "\(program.pid)", "-o", scratch.file("image")] + options
            ).expect(4)
            for descriptor in descriptors {
                let named = refused.errorLines.contains { line in
                    line.contains("\(program.pid) python3") && line.contains("fd \(descriptor):")
                }
                #expect(named, "fd \(descriptor) is not in\n\(refused.errors)")
            }
            #expect(!scratch.exists("image"))
            #expect(ProcessTable.runs(program.pid))
            try scratch.write("finish")
            #expect(try program.wait(seconds: 20) == .exited(0), "\(program.errors)")
            #expect(scratch.read("result") == "OK holder\n")
        }

        /// A leader of a process group cannot go back to one that lies outside of the tree.
        @Test func groupThatLiesOutside() throws {
            let scratch = try Scratch()
            try scratch.write("script", Array("0 fork 17\n1 setpgid 1 1\n1 fork 17\n1 setpgid 1 0\n".utf8))
            let child = try scratch.startWorkload("forest", ["1", "2", "0"])
            let root = try #require(ProcessTable.children(of: child.pid).first)
            let refused = try scratch.run(
                "crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill"]
            ).expect(4)
            #expect(refused.errors.contains("went back to \(child.pid), which lies outside of the tree"), "\(refused.errors)")
            #expect(!scratch.exists("image"))
            child.end()
            scratch.killAll()
        }

        /// Kernel objects with state that the kernel does not tell, or that no restart could restore.
        @Test(arguments: [
            ("watched", "is an epoll that watches a file, once its fd"),
            ("threadclock", "runs on the CPU time of a thread"),
            ("otherclock", "another process, which cannot be saved yet"),
            ("notify", "watches the directory /tmp by F_NOTIFY"),
            ("urgent", "in which urgent data (MSG_OOB) waits"),
            ("signed", "whose segments are signed (TCP_MD5SIG)"),
            ("multipath", "of MPTCP, whose paths the kernel does not tell"),
            ("held", "is a UDP socket, 0.0.0.0:"),
            ("ring", "is a packet socket, with a ring of packets in memory"),
            ("answer", "in which messages wait that have not been read"),
            ("unread", "reads kernel messages (/dev/kmsg) and has not read all"),
        ])
        func objectsThatCannotBeSaved(what: String, reason: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("unsaved", [what])
            let refused = try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill"]
            ).expect(4)
            #expect(refused.errorLines.contains { $0.contains("\(child.pid) Workloads") && $0.contains(reason) }, "\(refused.errors)")
            #expect(!scratch.exists("image"))
            try scratch.finishWorkload("unsaved", child)
        }

        /// A restart could not take a lock that another process keeps by the same open file.
        @Test func lockOfAnOpenFileThatIsSharedWithTheOutside() throws {
            let scratch = try Scratch()
            let child = try scratch.start([
                "bash", "-c",
                "exec 9>\(scratch.file("lock")); flock 9; sleep 1000 & echo $! > \(scratch.file("ready.new")); mv \(scratch.file("ready.new")) \(scratch.file("ready")); wait",
            ])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(child.errors)")
            let root = scratch.read("ready").trimmingCharacters(in: .whitespacesAndNewlines)
            let refused = try scratch.run("crcheckpoint", ["--tree", root, "-o", scratch.file("image"), "--kill"]).expect(4)
            let finding = refused.errorLines.first { $0.contains("\(root) sleep: fd 9: holds an exclusive lock (flock) on \(scratch.file("lock"))") }
            #expect(finding?.contains("together with \(child.pid) bash, which is outside of the tree") == true, "\(refused.errors)")
            scratch.killAll()
        }

        /// One pipe gives one finding, whoever holds it, and the finding names who holds the other end.
        @Test func leakedPipe() throws {
            let scratch = try Scratch()
            let ready = scratch.file("ready")
            let commands = "sleep 1000 | bash -c 'exec 9<&0 </dev/null; for i in 1 2 3; do sleep 1000 & done; echo $$ > \(ready).new; mv \(ready).new \(ready); wait'"
            let shell = try scratch.start(["bash", "-c", commands])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(shell.errors)")
            let root = scratch.read("ready").trimmingCharacters(in: .whitespacesAndNewlines)
            let refused = try scratch.run("crcheckpoint", ["--tree", root, "-o", scratch.file("image"), "--kill"]).expect(4)
            let findings = refused.errorLines.filter { $0.contains("end of a pipe") }
            #expect(findings.count == 1, "\(refused.errors)")
            for part in ["\(root) bash: fd 9: is the read end", "4 processes have it open", "its other end: fd 1 of ", "sleep", "start it with 9<&-"] {
                #expect(findings.first?.contains(part) == true, "\(part) is not in \(refused.errors)")
            }
            scratch.killAll()
        }

        /// An injected call in such a thread would give it a signal or end it. Where the kernel's memory may not be read, what only the thread
        /// itself could tell makes it impossible to save it; otherwise it is saved.
        @Test(arguments: [
            ("dispatched", "PR_SET_SYSCALL_USER_DISPATCH"), ("dispatching", "PR_SET_SYSCALL_USER_DISPATCH"),
            ("filtered", "has a seccomp filter, which only CAP_SYS_ADMIN lets be read"),
        ])
        func threadsThatCannotBeAsked(what: String, reason: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("unsaved", [what])
            let refused = try scratch.run([
                "setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin", Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o",
                scratch.file("image"), "--kill",
            ]).expect(4)
            #expect(refused.errorLines.contains { $0.contains("\(child.pid) Workloads") && $0.contains(reason) }, "\(refused.errors)")
            #expect(!scratch.exists("image"))
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image")]).require()
            try scratch.finishWorkload("unsaved", child)
        }

        /// A mount namespace with mounts of its own cannot be made again yet.
        @Test func treeInAMountNamespace() throws {
            let scratch = try Scratch()
            let commands = "mount -t tmpfs none /mnt && echo > \(scratch.file("ready")); exec sleep 100"
            let child = try scratch.start(["unshare", "-m", "bash", "-c", commands])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(child.errors)")
            let refused = try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill"]
            ).expect(4)
            #expect(refused.errors.contains("mnt namespace"))
            #expect(child.poll() == nil)
        }

        /// A finding in a child that is deep in the tree is found as well.
        @Test func findingsInDescendants() throws {
            let scratch = try Scratch()
            let commands = "sleep 100 & /usr/bin/python3 \(Host.programs)/holder.py \(scratch.path); kill %1; wait"
            let shell = try scratch.start(["bash", "-c", commands])
            try #require(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(shell.errors)")
            let refused = try scratch.run(
                "crcheckpoint", ["--tree", "\(shell.pid)", "-o", scratch.file("image"), "--kill"]
            ).expect(4)
            #expect(refused.errorLines.filter { $0.contains("python3") }.count == 3, "\(refused.errors)")
            try scratch.write("finish")
            try shell.wait(seconds: 20)
            #expect(scratch.read("result") == "OK holder\n")
        }
    }
}
