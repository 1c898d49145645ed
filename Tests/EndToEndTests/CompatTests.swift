import Foundation
import Testing

extension EndToEnd {
    /// 32-bit programs, and trees that hold programs of both word sizes.
    @Suite(.enabled(if: Programs32.missing == nil, "\(Programs32.missing ?? "")"))
    struct Compat {
        static let workloads = [
            Workload(name: "registers"), Workload(name: "vectors"), Workload(name: "narrow"),
            Workload(name: "sleepers"), Workload(name: "waits"), Workload(name: "memory"), Workload(name: "pipes"),
            Workload(name: "signals"), Workload(name: "credentials"), Workload(name: "processes", arguments: ["20"]),
            Workload(name: "threads", arguments: ["40"]), Workload(name: "tree"), Workload(name: "stops"), Workload(name: "headless"),
            Workload(name: "rseq", arguments: ["32"]), Workload(name: "clocks"), Workload(name: "files"),
            Workload(name: "breakpoints"), Workload(name: "events"), Workload(name: "timerfiles"),
            Workload(name: "epolls"), Workload(name: "posixtimers"), Workload(name: "semaphores"),
            Workload(name: "sharing"), Workload(name: "wanderers"),
        ]

        @Test(arguments: ["registers", "vectors", "narrow", "waits", "signals", "rseq"])
        func notDisturbedByCheckpoints(name: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(name, program: Programs32.workloads.get())
            try Self.checkpointOften(child.pid, in: scratch)
            try scratch.finishWorkload(name, child)
        }

        @Test(arguments: workloads, Place.allCases)
        func restarted(workload: Workload, place: Place) throws {
            let scratch = try Scratch()
            let program = try Programs32.workloads.get()
            let running = try scratch.startWorkload(workload.name, workload.arguments, program: program)
            try Self.restartOften(running, workload.name, place, in: scratch)
        }

        /// Each the parent of the other; `narrow` and `registers` check themselves in a directory of their own.
        @Test(arguments: [false, true], Place.allCases)
        func mixedTree(parentIs32Bit: Bool, place: Place) throws {
            let scratch = try Scratch()
            let wide = Host.path(of: "Workloads")
            let narrow = try Programs32.workloads.get()
            let running = try scratch.startWorkload(
                "mixed", parentIs32Bit ? [wide, "registers"] : [narrow, "narrow"], program: parentIs32Bit ? narrow : wide)
            try Self.checkpointOften(running.pid, in: scratch)
            try Self.restartOften(running, "mixed", place, in: scratch)
        }

        /// 64-bit code that makes calls of the i386 table.
        @Test(arguments: Place.allCases)
        func callsOfTheOtherKind(place: Place) throws {
            let scratch = try Scratch()
            let running = try scratch.startWorkload("borrowed")
            try Self.checkpointOften(running.pid, in: scratch)
            try Self.restartOften(running, "borrowed", place, in: scratch)
        }

        @Test(arguments: ["registers", "narrow"])
        func checkpointerDies(name: String) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload(name, program: Programs32.workloads.get())
            let arguments = ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]
            let duration = try Clock.seconds { try scratch.run("crcheckpoint", arguments).require() }
            let mappings = ProcessTable.mappings(of: child.pid).count
            var alone = 0
            for attempt in 0..<Host.kills / 2 {
                let command = try scratch.start("crcheckpoint", arguments)
                Clock.sleep(Double.random(in: 0...duration * 1.2))
                command.end()
                if ProcessTable.mappings(of: child.pid).count != mappings { alone += 1 }
                let after = "after kill \(attempt)"
                try #require(child.poll() == nil, "\(after): \(child.poll()!)")
                try #require(Clock.wait(seconds: 30) { ProcessTable.runs(child.pid) }, "\(after) it is stopped")
                try #require(!scratch.exists("failures"), "\(after): \(scratch.read("failures"))")
                let clean = Clock.wait(seconds: 30) { ProcessTable.mappings(of: child.pid).count == mappings }
                #expect(clean, "\(after) a mapping is left: \(ProcessTable.mappings(of: child.pid))")
            }
            print("crcheckpoint of 32-bit \(name) killed \(Host.kills / 2) times: \(alone) times a stub had to find home alone")
            try scratch.run("crcheckpoint", arguments).require()
            try scratch.finishWorkload(name, child)
            #expect(scratch.becomesEmpty())
        }

        /// A shell and a pipeline of programs of the distribution.
        @Test(
            .enabled(if: Programs32.busybox != nil, "needs Debian's busybox-static of i386 (scripts/setup --tests fetches it)"),
            arguments: Place.allCases)
        func shellAndPipeline(place: Place) throws {
            let busybox = try #require(Programs32.busybox)
            let scratch = try Scratch()
            let lines = (1...900).map { "\($0)" }.joined(separator: "\n") + "\n"
            try scratch.write("wanted", Array(lines.replacingOccurrences(of: "7", with: "seven").utf8))
            let commands = """
                cd \(scratch.path); i=0
                while [ $i -lt 900 ]; do i=$((i + 1)); echo $i; \(busybox) usleep 5000; done |
                  \(busybox) sed s/7/seven/g | \(busybox) tee copy | \(busybox) sha256sum > sum
                \(busybox) sha256sum < copy >> sum
                """
            var running = try scratch.start([busybox, "sh", "-c", commands])
            var root = running.pid
            for _ in 0..<place.rounds {
                Clock.sleep(Double.random(in: 0.2...0.5))
                try #require(running.poll() == nil, "\(running.errors)")
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
            }
            #expect(try running.wait(seconds: 60) == .exited(0), "\(running.errors)")
            #expect(scratch.bytes("copy") == scratch.bytes("wanted"))
            #expect(Set(scratch.read("sum").split(separator: "\n")).count == 1, "\(scratch.read("sum"))")
            #expect(scratch.becomesEmpty())
        }

        @Test(
            .enabled(if: !Programs32.tasks.isEmpty, "needs programs of Debian's i386 packages (scripts/setup --tests fetches them)"),
            arguments: Programs32.tasks)
        func programsEndAsUndisturbed(program: Program) throws {
            try EndToEnd.Programs.compareWithUndisturbed(program)
        }

        private static func checkpointOften(_ root: pid_t, in scratch: Scratch) throws {
            for _ in 0..<4 {
                Clock.sleep(Double.random(in: 0...0.15))
                try scratch.run("crcheckpoint", ["--tree", "\(root)", "-o", scratch.file("image"), "--force"]).require()
            }
            try scratch.run("crimage", ["verify", scratch.file("image")]).expect(0)
        }

        private static func restartOften(_ child: Child, _ name: String, _ place: Place, in scratch: Scratch) throws {
            var running = child
            var root = child.pid
            for _ in 0..<place.rounds {
                Clock.sleep(Double.random(in: 0...0.3))
                let before = ProcessTable.tree(of: root)
                try scratch.checkpointAndKill(root, of: running)
                (running, root) = try scratch.restart(place)
                #expect(ProcessTable.tree(of: root).map(\.command).sorted() == before.map(\.command).sorted())
            }
            Clock.sleep(0.2)
            try scratch.finishWorkload(name, running)
            #expect(scratch.becomesEmpty())
        }
    }
}
