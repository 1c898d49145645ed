import Foundation
import Testing

extension EndToEnd {
    /// Trees of many processes, and trees that change all the time.
    @Suite struct Sizes {
        @Test(arguments: ["wide", "deep"])
        func manyProcesses(shape: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("idlers", [shape, "600"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let restarted = try scratch.restart(.namespace)
            #expect(ProcessTable.tree(of: restarted.root).count == 601)
            try scratch.finishWorkload("idlers", restarted.command)
        }

        /// A tree that forks and exits as fast as the machine allows, in a cgroup that bounds it, now and after its restart.
        @Test func forkBomb() throws {
            guard let group = TestCgroup("pids") else { try Test.cancel("no pids controller (v1) here") }
            try group.write("/pids.max", "1500")
            let scratch = try Scratch()
            let enter = "echo $$ > \(group.directory)/cgroup.procs; exec \"$@\""
            var child = try scratch.start(
                ["sh", "-c", enter, "sh", Host.path(of: "Workloads"), "bomb", scratch.path, "150"])
            #expect(Clock.wait(seconds: 30) { scratch.exists("ready") }, "\(child.errors)")
            var root = child.pid
            for _ in 0..<2 {
                // The tree goes on after a checkpoint that leaves it running, and can be restarted after one with --kill.
                try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--force"]).require()
                try scratch.checkpointAndKill(root, of: child)
                (child, root) = try scratch.restart(.namespace)
            }
            #expect(try ProcessTable.text("/proc/\(root)/cgroup").contains(":pids:\(group.path)\n"))
            try scratch.finishWorkload("bomb", child)
            scratch.killAll()
        }
    }
}
