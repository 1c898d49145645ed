import Foundation
import Testing

extension EndToEnd {
    /// A Python program with threads, child processes, pipes, files, timers (`Programs/mixture.py`).
    @Suite struct Python {
        static let undisturbed = Result {
            let scratch = try Scratch()
            let program = try start(in: scratch)
            let status = try program.wait(seconds: 120)
            guard status == .exited(0) else { throw HarnessError("\(status): \(program.errors)") }
            return (result: scratch.read("result"), log: sortedLog(in: scratch))
        }

        /// Several checkpoints at random moments, each of the tree that the previous one was restarted as.
        @Test(arguments: Place.allCases)
        func manyTimesInARow(place: Place) throws {
            let scratch = try Scratch()
            let wanted = try Self.undisturbed.get()
            var running = try Self.start(in: scratch)
            var root = running.pid
            var rounds = 0
            while rounds < 4 {
                Clock.sleep(Double.random(in: 0.1...0.9))
                guard running.poll() == nil else { break }
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                rounds += 1
            }
            #expect(rounds == 4)
            try Self.expectEnd(of: running, in: scratch, wanted: wanted)
        }

        /// One checkpoint in each run, at a random moment.
        @Test(arguments: Place.allCases, 0..<3)
        func onceAnywhere(place: Place, attempt: Int) throws {
            let scratch = try Scratch()
            let wanted = try Self.undisturbed.get()
            let program = try Self.start(in: scratch)
            Clock.sleep(Double.random(in: 0.05...3.5))
            try #require(program.poll() == nil)
            try scratch.checkpointAndKill(program.pid, of: program)
            let restarted = try scratch.restart(place)
            try Self.expectEnd(of: restarted.command, in: scratch, wanted: wanted)
        }

        private static func start(in scratch: Scratch) throws -> Child {
            try scratch.start(["/usr/bin/python3", Host.programs + "/mixture.py", scratch.path])
        }

        /// The lines come in any order; each must be there once.
        private static func sortedLog(in scratch: Scratch) -> [String] {
            scratch.read("log").split(separator: "\n", omittingEmptySubsequences: false).map(String.init).sorted()
        }

        private static func expectEnd(
            of child: Child, in scratch: Scratch, wanted: (result: String, log: [String])
        ) throws {
            let status = try child.wait(seconds: 120)
            #expect(status == .exited(0), "\(child.errors)")
            #expect(scratch.read("result") == wanted.result)
            let log = sortedLog(in: scratch)
            #expect(log.count == wanted.log.count)
            #expect(log == wanted.log)
            #expect(scratch.becomesEmpty())
        }
    }
}
