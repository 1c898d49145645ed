import Foundation
import Testing
import TreeModel

extension EndToEnd {
    /// `cat data | sort | xz -9 -T1 | sha256sum > out`: four programs, three pipes with data in flight.
    @Suite struct Pipeline {
        /// The digest and the duration of an uninterrupted run, measured once. The duration is the processor time, because
        /// other work can make the run wait.
        static let undisturbed = Result {
            let scratch = try Scratch()
            var digest = ""
            try writeText(to: scratch)
            let processorTime = Clock.processorTimeOfChildren()
            let wall = try Clock.seconds {
                let pipeline = try start(in: scratch)
                try pipeline.wait(seconds: 3600)
                digest = scratch.read("out")
            }
            guard digest.count == 68 else { throw HarnessError("the pipeline gave \(digest)") }
            return (digest: digest, seconds: min(wall, Clock.processorTimeOfChildren() - processorTime))
        }

        /// At the beginning cat and sort have data between them, later on sort and xz.
        @Test(arguments: Place.allCases, [0.002...0.03, 0.2...0.6])
        func endsRightAfterKillAndRestart(place: Place, moment: ClosedRange<Double>) throws {
            let scratch = try Scratch()
            let wanted = try Self.undisturbed.get()
            try Self.writeText(to: scratch)
            let pipeline = try Self.start(in: scratch)
            Clock.sleep(wanted.seconds * Double.random(in: moment))
            try #require(pipeline.poll() == nil)
            try scratch.checkpointAndKill(pipeline.pid, of: pipeline)
            let restarted = try scratch.restart(place)
            #expect(try restarted.command.wait(seconds: 3600) == .exited(0))
            #expect(scratch.read("out") == wanted.digest)
            #expect(scratch.becomesEmpty())
        }

        @Test func goesThroughAPipe() throws {
            let scratch = try Scratch()
            let wanted = try Self.undisturbed.get()
            try Self.writeText(to: scratch)
            let pipeline = try Self.start(in: scratch)
            Clock.sleep(wanted.seconds * Double.random(in: 0.2...0.6))
            try #require(pipeline.poll() == nil)
            let commands = """
                set -o pipefail
                mkfifo \(scratch.file("ack"))
                \(Host.path(of: "crcheckpoint")) --tree \(pipeline.pid) -o - --kill --ack 3 3< \(scratch.file("ack")) |
                \(Host.path(of: "crrestart")) --pidns --copy-status --ack 4 - 4> \(scratch.file("ack"))
                """
            let both = try scratch.start(["bash", "-c", commands])
            try pipeline.wait(seconds: 120)
            let status = try both.wait(seconds: 3600)
            #expect(status == .exited(0), "\(both.errors)")
            #expect(scratch.read("out") == wanted.digest)
            #expect(scratch.becomesEmpty())
        }

        /// Ten checkpoints of the tree that runs on, each restarted afterwards.
        ///
        /// The programs go on working with their files, so an earlier image belongs to earlier files:
        /// an operator would take a snapshot of the file system along with each checkpoint. Here that
        /// is done for what the pipeline writes: the temporary files of sort, which are only ever
        /// appended to and then removed, are kept by a second name from the moment they appear, and
        /// `out`, empty until the end, is emptied again.
        @Test func tenCheckpointsOfTheRunningTree() throws {
            let scratch = try Scratch()
            let wanted = try Self.undisturbed.get()
            try Self.writeText(to: scratch)
            try scratch.run(["mkdir", scratch.file("kept")]).require()
            let pipeline = try Self.start(in: scratch)
            let keeper = try scratch.start(["bash", "-c", Self.keep, "keep", scratch.file("tmp"), scratch.file("kept")])
            let begin = Date()
            for number in 0..<10 {
                Clock.sleep(wanted.seconds * 0.05 * Double(number + 1) - Date().timeIntervalSince(begin))
                try #require(pipeline.poll() == nil, "the pipeline ended before checkpoint \(number)")
                try scratch.run("crcheckpoint", ["--tree", "\(pipeline.pid)", "-o", scratch.file("image\(number)")])
                    .require()
            }
            #expect(try pipeline.wait(seconds: 3600) == .exited(0))
            #expect(scratch.read("out") == wanted.digest)
            keeper.end()

            for number in 0..<10 {
                let place = Place.allCases[number % 2]
                try scratch.run(["bash", "-c", ": > \(scratch.file("out"))"]).require()
                try scratch.run(["bash", "-c", "cp -al \(scratch.file("kept"))/. \(scratch.file("tmp"))/"]).require()
                #expect(scratch.becomesEmpty())
                let restarted = try scratch.restart(place, image: "image\(number)")
                #expect(try restarted.command.wait(seconds: 3600) == .exited(0))
                #expect(scratch.read("out") == wanted.digest, "checkpoint \(number)")
                scratch.remove("image\(number)")
            }
        }

        /// Gives every file of folder $1 a second name in folder $2 soon after it appears.
        private static let keep = """
            cd "$1"
            while true; do
              for file in *; do
                [ -e "$2/$file" ] || ln "$file" "$2/$file" 2>/dev/null
              done
              read -t 0.005 <> <(:)
            done
            """

        private static func start(in scratch: Scratch) throws -> Child {
            let commands = "cd \(scratch.path); cat data | sort | xz -9 -T1 | sha256sum > out"
            return try scratch.start(["bash", "-c", commands])
        }

        /// A hundred thousand different lines, again and again: sort has work to do, and xz does not
        /// take minutes.
        private static func writeText(to scratch: Scratch) throws {
            var random = SplitMix(1)
            let size = Host.pipelineMegabytes * 1_000_000
            let words = (0..<4096).map { _ in
                (0..<Int.random(in: 3...9, using: &random)).map { _ in UInt8.random(in: 97...122, using: &random) }
            }
            let lines = (0..<100_000).map { _ in
                Array((0..<8).map { _ in words[Int.random(in: 0..<4096, using: &random)] }.joined(separator: [32])) + [10]
            }
            var text: [UInt8] = []
            text.reserveCapacity(size + 100)
            while text.count < size { text += lines[Int.random(in: 0..<lines.count, using: &random)] }
            try scratch.write("data", text)
        }
    }
}
