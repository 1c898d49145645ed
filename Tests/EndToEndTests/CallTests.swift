import Foundation
import Testing

/// One line of the workload `calls`: the result of one call.
struct Outcome {
    /// Result, errno, signals handled, what the call wrote.
    var values: [String]
    var flags: Int
    /// Milliseconds, without the time between checkpoint and restart.
    var asleep: Int
    /// The remaining time that the call wrote back, -1: none.
    var left: Int
    /// Milliseconds by which the clock jumped between checkpoint and restart.
    var gap: Int

    var endsByWallClock: Bool { flags & 2 != 0 }
    /// Whether it waits for processor time, or has a limit that begins again at a restart.
    var hasNoTime: Bool { flags & 4 != 0 }
    var endsByEvent: Bool { flags & 8 != 0 }

    static func parse(_ text: String) -> [String: Outcome] {
        var outcomes: [String: Outcome] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 9, let flags = Int(words[1]), let asleep = Int(words[6]), let left = Int(words[7]),
                let gap = Int(words[8])
            else { continue }
            outcomes[words[0]] = Outcome(
                values: Array(words[2...5]), flags: flags, asleep: asleep / 1000, left: left / 1000, gap: gap / 1000)
        }
        return outcomes
    }
}

extension EndToEnd {
    /// Interrupted system calls go on where they were: every call of `Tests/Workloads/calls_*.c`, compared with
    /// an undisturbed run.
    @Suite struct Calls {
        /// A build of the workloads, with the results of its calls in an undisturbed run.
        struct Build: Sendable {
            var program: String?
            var byEvent: [String: Outcome]
            var bySignal: [String: Outcome]

            init(_ program: String? = nil) throws {
                self.program = program
                byEvent = try undisturbed("event", program)
                bySignal = try undisturbed("signal", program)
            }
        }
        private static let native = Result { try Build() }
        /// The time that every call asks for, and the time of the signal, in milliseconds.
        static let asked = 4000
        static let signaled = 3000

        private static func undisturbed(_ end: String, _ program: String?) throws -> [String: Outcome] {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("calls", ["all", end], program: program)
            let status = try child.wait(seconds: 60)
            guard status == .exited(0) else { throw HarnessError("calls: \(status) \(scratch.read("failures"))") }
            return Outcome.parse(scratch.read("calls"))
        }

        /// A checkpoint has no effect on a call, whether it succeeds or is refused because of a descriptor. Nor have ignored
        /// signals that arrive meanwhile.
        @Test(arguments: ["all", "restartable"])
        func notDisturbedByCheckpoints(which: String) throws {
            try Self.checkpointOften(which, Self.native.get())
        }

        static func checkpointOften(_ which: String, _ build: Build) throws {
            let scratch = try Scratch()
            let child = try scratch.startWorkload("calls", [which, "event"], program: build.program)
            let storm = try scratch.start([
                "/bin/sh", "-c", "while kill -URG $(cat /proc/\(child.pid)/task/\(child.pid)/children); do sleep 0.001; done",
            ])
            for _ in 0..<3 {
                Clock.sleep(0.3)
                let status = try scratch.run(
                    "crcheckpoint", ["--tree", "\(child.pid)", "-o", scratch.file("image"), "--force"]).status
                #expect(status == .exited(which == "all" ? 4 : 0))
            }
            #expect(try child.wait(seconds: 150) == .exited(0), "\(scratch.read("failures"))")
            storm.end()
            compare(Outcome.parse(scratch.read("calls")), with: build.byEvent, ends: asked)
        }

        @Test(arguments: Place.allCases, [1, 3])
        func restarted(place: Place, rounds: Int) throws {
            let build = try Self.native.get()
            let outcomes = try Self.restartedRun("event", place, build, rounds: rounds)
            Self.compare(outcomes, with: build.byEvent, ends: Self.asked, rounds: rounds)
        }

        /// A handled signal reaches a call that was restarted: the handler runs, the call returns what Linux returns,
        /// and what it writes back as the rest of its time is right.
        @Test(arguments: Place.allCases)
        func restartedAndInterrupted(place: Place) throws {
            try Self.interruptAfterRestart(place, Self.native.get())
        }

        static func interruptAfterRestart(_ place: Place, _ build: Build) throws {
            let outcomes = try restartedRun("signal", place, build, rounds: 1)
            compare(outcomes, with: build.bySignal, ends: signaled, rounds: 1)
            for (name, outcome) in outcomes where outcome.left > 0 {
                let sum = outcome.asleep + outcome.left
                #expect(abs(sum - asked) < 250, "\(name): \(outcome.asleep) ms and \(outcome.left) ms left")
            }
        }

        /// With `--time absolute` the time since the checkpoint counts, so calls with a limit end that much earlier.
        @Test func restartedWithTimeCounting() throws {
            let build = try Self.native.get()
            let wanted = build.byEvent
            let outcomes = try Self.restartedRun("event", .namespace, build, rounds: 1, options: ["--time", "absolute"])
            for (name, outcome) in outcomes {
                #expect(outcome.values == wanted[name]?.values, "\(name)")
                #expect(outcome.gap > 1900, "\(name)")
                guard !outcome.hasNoTime, !outcome.endsByEvent else { continue }
                let total = outcome.asleep + outcome.gap
                #expect(total >= Self.asked - 1 && total < Self.asked + 1500, "\(name) took \(total) ms")
            }
        }

        /// Without the privilege to read the kernel's memory, the remaining time comes from the tasks' own memory and from
        /// the beginning of their sleep. Where neither tells it, the wait begins again. No call ends early or with another
        /// result.
        @Test(.enabled(if: access("/usr/bin/setpriv", X_OK) == 0, "wants setpriv")) func restartedWithoutBPF() throws {
            try Self.restartWithoutBPF(Self.native.get())
        }

        static func restartWithoutBPF(_ build: Build) throws {
            let scratch = try Scratch()
            let workload = try scratch.startWorkload("calls", ["restartable", "event"], program: build.program)
            Clock.sleep(0.3)
            let finished = try scratch.run([
                "setpriv", "--bounding-set", "-sys_admin,-bpf,-perfmon", Host.path(of: "crcheckpoint"), "--tree",
                "\(workload.pid)", "-o", scratch.file("image"), "--kill",
                // The restart has these capabilities.
                "--unchecked",
            ])
            try finished.require()
            #expect(finished.errors.contains("cannot read the kernel's timers: EPERM"))
            try workload.wait(seconds: 20)
            let (running, _) = try scratch.restart(.here)
            #expect(try running.wait(seconds: 150) == .exited(0), "\(scratch.read("failures"))\(running.errors)")
            compare(Outcome.parse(scratch.read("calls")), with: build.byEvent, ends: asked, rounds: 1)
        }

        /// Whatever a call keeps its time in, the image tells what is left of it: no call begins anew.
        @Test func everyTimeLeftIsKnown() throws {
            let scratch = try Scratch()
            let workload = try scratch.startWorkload("calls", ["restartable", "event"])
            for _ in 0..<2 {
                Clock.sleep(0.3)
                try scratch.run("crcheckpoint", ["--tree", "\(workload.pid)", "-o", scratch.file("image"), "--force"]).require()
                let sources = try timeSources(scratch)
                #expect(sources.count >= 10 && sources["select-constant"] == "KERNEL_TIMER" && sources["select"] == "MEMORY", "\(sources)")
                #expect(!sources.values.contains("ARGUMENTS"), "\(sources)")
            }
            workload.end()
        }

        /// By the name of a thread: where the image has the rest of its timeout from.
        private func timeSources(_ scratch: Scratch) throws -> [String: String] {
            let shown = try scratch.run("crimage", ["json", scratch.file("image")]).require().output
            let image = try #require(JSONSerialization.jsonObject(with: Data(shown.utf8)) as? [String: Any])
            let threads = try #require(image["threads"] as? [[String: Any]])
            var sources: [String: String] = [:]
            for thread in threads {
                guard let timeout = thread["timeout"] as? [String: Any], let name = (thread["name"] as? String).flatMap({ Data(base64Encoded: $0) })
                else { continue }
                sources[String(decoding: name, as: UTF8.self)] = timeout["source"] as? String
            }
            return sources
        }

        /// More threads wait for a time given by address than the restart has room for. The waits of some begin again, and
        /// these are named; no wait ends early, or with the time of another thread.
        @Test func moreThreadsThanRoom() throws {
            let scratch = try Scratch()
            let code = """
                import signal, threading, time
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
                threading.stack_size(262144)
                times = []
                def wait(delay):
                    time.sleep(delay)
                    begin = time.monotonic()
                    signal.sigtimedwait([signal.SIGUSR1], 5)
                    times.append(time.monotonic() - begin)
                threads = [threading.Thread(target=wait, args=[number * 0.005]) for number in range(120)]
                for thread in threads: thread.start()
                open("\(scratch.file("ready"))", "w").close()
                for thread in threads: thread.join()
                open("\(scratch.file("times"))", "w").write(" ".join(map(str, times)))
                """
            let program = try scratch.start(["/usr/bin/env", "python3", "-c", code])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") })
            Clock.sleep(1)
            let alive = try scratch.run("crcheckpoint", ["--tree", "\(program.pid)", "-o", scratch.file("image")]).require()
            #expect(alive.errors.contains("begins its call anew with its whole timeout: too many threads"))
            Clock.sleep(0.3)
            try scratch.checkpointAndKill(program.pid, of: program)
            let (running, _) = try scratch.restart(.namespace)
            #expect(try running.wait(seconds: 60) == .exited(0), "\(running.errors)")
            #expect(running.errors.contains("begins its call anew with its whole timeout: too many threads"))
            let times = scratch.read("times").split(separator: " ").compactMap { Double($0) }
            #expect(times.count == 120 && times.allSatisfy { $0 >= 5 && $0 < 12 }, "\(times.sorted())")
        }

        /// Without the privilege to make a time namespace each deadline of the kernel is moved by itself, and threads with
        /// deadlines in the program's memory are named.
        @Test(.enabled(if: access("/usr/bin/setpriv", X_OK) == 0, "wants setpriv")) func restartedWithoutNamespace() throws {
            let scratch = try Scratch()
            let withoutPrivilege = ["setpriv", "--bounding-set", "-sys_admin"]
            let workload = try scratch.start(
                withoutPrivilege + [Host.path(of: "Workloads"), "calls", scratch.path, "restartable", "event"])
            try #require(Clock.wait(seconds: 30) { scratch.exists("ready") })
            try scratch.checkpointAndKill(workload.pid, of: workload)
            Clock.sleep(2)
            let running = try scratch.start(
                withoutPrivilege + [Host.path(of: "crrestart"), "--no-pidns", "--pids", "--copy-status", scratch.file("image")])
            #expect(try running.wait(seconds: 150) == .exited(0), "\(scratch.read("failures"))\(running.errors)")
            for name in Self.absolute {
                #expect(running.errors.contains(" \(name) (") && running.errors.contains("waits for such a deadline"), "\(name)")
            }
            #expect(running.errors.contains("no time namespace can be made here"))
            Self.compare(
                Outcome.parse(scratch.read("calls")), with: try Self.native.get().byEvent, ends: Self.asked, rounds: 1)
        }

        static func restartedRun(
            _ end: String, _ place: Place, _ build: Build, rounds: Int, options: [String] = []
        ) throws -> [String: Outcome] {
            let scratch = try Scratch()
            var running = try scratch.startWorkload("calls", ["restartable", end], program: build.program)
            var root = running.pid
            for _ in 0..<rounds {
                Clock.sleep(0.3)
                try scratch.checkpointAndKill(root, of: running)
                Clock.sleep(2)
                (running, root) = try scratch.restart(place, options: options)
            }
            #expect(try running.wait(seconds: 150) == .exited(0), "\(scratch.read("failures"))\(running.errors)")
            #expect(scratch.read("result") == "OK calls\n")
            #expect(scratch.becomesEmpty())
            return Outcome.parse(scratch.read("calls"))
        }

        /// Compares results. Times must not be shorter than asked for (a measured gap contains some of the time around it,
        /// too), and at most 3 s longer, for busy machines.
        static func compare(
            _ outcomes: [String: Outcome], with wanted: [String: Outcome], ends: Int, rounds: Int = 0,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let names = wanted.filter { outcomes[$0.key] != nil || $0.value.flags & 1 != 0 }.keys.sorted()
            #expect(names.count > 35 && outcomes.count == names.count, sourceLocation: sourceLocation)
            for name in names {
                guard let outcome = outcomes[name], let model = wanted[name] else {
                    Issue.record("\(name) is missing", sourceLocation: sourceLocation)
                    continue
                }
                // A deadline on a clock that ran between checkpoint and restart has passed.
                if rounds > 0 && (outcome.endsByWallClock || outcome.gap > 0 && absolute.contains(name)) { continue }
                #expect(outcome.values == model.values, "\(name)", sourceLocation: sourceLocation)
                let early = outcome.gap > 0 ? max(1, 150 * rounds) : 1
                guard !outcome.hasNoTime, !outcome.endsByWallClock else { continue }
                // While a busy machine stops a tree that goes on, limits run and the workload's event does not come nearer.
                let atLeast = outcome.asleep + (rounds == 0 ? outcome.gap : 0)
                #expect(
                    atLeast >= ends - early && outcome.asleep < ends + 3000,
                    "\(name) took \(outcome.asleep) ms and was stopped for \(outcome.gap) ms", sourceLocation: sourceLocation)
            }
        }

        /// Calls whose end lies in their own memory as a point in time of the monotonic clock.
        private static let absolute: Set<String> = ["until-monotonic", "futex-waitv", "futex-wait"]
    }
}
