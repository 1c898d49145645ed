import Foundation
import Testing

extension EndToEnd {
    /// System V message queues still exist after the tree has ended, and can have been removed at the restart.
    @Suite struct MessageQueues {
        @Test(arguments: Place.allCases)
        func queuesThatAreGoneAreMadeAgain(place: Place) throws {
            let scratch = try Scratch()
            let others = try Self.queues()
            let child = try scratch.startWorkload("messages")
            try scratch.checkpointAndKill(child.pid, of: child)
            let mine = try Self.queues().filter { !others.contains($0) }
            try #require(mine.count == 2)
            for queue in mine { try scratch.run(["ipcrm", "-q", queue]).require() }
            let restarted = try scratch.restart(place)
            #expect(try Self.queues().filter { !others.contains($0) } == mine)
            try scratch.finishWorkload("messages", restarted.command)
            #expect(try Self.queues().filter(mine.contains).isEmpty)
        }

        /// The numbers of all queues.
        private static func queues() throws -> [String] {
            let lines = try ProcessTable.text("/proc/sysvipc/msg").split(separator: "\n").dropFirst()
            return lines.map { String($0.split(separator: " ")[1]) }.sorted()
        }
    }
}
