import Foundation
import Testing

extension EndToEnd {
    /// `--no-pids`: the same tree under other numbers.
    @Suite struct FreshNumbers {
        /// Programs that do not compare numbers; `renumbered` looks at all that the kernel holds by number.
        @Test(arguments: ["renumbered", "anon", "sleepers", "waits", "signals", "registers", "clocks", "moments", "locks", "fifos", "senders", "queuenotices"])
        func workloads(name: String) throws {
            let scratch = try Scratch()
            let arguments = ["clocks": ["relative", "1500"], "anon": ["64"]][name] ?? []
            var running = try scratch.startWorkload(name, arguments)
            var root = running.pid
            for _ in 0..<2 {
                Clock.sleep(Double.random(in: 0...0.2))
                let before = ProcessTable.tree(of: root)
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(options: ["--no-pidns", "--no-pids"])
                let after = ProcessTable.tree(of: root)
                #expect(after.map(\.command).sorted() == before.map(\.command).sorted())
                #expect(Set(after.map(\.pid)).isDisjoint(with: before.map(\.pid)))
            }
            try scratch.finishWorkload(name, running)
            #expect(scratch.becomesEmpty())
        }

        /// The old and the new number of every task, from `--json`.
        private func numbers(_ json: String) throws -> [pid_t: pid_t] {
            let line = try #require(json.split(separator: "\n").last { $0.hasPrefix("{") })
            let object = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let pairs = try #require(object["numbers"] as? [[String: Any]])
            return Dictionary(
                uniqueKeysWithValues: pairs.compactMap { pair in
                    guard let old = pair["old"] as? Int, let new = pair["new"] as? Int else { return nil }
                    return (pid_t(old), pid_t(new))
                })
        }

        /// Parents, groups, sessions and zombies are like those of the original tree, which still runs.
        @Test(arguments: ["tree", "orphans"])
        func treeBesideItsOriginal(name: String) throws {
            let scratch = try Scratch()
            let original = try scratch.startWorkload(name)
            let before = Relative.tree(of: original.pid)
            try scratch.run("crcheckpoint", ["--tree", "\(original.pid)", "-o", scratch.file("image")]).require()
            // All old numbers are taken, so without an option the tree would get a pid namespace.
            let copy = try scratch.run(
                "crrestart", ["--no-pids", "--json", "--detach", "--pid-file", scratch.file("root.pid"), scratch.file("image")]
            ).require()
            let numbers = try numbers(copy.output)
            let root = try #require(pid_t(scratch.read("root.pid").trimmingCharacters(in: .whitespacesAndNewlines)))
            #expect(numbers[original.pid] == root)
            let after = Relative.tree(of: root)
            let translated = before.map { one in
                Relative(
                    pid: numbers[one.pid] ?? -1, parent: one.parent == 0 ? 0 : numbers[one.parent] ?? -1,
                    group: numbers[one.group] ?? -1, session: numbers[one.session] ?? -1, isZombie: one.isZombie)
            }
            #expect(after == translated.sorted { $0.pid < $1.pid })
            for one in after { kill(one.pid, SIGKILL) }
            #expect(Clock.wait(seconds: 30) { Relative.tree(of: root).allSatisfy { $0.isZombie } })
            try scratch.finishWorkload(name, original)
            scratch.killAll()
        }

        /// Numbers that the C library has noted are reported by thread; the plan shows old and new numbers.
        @Test func whatIsKeptIsTold() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("sleepers")
            let root = child.pid
            try scratch.checkpointAndKill(root, of: child)
            let plan = try scratch.run("crrestart", ["--no-pids", "--dry-run", scratch.file("image")]).require()
            #expect(plan.output.contains("old      new      command"))
            #expect(plan.output.contains("Workloads (\(root) in the image)  root"))
            let (command, new) = try scratch.restart(options: ["--no-pids"])
            #expect(new != root)
            #expect(command.errors.contains("its C library goes on calling it \(root) (0x"), "\(command.errors)")
            try scratch.finishWorkload("sleepers", command)
        }

        /// Programs of the distribution give the same results as undisturbed.
        @Test(arguments: [
            ("gzip", "seq 3000000 | gzip -9 | gunzip | tail -n 1 > out; wc -c < out >> out"),
            ("gzip", "seq 2000000 > data; exec gzip -9 < data > data.gz"),
            ("python3", "exec python3 -c 'import time; s = 0\nfor i in range(12):\n  s += sum(range(900000)); time.sleep(0.1)\nopen(\"out\", \"w\").write(str(s))'"),
            ("sleep", "exec sleep 2"),
            ("sort", "seq 2000000 | shuf | sort -n | sha256sum > out"),
        ])
        func programs(name: String, commands: String) throws {
            let scratch = try Scratch()
            let wanted = try run(commands, in: scratch)
            try scratch.checkpointAndKillMidway(after: 0.6) {
                try scratch.start(["bash", "-c", "cd \(scratch.path); rm -f out; " + commands])
            }
            let (command, _) = try scratch.restart(options: ["--no-pids"])
            #expect(try command.wait(seconds: 120) == .exited(0), "\(command.errors)")
            // shuf makes another order each time; sorted it is the same.
            #expect(scratch.read("out") == wanted)
        }

        private func run(_ commands: String, in scratch: Scratch) throws -> String {
            try scratch.run(["bash", "-c", "cd \(scratch.path); " + commands]).require()
            let out = scratch.read("out")
            scratch.remove("out")
            return out
        }

        /// A shell does not find a job any more whose number it has noted: see docs/limits.md.
        @Test func jobsOfAShellAreLost() throws {
            let scratch = try Scratch()
            try scratch.checkpointAndKillMidway(after: 0.4) {
                scratch.remove("out")
                return try scratch.start(["bash", "-c", "sleep 2 & wait $!; echo $? > \(scratch.file("out")); exit 5"])
            }
            let (command, _) = try scratch.restart(options: ["--no-pids"])
            #expect(try command.wait(seconds: 30) == .exited(5), "\(command.errors)")
            #expect(scratch.exists("out") && scratch.read("out") != "0\n", "\(scratch.read("out"))")
        }

        @Test func signalsArePassedOn() throws {
            let scratch = try Scratch()
            let trap = "trap 'exit 21' TERM; echo > \(scratch.file("ready")); "
            let shell = try scratch.start(["bash", "-c", trap + "while true; do sleep 0.05; done"])
            #expect(Clock.wait(seconds: 30) { scratch.exists("ready") })
            try scratch.checkpointAndKill(shell.pid, of: shell)
            let (command, _) = try scratch.restart(options: ["--no-pids"])
            command.signal(SIGTERM)
            #expect(try command.wait(seconds: 30) == .exited(21), "\(command.errors)")
        }

        /// Twenty restarts while other processes take numbers as fast as they can.
        @Test func numbersGoToOthersMeanwhile() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("processes", ["20"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let storm = try scratch.start(["bash", "-c", "while true; do /bin/true; /bin/true & done"])
            for _ in 0..<20 {
                let done = try scratch.run("crrestart", ["--no-pids", "--detach", scratch.file("image")]).require()
                let root = try #require(pid_t(done.output.trimmingCharacters(in: .whitespacesAndNewlines)))
                let tree = ProcessTable.tree(of: root)
                #expect(tree.count == 21)
                for one in tree { kill(one.pid, SIGKILL) }
            }
            storm.end()
            scratch.killAll()
        }

        @Test func aNamespaceHasTheOldNumbers() throws {
            let scratch = try Scratch()
            let refused = try scratch.run("crrestart", ["--pidns", "--no-pids", "image"]).expect(64)
            #expect(refused.errors.contains("--no-pids gives fresh numbers of this pid namespace"))
        }

        /// With an image from a pipe, numbers are reported and translated before the first page comes.
        @Test func fromAPipe() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("anon", ["64"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let both = try scratch.start(
                ["bash", "-c", "cat \(scratch.file("image")) | \(Host.path(of: "crrestart")) --no-pids --copy-status -"])
            Clock.sleep(1)
            try scratch.finishWorkload("anon", both)
            #expect(both.errors.contains("old      new      command"))
        }
    }
}
