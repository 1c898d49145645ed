import ArchState
import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// Where numbers come from: their limits, and how they are given.
@Suite struct NumberTests {
    @Test func numbersAboveTheHighest() throws {
        var sample = Sample()
        sample.facts.numbers.end = 101
        sample.options.newPidNamespace = false
        #expect(
            try sample.findings() == [
                "pid 101: is above the highest number here, 100 (sysctl -w kernel.pid_max=102 makes room; --pidns gives the tree numbers of its own, up to 4194303)"
            ])
        // Before Linux 6.14 there is one limit for all.
        sample.facts.numbers.endInNewNamespace = 101
        #expect(try sample.findings().contains { $0.contains("; --no-pids gives it fresh numbers)") })
        sample.options.newPidNamespace = true
        #expect(try sample.findings().contains { $0.contains("; --no-pidns --no-pids gives it fresh numbers)") })
        sample.facts.numbers.endInNewNamespace = 102
        #expect(try sample.findings() == [])
        // Nothing asked for: the namespace.
        sample.options.newPidNamespace = nil
        #expect(try sample.valid().newPidNamespace)
    }

    private func names(_ program: Program) -> [String] { program.steps.map(\.name) }

    @Test func creationWithoutClone3() throws {
        var sample = Sample()
        sample.facts.numbers.choice = .lastPid
        #expect(try sample.valid().usesLastPid)
        sample.options.newPidNamespace = true
        #expect(try !sample.valid().usesLastPid)
        sample.facts.numbers.choiceInNewNamespace = .lastPid
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.launchpad.programs.allSatisfy { !names($0).contains("clone3") })
        let root = plan.launchpad.programs[0].steps
        let clone = try #require(root.firstIndex { $0.name == "clone" })
        #expect(root[clone - 2...clone + 1].map(\.name) == ["futex", "pwrite64", "clone", "futex"])
        #expect(root[clone - 2].arguments[0] == root[clone + 1].arguments[0])
        #expect([root[clone - 2], root[clone + 1]].map { $0.arguments[1] } == [6, 7])
        #expect(root[clone - 1].arguments[0] == .number(plan.high.lastPid))
        #expect(root[clone].arguments == [17, 0, 0, 0, .slot(1), .program(1)])
        #expect(root[clone].check == .equals(101))
        guard case .value(let text) = root[clone - 1].arguments[1] else { throw MissingFile(errno: "no text") }
        let offset = Int(text - plan.launchpad.dataStart)
        #expect(Array(plan.launchpad.encoded()[offset..<offset + 3]) == Array("100".utf8))
        #expect(plan.lines().contains { $0.hasPrefix("pids  by ns_last_pid") })
        // Without threads the descriptor is not needed longer than the others.
        #expect(root.contains { $0.name == "close" && $0.arguments == [.number(plan.high.lastPid)] })
    }

    @Test func lastPidStaysOpenForThreads() throws {
        var sample = Sample()
        sample.options.usesLastPid = true
        sample.addThread(105, of: 101)
        let plan = RestorePlan(for: try sample.valid())
        let child = plan.launchpad.programs[1].steps
        let drop = try #require(child.firstIndex { $0.name == "close_range" })
        #expect(child[drop].arguments[0] == .number(plan.high.firstDropped))
        let clone = try #require(child.firstIndex { $0.name == "clone" })
        #expect(clone > drop)
        // CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM, and no signal at the end.
        #expect(child[clone].arguments[0] == 0x50f00)
        let close = try #require(child.lastIndex { $0.name == "close" && $0.arguments == [.number(plan.high.lastPid)] })
        // Threads may make threads: until all are done.
        let wait = try #require(child.lastIndex { $0.name == "wait" })
        #expect(clone < wait && wait < close)
        #expect(!names(plan.launchpad.programs[0]).contains { $0 == "clone3" })
    }

    @Test func filesThatMayNotBeOpened() throws {
        var sample = Sample()
        sample.shareFile()
        sample.missing("/log", "EACCES")
        #expect(
            try sample.findings() == [
                "/log: EACCES, needed by fd 5 (the user of crrestart may not open it as the program had it: be root, or change its mode)"
            ])
        sample.missing("/log", "EROFS")
        #expect(try sample.findings().count == 1)
    }
}
