import Foundation
import Testing

extension EndToEnd {
    /// The ways in which tasks get their numbers: with filters that refuse clone3, limits of numbers, missing privileges.
    @Suite struct Numbers {
        /// The errno with which a filter refuses clone3.
        private static let answers = [ENOSYS, EPERM]

        private func confined(_ scratch: Scratch, _ answer: Int32) -> [String] {
            [Host.path(of: "Workloads"), "confined", scratch.path, "435", "\(answer)"]
        }

        /// As in containers whose filter refuses clone3: `ns_last_pid` and clone.
        @Test(arguments: ["tree", "threads", "individuals", "orphans", "processes"], Place.allCases)
        func withoutClone3(name: String, place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(name)
            let root = child.pid
            let before = Relative.tree(of: root)
            try scratch.checkpointAndKill(root, of: child)
            let answer = Self.answers.randomElement() ?? ENOSYS
            let wrapper = confined(scratch, answer)
            let plan = try scratch.run(
                wrapper + [Host.path(of: "crrestart"), "--dry-run"] + place.options + [scratch.file("image")]
            ).require()
            #expect(plan.output.contains("pids  by ns_last_pid and clone") && !plan.output.contains("clone3  "))
            let (command, again) = try scratch.restart(options: place.options, wrapper: wrapper)
            #expect(Relative.tree(of: again) == before)
            Clock.sleep(0.2)
            try scratch.finishWorkload(name, command)
            #expect(command.errors.contains("is under a seccomp filter"))
            #expect(scratch.becomesEmpty())
        }

        /// A process that was ended with --kill has its number until it is reaped. crrestart waits for that for a while.
        @Test(arguments: [0.4, 2.5, 1000]) func numbersOfTheDead(reapedAfter seconds: Double) throws {
            let scratch = try Scratch()
            let script = """
                import os, subprocess, sys, time
                child = subprocess.Popen(sys.argv[2:])
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
                time.sleep(float(sys.argv[1]))
                child.wait()
                """
            let parent = try scratch.start(
                ["python3", "-c", script, "\(seconds)", Host.path(of: "Workloads"), "threads", scratch.path, "3"])
            #expect(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(parent.errors)")
            let root = try #require(ProcessTable.children(of: parent.pid).first)
            try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill"]).require()
            if seconds > 100 {
                let refused = try scratch.run("crrestart", ["--no-pidns", "--pids", "--wait-for-pids", "2", scratch.file("image")]).expect(3)
                #expect(refused.errors.contains("which has ended and is not reaped yet by \(parent.pid) python3"), "\(refused.errors)")
                #expect(refused.errors.contains("warning: waiting for pid "), "\(refused.errors)")
                parent.end()
                #expect(scratch.becomesEmpty())
            }
            let (running, _) = try scratch.restart(.here)
            try scratch.finishWorkload("threads", running)
        }

        @Test func freshNumbersWithoutClone3() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("renumbered")
            try scratch.checkpointAndKill(child.pid, of: child)
            let (command, _) = try scratch.restart(options: ["--no-pids"], wrapper: confined(scratch, ENOSYS))
            try scratch.finishWorkload("renumbered", command)
        }

        /// Other processes fork between the write to ns_last_pid and the clone: the restart begins again, and succeeds in
        /// the end. In a pid namespace of the test's own, in which no unknown processes fork.
        @Test func othersComeBetween() throws {
            let scratch = try Scratch()
            let commands = """
                setsid \(Host.path(of: "Workloads")) threads \(scratch.path) 3 < /dev/null > \(scratch.file("log")) 2>&1 &
                root=$!
                until [ -e \(scratch.file("ready")) ]; do sleep 0.05; done
                \(Host.path(of: "crcheckpoint")) --tree $root -o \(scratch.file("image")) --kill || exit 1
                wait $root
                while true; do /bin/true; done & storm=$!
                (sleep 4; kill $storm; echo > \(scratch.file("finish"))) &
                \(confined(scratch, ENOSYS).joined(separator: " ")) \(Host.path(of: "crrestart")) --no-pidns --pids --copy-status \(scratch.file("image"))
                """
            let done = try scratch.run(Self.namespace + ["bash", "-c", commands])
            #expect(done.status == .exited(0) && scratch.read("result") == "OK threads\n", "\(done.errors)\(scratch.read("failures"))")
        }

        /// A host with no means to choose a number.
        @Test func neitherWayIsThere() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("threads", ["5"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]
            chmod(scratch.file("image"), 0o644)
            for (options, reason) in [
                (["--no-pidns"], "privilege: pids cannot be chosen: clone3 with set_tid answers EPERM, ns_last_pid "),
                (["--no-pids"], "privilege: pids cannot be chosen: clone3 with set_tid answers EPERM, ns_last_pid "),
                (["--pidns"], OrdinaryUser.refusal == nil ? "has user id 0, and crrestart 65534" : "privilege: a pid namespace cannot be made: EPERM"),
            ] {
                // The command can be in a directory that this user cannot read.
                let command = try scratch.run(["cp", Host.path(of: "crrestart"), scratch.file("command")]).require()
                #expect(command.status == .exited(0))
                let refused = try scratch.run(nobody + [scratch.file("command")] + options + [scratch.file("image")]).expect(3)
                #expect(refused.errors.contains(reason), "\(refused.errors)")
                // The outputs of the workload belong to root: this finding comes together with the others.
                #expect(refused.errors.contains("has capabilities that crrestart lacks"), "\(refused.errors)")
            }
        }

        /// A file that the user cannot open is found before anything is created.
        @Test func filesOfOthers() throws {
            let scratch = try Scratch()
            try scratch.write("log")
            chmod(scratch.file("log"), 0o644)
            let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]
            let script = "exec 7>>\(scratch.file("log")); exec \(user.joined(separator: " ")) sleep 300"
            let child = try scratch.start(["bash", "-c", script])
            #expect(Clock.wait(seconds: 20) { ProcessEntry(child.pid)?.command == "sleep" })
            try scratch.checkpointAndKill(child.pid, of: child)
            chmod(scratch.file("image"), 0o644)
            try scratch.run(["cp", Host.path(of: "crrestart"), scratch.file("command")]).require()
            let refused = try scratch.run(user + [scratch.file("command"), "--no-pidns", scratch.file("image")]).expect(3)
            #expect(
                refused.errors.contains("\(scratch.file("log")): EACCES, needed by fd 7 (the user of crrestart may not open it"),
                "\(refused.errors)")
        }

        // MARK: Limits

        /// Since Linux 6.14 each pid namespace has a limit of its own.
        private static let ownLimits: Bool = {
            var name = utsname()
            uname(&name)
            let release = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            let parts = release.split(separator: ".").compactMap { Int($0.prefix { $0.isNumber }) }
            return parts.count > 1 && (parts[0], parts[1]) >= (6, 14)
        }()

        private static let namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

        /// A tree with numbers around four million, made in a namespace.
        @Test(.enabled(if: ownLimits, "needs Linux 6.14 or newer: a limit for each pid namespace"))
        func numbersOfFourMillion() throws {
            let scratch = try Scratch()
            let commands = """
                echo 4190000 > /proc/sys/kernel/ns_last_pid
                setsid \(Host.path(of: "Workloads")) threads \(scratch.path) 5 < /dev/null > \(scratch.file("log")) 2>&1 &
                root=$!
                until [ -e \(scratch.file("ready")) ]; do sleep 0.05; done
                \(Host.path(of: "crcheckpoint")) --tree $root -o \(scratch.file("image")) --kill
                """
            try scratch.run(Self.namespace + ["bash", "-c", commands]).require()
            let limit = Int(scratch.highest) ?? 0
            let tasks = try scratch.run("crimage", ["threads", scratch.file("image")]).require().output
            #expect(tasks.contains("419000"), "\(tasks)")
            if limit < 4_190_000 {
                let refused = try scratch.run("crrestart", ["--no-pidns", "--pids", scratch.file("image")]).expect(3)
                #expect(refused.errors.contains("is above the highest number here, \(limit - 1) (sysctl -w kernel.pid_max=41900"), "\(refused.errors)")
                #expect(refused.errors.contains("--pidns gives the tree numbers of its own"))
            }
            // Without an option the tree gets a namespace if that solves the problem.
            let (command, _) = try scratch.restart(options: limit < 4_190_000 ? [] : ["--pidns"])
            try scratch.finishWorkload("threads", command)
        }

        @Test(.enabled(if: ownLimits, "needs Linux 6.14 or newer: a limit for each pid namespace"))
        func fewNumbers() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["200"])
            let pids = ProcessTable.tree(of: child.pid).map(\.pid)
            try scratch.checkpointAndKill(child.pid, of: child)
            try #require((pids.max() ?? 0) > 400)
            func inside(_ options: String) throws -> Finished {
                let command = "echo 400 > /proc/sys/kernel/pid_max; \(Host.path(of: "crrestart")) \(options) \(scratch.file("image"))"
                return try scratch.run(Self.namespace + ["bash", "-c", command])
            }
            let refused = try inside("--no-pidns --pids").expect(3)
            #expect(refused.errors.contains("is above the highest number here, 399 (sysctl -w kernel.pid_max=\((pids.max() ?? 0) + 1) makes room"), "\(refused.errors)")
            let few = try inside("--no-pids").expect(3)
            #expect(few.errors.contains("pids: 201 are needed, "), "\(few.errors)")
            // A nested pid namespace has a limit of its own.
            let plan = try inside("--dry-run")
            #expect(plan.status == .exited(0), "\(plan.errors)")
        }
    }
}

extension Scratch {
    /// sysctl kernel.pid_max of this namespace.
    fileprivate var highest: String {
        ((try? ProcessTable.text("/proc/sys/kernel/pid_max")) ?? "").trimmingCharacters(
            in: .whitespacesAndNewlines)
    }
}
