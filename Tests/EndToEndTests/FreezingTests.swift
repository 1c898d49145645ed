import Foundation
import Testing

extension EndToEnd {
    /// Trees that run away from the freeze, that a checkpoint could wait for, or that could hit it.
    @Suite struct Freezing {
        /// Chains of threads and processes that make their successor and end: none is lost, none runs on beside.
        @Test(arguments: ["threads", "processes", "mixed"], Place.allCases)
        func chainsOfSuccessors(what: String, place: Place) throws {
            let scratch = try Scratch()
            var running = try scratch.startWorkload("handover", [what])
            for _ in 0..<5 {
                try scratch.run("crcheckpoint", ["--tree", "\(running.pid)", "-o", scratch.file("image"), "--force"]).require()
            }
            var root = running.pid
            for _ in 0..<place.rounds {
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
            }
            try scratch.finishWorkload("handover", running)
            #expect(scratch.becomesEmpty())
        }

        /// All that cannot be saved of such trees is told at once, and soon; the tree goes on.
        @Test(arguments: [
            (["traced"], ["is traced by"], 2), (["endsignal", "9"], ["SIGKILL as the signal that tells of its end"], 1),
            (["endsignal", "19"], ["SIGSTOP as the signal that tells of its end"], 1),
            (["queued", "20000"], ["has more than 8192 signals queued"], 1), (["watched", "3000"], ["is an epoll that watches a file, once its fd", "(and 2999 others)"], 1),
            (["landlocked"], ["is confined by Landlock"], 1), (["landlock-thread"], ["thread ", "is confined by Landlock"], 1),
            (["limited", "as"], ["RLIMIT_AS is", "prlimit --pid"], 1), (["limited", "data"], ["RLIMIT_DATA is", "prlimit --pid"], 1),
        ] as [([String], [String], Int)])
        func refusedInTime(what: [String], reasons: [String], count: Int) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("obstinate", what)
            let refused = try scratch.run(
                "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill", "--freeze-timeout", "30"]).expect(4)
            let lines = refused.errorLines.filter { line in reasons.allSatisfy { line.contains($0) } }
            #expect(lines.count == count, "\(refused.errors)")
            #expect(!scratch.exists("image"))
            try scratch.finishWorkload("obstinate", child)
        }

        /// An ordinary user cannot read the kernel's memory: the threads are asked.
        @Test(arguments: ["landlocked", "landlock-thread"])
        func domainsWithoutBPF(what: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("obstinate", [what])
            let refused = try scratch.run([
                "setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin", Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o",
                scratch.file("image"), "--kill",
            ]).expect(4)
            #expect(refused.errorLines.filter { $0.contains("is confined by Landlock") }.count == 1, "\(refused.errors)")
            try scratch.finishWorkload("obstinate", child)
        }

        /// Sleeps without an end, and a long queue, are saved.
        @Test(arguments: [["forever"], ["queued", "5000"]])
        func savedInTime(what: [String]) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("obstinate", what)
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--freeze-timeout", "30"]).require()
            try scratch.finishWorkload("obstinate", child)
        }

        /// The reader of the image is in the tree: nobody takes what is written. At the deadline, or when asked to end, the
        /// checkpoint lets the tree go on. The end of a child by another end signal than SIGCHLD is no such request.
        @Test(arguments: ["deadline", "SIGTERM", "endsignal"])
        func readerInsideTheTree(end: String) throws {
            let scratch = try Scratch()
            let timeout = end == "SIGTERM" ? "60" : "2"
            let workload = "\(Host.path(of: "Workloads")) \(end == "endsignal" ? "obstinate \(scratch.path) endsignal 15" : "anon \(scratch.path) 4")"
            let commands = """
                exec {w}> >(exec \(workload) >/dev/null 2>&1)
                tree=$!
                echo $tree > \(scratch.file("tree"))
                while [ ! -e \(scratch.file("ready")) ]; do sleep 0.05; done
                \(Host.path(of: "crcheckpoint")) --tree $tree -o - --freeze-timeout \(timeout) --progress lines >&$w 2>\(scratch.file("messages")) &
                echo $! > \(scratch.file("checkpointer"))
                wait $!
                code=$?
                exec {w}>&-
                echo $code > \(scratch.file("code"))
                """
            let shell = try scratch.start(["bash", "-c", commands])
            if end != "deadline" {
                try #require(Clock.wait(seconds: 30) { scratch.read("messages").contains("write") && scratch.hasLine("checkpointer") }, "\(shell.errors)\(scratch.read("messages"))")
                let target = try #require(
                    end == "SIGTERM" ? Int32(scratch.read("checkpointer").trimmingCharacters(in: .whitespacesAndNewlines))
                        : ProcessTable.children(of: Int32(scratch.read("tree").trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0).first)
                kill(target, end == "SIGTERM" ? SIGTERM : SIGKILL)
            }
            try #require(Clock.wait(seconds: 30) { scratch.hasLine("code") }, "\(shell.errors)\(scratch.read("messages"))")
            #expect(scratch.read("code") == "1\n", "\(scratch.read("messages"))")
            #expect(scratch.read("messages").contains(end == "SIGTERM" ? "EINTR (" : "ETIMEDOUT (stage write"), "\(scratch.read("messages"))")
            try scratch.write("finish")
            try #require(Clock.wait(seconds: 30) { scratch.hasLine("result") })
            if end != "endsignal" { #expect(scratch.read("result") == "OK anon\n", "\(scratch.read("failures"))") }
        }
    }
}
