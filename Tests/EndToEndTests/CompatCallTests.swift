import Foundation
import Testing

extension EndToEnd.Compat {
    /// Interrupted calls of 32-bit programs go on where they were: those with 32-bit times, and those with 64-bit
    /// times. See ``EndToEnd/Calls``.
    @Suite(.enabled(if: Programs32.missing == nil, "\(Programs32.missing ?? "")"))
    struct CompatCalls {
        private static let narrow = Result { try EndToEnd.Calls.Build(Programs32.workloads.get()) }
        private static let wide = Result { try EndToEnd.Calls.Build(Programs32.workloadsOf64BitTimes.get()) }

        private static func build(_ hasWideTimes: Bool) throws -> EndToEnd.Calls.Build {
            try (hasWideTimes ? wide : narrow).get()
        }

        @Test(arguments: ["all", "restartable"], [false, true])
        func notDisturbedByCheckpoints(which: String, hasWideTimes: Bool) throws {
            try EndToEnd.Calls.checkpointOften(which, Self.build(hasWideTimes))
        }

        @Test(arguments: Place.allCases, [false, true])
        func restarted(place: Place, hasWideTimes: Bool) throws {
            let build = try Self.build(hasWideTimes)
            let outcomes = try EndToEnd.Calls.restartedRun("event", place, build, rounds: 2)
            EndToEnd.Calls.compare(outcomes, with: build.byEvent, ends: EndToEnd.Calls.asked, rounds: 2)
        }

        @Test(arguments: [false, true])
        func restartedAndInterrupted(hasWideTimes: Bool) throws {
            try EndToEnd.Calls.interruptAfterRestart(.namespace, Self.build(hasWideTimes))
        }

        @Test(.enabled(if: access("/usr/bin/setpriv", X_OK) == 0, "wants setpriv"), arguments: [false, true])
        func restartedWithoutBPF(hasWideTimes: Bool) throws {
            try EndToEnd.Calls.restartWithoutBPF(Self.build(hasWideTimes))
        }
    }
}
