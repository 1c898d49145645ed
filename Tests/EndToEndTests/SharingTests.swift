import Foundation
import Testing

extension EndToEnd {
    /// Processes that share memory and other objects, for their whole life or until they call execve.
    @Suite struct Sharing {
        /// Programs that make children by vfork or posix_spawn all the time: a parent that waits for one cannot stop.
        static let spawners = [
            Program(
                name: "make -j4",
                commands: #"""
                    { echo "all: $(seq -s ' ' -f 't%g' 1500)"; echo "t%:; @/bin/true $@ && echo $@ >> list"; } > Makefile
                    make -s -j4 all && sort -V list | cksum > out
                    """#),
            Program(
                name: "python subprocess",
                commands: #"""
                    python3 -c '
                    import subprocess
                    total = 0
                    for i in range(700): total += subprocess.run(["/bin/sh", "-c", "exit %d" % (i % 100)]).returncode
                    open("out", "w").write("%d\n" % total)'
                    """#),
            Program(
                name: "python posix_spawn from threads",
                commands: #"""
                    python3 -c '
                    import os, threading
                    codes = []
                    def spawn():
                        for i in range(400):
                            pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit %d" % (i % 100)], os.environ)
                            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                    threads = [threading.Thread(target=spawn) for _ in range(3)]
                    for one in threads: one.start()
                    for one in threads: one.join()
                    open("out", "w").write("%d %d\n" % (len(codes), sum(codes)))'
                    """#),
        ]

        @Test(arguments: spawners) func spawnersAreNotDisturbed(program: Program) throws {
            let scratch = try Scratch()
            let wanted = try scratch.spawn(program, in: "undisturbed")
            try wanted.child.wait(seconds: 120)
            try #require(!scratch.read("undisturbed/out").isEmpty, "\(wanted.child.errors)")

            let running = try scratch.spawn(program, in: "disturbed")
            var taken = 0
            while running.child.poll() == nil && taken < 40 {
                let done = try scratch.run("crcheckpoint", ["--tree", "\(running.child.pid)", "-o", scratch.file("image"), "--force"])
                if scratch.hasMissed(done, running.child) { break }
                #expect(done.status == .exited(0), "\(done.errors)")
                taken += 1
            }
            #expect(try running.child.wait(seconds: 120) == .exited(0), "\(running.child.errors)")
            #expect(taken >= 2, "the program was too quick")
            #expect(scratch.read("disturbed/out") == scratch.read("undisturbed/out"))
        }

        @Test(arguments: spawners) func spawnersAreRestarted(program: Program) throws {
            let scratch = try Scratch()
            let wanted = try scratch.spawn(program, in: "undisturbed")
            try wanted.child.wait(seconds: 120)

            var (running, root) = try scratch.spawn(program, in: "restarted")
            var restarts = 0
            // Not outside again after a restart in a pid namespace: numbers from there are small, and taken here.
            for place in [Place.here, .namespace, .namespace] {
                Clock.sleep(Double.random(in: 0.05...0.2))
                guard try scratch.checkpointAndKillUnlessEnded(root, of: running) else { break }
                (running, root) = try scratch.restart(place)
                restarts += 1
            }
            #expect(restarts > 0, "the program was too quick")
            #expect(try running.wait(seconds: 120) == .exited(0), "\(running.errors)")
            #expect(scratch.read("restarted/out") == scratch.read("undisturbed/out"))
            #expect(scratch.becomesEmpty())
        }

        /// crcheckpoint is killed at any moment while it saves processes that share everything. None of its mappings
        /// remains in their memory.
        @Test func checkpointerDies() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("sharing")
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
            let duration = try Clock.seconds { try scratch.run("crcheckpoint", arguments).require() }
            let tree = ProcessTable.tree(of: child.pid).map(\.pid)
            func mappings() -> [Int] { tree.map { ProcessTable.mappings(of: $0).count } }
            let before = mappings()
            for attempt in 0..<Host.kills / 4 {
                let command = try scratch.start("crcheckpoint", arguments)
                Clock.sleep(Double.random(in: 0...duration * 1.2))
                command.end()
                try #require(!scratch.exists("failures"), "after kill \(attempt): \(scratch.read("failures"))")
                #expect(Clock.wait(seconds: 30) { mappings() == before }, "after kill \(attempt) a mapping is left: \(mappings())")
            }
            try scratch.run("crcheckpoint", arguments).require()
            try scratch.finishWorkload("sharing", child)
        }

        /// Random trees in which processes are created with any clone flags and call unshare; some have threads.
        @Test(arguments: 1...12) func randomMixes(seed: Int) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload("sharing", ["\(seed)"])
            var root = running.pid
            for _ in 0..<3 {
                try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--force"]).require()
            }
            for place in [Place.here, .namespace] {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
            }
            try scratch.finishWorkload("sharing", running)
            #expect(scratch.becomesEmpty())
        }

        @Test(arguments: Place.allCases) func restartedFromAPipe(place: Place) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("sharing")
            try scratch.checkpointAndKill(child.pid, of: child)
            let script = "cat '\(scratch.file("image"))' | '\(Host.path(of: "crrestart"))' \(place.options.joined(separator: " ")) -"
            let running = try scratch.start(["bash", "-c", script])
            Clock.sleep(1)
            try scratch.finishWorkload("sharing", running)
        }
    }
}

extension Scratch {
    /// Starts a program in a directory of its own.
    fileprivate func spawn(_ program: Program, in directory: String) throws -> (child: Child, root: pid_t) {
        try FileManager.default.createDirectory(atPath: file(directory), withIntermediateDirectories: false)
        let child = try start(["bash", "-c", "cd '\(file(directory))'; \(program.commands)"])
        return (child, child.pid)
    }
}
