import Foundation
import Testing

extension EndToEnd {
    /// System V semaphore sets still exist after the tree has ended, and can have been changed or removed at the restart.
    @Suite struct Semaphores {
        @Test(arguments: Place.allCases)
        func setsThatAreGoneAreMadeAgain(place: Place) throws {
            let scratch = try Scratch()
            let others = try Self.sets()
            let child = try scratch.startWorkload("semaphores")
            let before = try Self.sets(but: others)
            try scratch.checkpointAndKill(child.pid, of: child)
            let mine = try Self.sets(but: others).filter { before.contains($0) }
            try #require(mine.count == 2)
            for set in mine { try scratch.run(["ipcrm", "-s", set]).require() }
            let restarted = try scratch.restart(place)
            #expect(try Self.sets(but: others) == before)
            try scratch.finishWorkload("semaphores", restarted.command)
            #expect(try Self.sets().filter { mine.contains($0) }.isEmpty)
        }

        @Test func setsThatSomebodyElseChanged() throws {
            let scratch = try Scratch()
            let others = try Self.sets()
            let child = try scratch.startWorkload("semaphores")
            try scratch.checkpointAndKill(child.pid, of: child)
            let sets = try Self.sets(but: others)
            let change = "import ctypes, sys\nfor set in sys.argv[1:]: ctypes.CDLL(None).semctl(int(set), 0, 16, 99)"
            try scratch.run(["/usr/bin/python3", "-c", change] + sets).require()
            let refused = try scratch.run("crrestart", ["--pidns", scratch.file("image")]).expect(3)
            #expect(refused.errorLines.filter { $0.contains("and is 99: changed by") }.count == 2, "\(refused.errors)")
            #expect(try Self.sets(but: others) == sets)
            for set in sets { try scratch.run(["ipcrm", "-s", set]).require() }
        }

        /// The numbers of all sets that did not exist before the test.
        private static func sets(but others: [String] = []) throws -> [String] {
            let lines = try String(contentsOfFile: "/proc/sysvipc/sem", encoding: .utf8).split(separator: "\n").dropFirst()
            return lines.map { String($0.split(separator: " ")[1]) }.filter { !others.contains($0) }.sorted()
        }
    }
}
