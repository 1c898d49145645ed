import Foundation
import Testing

extension EndToEnd {
    /// Attributes of threads, and processes with many threads.
    @Suite struct Threads {
        /// Each thread differs from its leader and its neighbours, and has its own attributes after the restart. With and
        /// without BPF, which tells what threads are otherwise asked by injected calls.
        @Test(arguments: Place.allCases)
        func individuals(place: Place) throws {
            let scratch = try Scratch()
            var child = try scratch.startWorkload("individuals", ["48", "deadline"])
            var root = child.pid
            for _ in 0..<2 {
                try scratch.checkpointAndKill(root, of: child)
                (child, root) = try scratch.restart(place)
            }
            try scratch.finishWorkload("individuals", child)
        }

        @Test func individualsAreAskedWithoutBPF() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("individuals", ["24"])
            let done = try scratch.run(
                ["setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin"]
                    + [Host.path(of: "crcheckpoint"), "--tree", "\(child.pid)", "-o", scratch.file("image"), "--kill", "--unchecked"]
            ).require()
            #expect(done.errors.contains("CAP_BPF"), "\(done.errors)")
            try child.wait(seconds: 20)
            #expect(scratch.becomesEmpty())
            let restarted = try scratch.restart(.namespace)
            try scratch.finishWorkload("individuals", restarted.command)
        }

        @Test func twoThousandThreads() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("individuals", ["2000"])
            try scratch.checkpointAndKill(child.pid, of: child)
            let restarted = try scratch.restart(.namespace)
            #expect(ProcessTable.threads(of: restarted.root).count == 2001)
            try scratch.finishWorkload("individuals", restarted.command)
        }
    }
}
