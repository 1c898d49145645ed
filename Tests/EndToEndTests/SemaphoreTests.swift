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

        /// Operations to undo on a set that is made again.
        @Test(arguments: Place.allCases)
        func operationsToUndoOnASetThatIsGone(place: Place) throws {
            let scratch = try Scratch()
            let others = try Self.sets()
            let mine = try Self.setsLeft(by: "undone", in: scratch, but: others)
            try #require(mine.count == 1)
            try scratch.run(["ipcrm", "-s", mine[0]]).require()
            let restarted = try scratch.restart(place)
            #expect(try Self.sets(but: others) == mine)
            try scratch.finishWorkload("undone", restarted.command)
        }

        /// Where a restart fails among them, the end of its tasks undoes what they have done; a set that it has made is gone.
        @Test(arguments: ["EIO", "SIGKILL"], [false, true])
        func restartThatFailsAmongOperationsToUndo(how: String, isGone: Bool) throws {
            let scratch = try Scratch()
            let others = try Self.sets()
            let mine = try Self.setsLeft(by: "undone", in: scratch, but: others)
            if isGone { try scratch.run(["ipcrm", "-s"] + mine).require() }
            let before = try mine.map { try Self.values(of: $0) }
            for count in [1, 3] {
                let failed = try scratch.start(
                    ["env", "TREERESTORE_FAULT=semaphore-undo:\(count)=\(how)", Host.path(of: "crrestart"), "--pidns", scratch.file("image")])
                #expect(try failed.wait(seconds: 30) == (how == "EIO" ? .exited(1) : .signaled(SIGKILL)), "\(failed.errors)")
                #expect(scratch.becomesEmpty())
                #expect(Clock.wait(seconds: 30) { (try? Self.sets(but: others)) == (isGone ? [] : mine) })
                #expect(Clock.wait(seconds: 30) { (try? mine.map { try Self.values(of: $0) }) == before })
            }
            let restarted = try scratch.restart(.here)
            try scratch.finishWorkload("undone", restarted.command)
        }

        /// The original tree goes on and would undo the same.
        @Test func treeThatHasNotEnded() throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("undone")
            try scratch.run("crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image")]).require()
            let refused = try scratch.run("crrestart", ["--pidns", scratch.file("image")]).expect(3)
            #expect(refused.errors.contains("as at the checkpoint: a task of the tree has operations to undo on it (SEM_UNDO), and has not ended"), "\(refused.errors)")
            try scratch.finishWorkload("undone", child)
        }

        @Test func setsThatSomebodyElseChanged() throws {
            let scratch = try Scratch()
            let others = try Self.sets()
            let sets = try Self.setsLeft(by: "semaphores", in: scratch, but: others)
            let change = "import ctypes, sys\nfor set in sys.argv[1:]: ctypes.CDLL(None).semctl(int(set), 0, 16, 99)"
            try scratch.run(["/usr/bin/python3", "-c", change] + sets).require()
            let refused = try scratch.run("crrestart", ["--pidns", scratch.file("image")]).expect(3)
            #expect(refused.errorLines.filter { $0.contains("and is 99: changed by") }.count == 2, "\(refused.errors)")
            #expect(try Self.sets(but: others) == sets)
            for set in sets { try scratch.run(["ipcrm", "-s", set]).require() }
        }

        /// The sets that a workload leaves when a checkpoint has ended it.
        private static func setsLeft(by workload: String, in scratch: Scratch, but others: [String]) throws -> [String] {
            let child = try scratch.startWorkload(workload)
            try scratch.checkpointAndKill(child.pid, of: child)
            return try sets(but: others)
        }

        private static func values(of set: String) throws -> String {
            let ask = "import ctypes, sys\nfor index in range(5): print(ctypes.CDLL(None).semctl(int(sys.argv[1]), index, 12))"
            return try Scratch().run(["/usr/bin/python3", "-c", ask, set]).require().output
        }

        /// The numbers of all sets that did not exist before the test.
        private static func sets(but others: [String] = []) throws -> [String] {
            let lines = try ProcessTable.text("/proc/sysvipc/sem").split(separator: "\n").dropFirst()
            return lines.map { String($0.split(separator: " ")[1]) }.filter { !others.contains($0) }.sorted()
        }
    }
}
