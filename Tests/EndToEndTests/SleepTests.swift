import Foundation
import Testing

extension EndToEnd {
    /// Programs of the distribution that sleep at the checkpoint (`Programs/asleep.py`): in sleeps, in waits with a limit,
    /// and waiting for timers.
    @Suite struct Asleep {
        /// The time that every program sleeps.
        private static let seconds = 12

        private struct Outcome: Equatable {
            var status: Int
            var milliseconds: Int
        }

        private static let undisturbed = Result {
            let scratch = try Scratch()
            let programs = try start(in: scratch)
            let status = try programs.wait(seconds: 120)
            guard status == .exited(0) else { throw HarnessError("\(status): \(programs.errors)") }
            return outcomes(in: scratch)
        }

        private static func start(in scratch: Scratch) throws -> Child {
            let child = try scratch.start(
                ["/usr/bin/env", "python3", Host.programs + "/asleep.py", scratch.path, "\(seconds)"])
            guard Clock.wait(seconds: 60, until: { scratch.exists("ready") || child.poll() != nil }) else {
                throw HarnessError("not ready: \(child.errors)")
            }
            return child
        }

        private static func outcomes(in scratch: Scratch) -> [String: Outcome] {
            var outcomes: [String: Outcome] = [:]
            for line in scratch.read("asleep").split(separator: "\n") {
                let words = line.split(separator: " ").map(String.init)
                guard words.count == 3, let status = Int(words[1]), let time = Int(words[2]) else { continue }
                outcomes[words[0]] = Outcome(status: status, milliseconds: time)
            }
            return outcomes
        }

        /// Three checkpoints, each restarted two seconds later: all programs sleep as long as they asked for.
        @Test(arguments: Place.allCases) func sleepAsLongAsUndisturbed(place: Place) throws {
            let wanted = try Self.undisturbed.get()
            #expect(wanted.count >= 15 && wanted.values.allSatisfy { $0.status == 0 }, "\(wanted)")
            let scratch = try Scratch()
            var running = try Self.start(in: scratch)
            var root = running.pid
            Clock.sleep(3)
            for round in 0..<place.rounds {
                if round > 0 { Clock.sleep(0.5) }
                try scratch.checkpointAndKill(root, of: running)
                if round == 0 { try expectActivities(in: scratch) }
                Clock.sleep(2)
                (running, root) = try scratch.restart(place)
            }
            #expect(try running.wait(seconds: 120) == .exited(0), "\(running.errors)")
            let outcomes = Self.outcomes(in: scratch)
            #expect(Set(outcomes.keys) == Set(wanted.keys))
            for (name, model) in wanted {
                guard let outcome = outcomes[name] else { continue }
                #expect(outcome.status == 0, "\(name)")
                // The measured time includes the start of the program, which is slow on a busy machine.
                #expect(
                    outcome.milliseconds >= Self.seconds * 1000 && outcome.milliseconds < model.milliseconds + 10_000,
                    "\(name) took \(outcome.milliseconds) ms, undisturbed \(model.milliseconds) ms")
            }
            #expect(scratch.becomesEmpty())
        }

        /// `crimage` tells what each program waited for, and how much time was left.
        private func expectActivities(in scratch: Scratch) throws {
            let lines = try scratch.run("crimage", ["threads", scratch.file("image")]).require().output.split(separator: "\n")
            for (name, activity) in [
                ("sleep", "in clock_nanosleep, "), ("timeout", "in rt_sigsuspend"), ("perl", "in pselect6, "),
                ("python3", "in poll on 0 descriptors, "), ("python3", "in epoll_wait of descriptor 3, "),
                ("python3", "in rt_sigtimedwait, "), ("python3", "in futex, "),
            ] {
                let found = lines.contains { line in
                    line.contains(" \(name)") && line.contains("  \(activity)")
                        && (!activity.hasSuffix(" ") || line.contains(" s left"))
                }
                #expect(found, "\(name) \(activity)\n\(lines.joined(separator: "\n"))")
            }
        }
    }
}
