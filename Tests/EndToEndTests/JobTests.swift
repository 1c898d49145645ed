import Foundation
import Testing

extension EndToEnd {
    /// Programs in a shell, taken from one terminal to another.
    @Suite struct Jobs {
        @Test(
            arguments: [
                "vim", "python3", "bash", "zsh", "leader", "less", "top", "nano", "htop", "mc", "script", "expect", "ssh-agent",
            ], [["--pidns"], ["--no-pidns"]])
        func jobs(program: String, options: [String]) throws {
            let scratch = try Scratch()
            let binaries = URL(fileURLWithPath: Host.path(of: "crrestart")).deletingLastPathComponent().path
            if program != "leader", (try? scratch.run(["which", program]).require()) == nil {
                try Test.cancel("\(program) is not installed (scripts/setup --tests)")
            }
            try scratch.run(["python3", Host.programs + "/jobs.py", binaries, scratch.path, program] + options).require()
        }

        /// A script has no terminal to give: said before anything is created.
        @Test func detachedWithoutATerminal() throws {
            let scratch = try Scratch()
            let first = try scratch.start(
                ["python3", Host.programs + "/onterminal.py", Host.path(of: "Workloads"), "terminal", scratch.path])
            #expect(Clock.wait(seconds: 20) { scratch.exists("ready") }, "\(first.errors)")
            let root = try #require(ProcessTable.children(of: first.pid).first)
            try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--kill"]).require()
            try first.wait(seconds: 20)
            let done = try scratch.run(
                ["setsid", "-w", Host.path(of: "crrestart"), "--detach", "--pidns", scratch.file("image")])
            #expect(done.status == .exited(3), "\(done.errors)")
            #expect(done.errors.contains("is a terminal, and crrestart has none (start crrestart in a terminal"), "\(done.errors)")
            #expect(!done.errorLines.contains("fork"))
            #expect(scratch.becomesEmpty())
        }
    }
}
