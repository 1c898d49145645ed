import Foundation
import Testing

extension EndToEnd {
    /// An ordinary user checkpoints their own programs and restarts them, with no capability at all: the old numbers come from a pid
    /// namespace in a user namespace that crrestart makes for the tree.
    @Suite(.enabled(if: OrdinaryUser.refusal == nil, "\(OrdinaryUser.refusal ?? "")"))
    struct Unprivileged {
        struct Program: Sendable, CustomTestStringConvertible {
            var name: String
            var commands: String
            var testDescription: String { name }
        }

        static let programs = [
            Program(name: "pipeline", commands: "for k in $(seq 40); do seq $k 7 400000; sleep 0.05; done | gzip -9 | sort -r | sha256sum > out"),
            Program(
                name: "python",
                commands: #"""
                    exec /usr/bin/python3 -c '
                    import hashlib, subprocess, threading, time
                    sums = [0] * 4
                    def work(k):
                        for i in range(60):
                            sums[k] += i * k
                            time.sleep(0.02)
                    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
                    for one in threads: one.start()
                    child = subprocess.Popen(["sh", "-c", "sleep 1; echo $$; exit 7"], stdout=subprocess.PIPE)
                    said = child.stdout.read()
                    for one in threads: one.join()
                    open("out", "w").write(f"{sums} {int(said) == child.pid} {child.wait()}\n")'
                    """#),
            Program(
                name: "jobs of a shell",
                commands: "for k in 1 2 3; do (for i in 1 2 3 4 5; do sleep 0.2; echo $k $i; done > part$k) & done; wait; cat part1 part2 part3 > out"),
        ]

        @Test(arguments: programs) func restartsTwice(program: Program) throws {
            let wanted = try Scratch()
            let seconds = try Clock.seconds { try wanted.run(Self.command(program, in: wanted)).require() }
            let scratch = try Scratch()
            let (checkpointer, restarter) = try Self.commands(in: scratch)
            var running = try scratch.start(Self.command(program, in: scratch))
            var root = running.pid
            for round in 0..<2 {
                Clock.sleep(seconds * 0.25)
                try scratch.run(
                    OrdinaryUser.start + [checkpointer, "--tree", "\(root)", "-o", scratch.file("image"), "--force", "--kill"]
                ).require()
                try running.wait(seconds: 20)
                #expect(scratch.becomesEmpty())
                scratch.remove("root.pid")
                let options = ["--copy-status", "--pid-file", scratch.file("root.pid")] + (round == 0 ? [] : ["--pidns"])
                running = try scratch.start(OrdinaryUser.start + [restarter] + options + [scratch.file("image")])
                try #require(Clock.wait(seconds: 60) { scratch.hasLine("root.pid") || running.poll() != nil })
                root = try #require(pid_t(scratch.read("root.pid").dropLast()), "\(running.errors)")
            }
            #expect(try running.wait(seconds: 120) == .exited(0), "\(running.errors)")
            #expect(running.errors.contains("user namespace of its own"), "\(running.errors)")
            #expect(scratch.read("out") == wanted.read("out") && !wanted.read("out").isEmpty)
            #expect(scratch.becomesEmpty())
        }

        /// Killed at any moment: nothing is left of the tree.
        @Test func restarterDies() throws {
            let scratch = try Scratch()
            let (checkpointer, restarter) = try Self.commands(in: scratch)
            let sleeping = Program(name: "sleep", commands: "sleep 300 | sleep 300")
            let child = try scratch.start(Self.command(sleeping, in: scratch))
            #expect(Clock.wait(seconds: 20) { ProcessTable.tree(of: child.pid).count == 3 })
            try scratch.run(OrdinaryUser.start + [checkpointer, "--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill"]).require()
            try child.wait(seconds: 20)
            for attempt in 0..<20 {
                let command = try scratch.start(OrdinaryUser.start + [restarter, "--detach", scratch.file("image")])
                Clock.sleep(Double(attempt) * 0.004)
                command.end()
                // Past the point of no return the tree runs on, whole.
                _ = Clock.wait(seconds: 30) { [0, 3].contains(scratch.living().filter { $0.command == "sleep" || $0.command == "bash" }.count) }
                let left = scratch.living().filter { $0.command == "sleep" || $0.command == "bash" }
                #expect([0, 3].contains(left.count), "after kill \(attempt): \(left.map(\.command))")
                for one in left { kill(one.pid, SIGKILL) }
                #expect(scratch.becomesEmpty(), "after kill \(attempt)")
            }
        }

        /// Root restarts an image of a user's with no more than the user has.
        @Test func rootRestartsAsAUser() throws {
            let scratch = try Scratch()
            let (_, restarter) = try Self.commands(in: scratch)
            let nobody = ["setpriv", "--reuid", "nobody", "--regid", "65534", "--init-groups", "--inh-caps=-all"]
            let commands = "cd '\(scratch.path)'; exec > /dev/null 2>&1 < /dev/null; sleep 300; true"
            for (start, isRoot) in [(nobody, false), ([], true)] {
                let child = try scratch.start(start + ["bash", "-c", commands])
                #expect(Clock.wait(seconds: 20) { ProcessTable.tree(of: child.pid).count == 2 })
                try scratch.checkpointAndKill(child.pid, of: child)
                try scratch.run(["chown", "nobody", scratch.file("image")]).require()
                let done = try scratch.run([restarter, "--user", "nobody", "--detach", scratch.file("image")])
                if isRoot {
                    // The same image that root could restart.
                    #expect(done.status == .exited(3) && done.errors.contains("capabilities that crrestart lacks"), "\(done.status) \(done.errors)")
                    #expect(scratch.becomesEmpty())
                    continue
                }
                try done.require()
                let root = try #require(pid_t(done.output.trimmingCharacters(in: .whitespacesAndNewlines)), "\(done.output)")
                let status = try ProcessTable.text("/proc/\(root)/status")
                for line in ["Uid:\t65534\t65534\t65534\t65534", "Gid:\t65534\t65534\t65534\t65534"] { #expect(status.contains(line), "\(status)") }
                scratch.killAll()
            }
        }

        /// What is no user, and what would not be less.
        @Test func usersThatCannotBe() throws {
            let scratch = try Scratch()
            for (start, user, sentence) in [
                ([], "no-such-user", "ENOENT"), ([], "root", "EINVAL"), ([], "-u", "ENOENT"), (OrdinaryUser.start, "nobody", "EPERM"),
            ] {
                let (_, restarter) = try Self.commands(in: scratch)
                let done = try scratch.run(start + [restarter, "--user=\(user)", scratch.file("image")]).expect(1)
                #expect(done.errorLines.count == 1 && done.errors.contains("cannot restart as user \(user): \(sentence)"), "\(done.errors)")
            }
        }

        /// Copies that the user can reach, wherever the commands were built.
        private static func commands(in scratch: Scratch) throws -> (String, String) {
            for name in ["crcheckpoint", "crrestart"] { try scratch.run(["cp", Host.path(of: name), scratch.file(name)]).require() }
            return (scratch.file("crcheckpoint"), scratch.file("crrestart"))
        }

        /// Not with the files of the test process, which an ordinary user could not open.
        private static func command(_ program: Program, in scratch: Scratch) -> [String] {
            OrdinaryUser.start + ["bash", "-c", "cd '\(scratch.path)'; exec > /dev/null 2>&1 < /dev/null\n\(program.commands)"]
        }
    }
}

/// A user without any capability, and without an entry in the user database.
enum OrdinaryUser {
    static let start = ["setpriv", "--reuid", "54322", "--regid", "54322", "--clear-groups", "--inh-caps=-all"]

    /// Why an ordinary user can have no user namespace here.
    static let refusal: String? = {
        guard Host.has("setpriv"), Host.has("unshare") else { return "wants setpriv and unshare" }
        guard let scratch = try? Scratch(), let tried = try? scratch.run(start + ["unshare", "-U", "true"]) else { return "wants setpriv" }
        return tried.status == .exited(0) ? nil : "an ordinary user may make no user namespace here: \(tried.errors)"
    }()
}
