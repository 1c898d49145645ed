import Foundation
import Testing

extension EndToEnd {
    /// Pseudo-terminals whose both ends are in the tree.
    @Suite struct Ptys {
        /// To see what waits in a pty is to take it: it is put back whatever happens to crcheckpoint.
        @Test func checkpointerDies() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("ptyfloods")
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
            let duration = try Clock.seconds { try scratch.run("crcheckpoint", arguments).require() }
            for attempt in 0..<max(40, Host.kills / 2) {
                let command = try scratch.start("crcheckpoint", arguments)
                // Most while it looks at the ptys, some later.
                Clock.sleep(Double.random(in: 0...duration * (attempt % 4 == 0 ? 1.1 : 0.6)))
                command.end()
                try #require(!scratch.exists("failures"), "after kill \(attempt): \(scratch.read("failures"))")
            }
            try scratch.run("crcheckpoint", arguments).require()
            // What is in the image is whole, and so is what the tree still has.
            try scratch.checkpointAndKill(child.pid, of: child)
            let (running, _) = try scratch.restart(.namespace)
            try scratch.finishWorkload("ptyfloods", running)
        }

        /// A server with windows, driven by its own commands from outside.
        @Test(arguments: ["tmux", "screen"], [["--pidns"], ["--no-pidns", "--pids"]])
        func windows(program: String, options: [String]) throws {
            let scratch = try Scratch()
            if (try? scratch.run(["which", program]).require()) == nil {
                try Test.cancel("\(program) is not installed (scripts/setup --tests)")
            }
            let binaries = URL(fileURLWithPath: Host.path(of: "crrestart")).deletingLastPathComponent().path
            try scratch.run(["python3", Host.programs + "/panes.py", binaries, scratch.path, program] + options).require()
        }

        /// The same, and the tree goes on.
        @Test func nothingIsLostToAKill() throws {
            for _ in 0..<6 {
                let scratch = try Scratch()
                let child = try scratch.startWorkload("ptyfloods")
                let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
                for _ in 0..<7 {
                    let command = try scratch.start("crcheckpoint", arguments)
                    Clock.sleep(Double.random(in: 0...0.25))
                    command.end()
                }
                // What the last one has left behind may still be putting bytes back.
                Clock.sleep(1)
                try scratch.finishWorkload("ptyfloods", child)
            }
        }
    }
}
