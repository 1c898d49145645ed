import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// The steps by which sessions, groups and parents come about. What is decided is tested in PidControlTests.
@Suite struct CreationStepTests {
    private func names(_ program: Program) -> [String] { program.steps.map(\.name) }

    private func index(of pid: UInt32, _ plan: RestorePlan) throws -> Int {
        try #require(plan.helpers.firstIndex { $0.pid == pid }) + plan.tasks.count
    }

    /// 101 is a daemon whose session's leader 99 is dead.
    private func daemon() -> Sample {
        var sample = Sample()
        sample.records.processes[1].session = 99
        sample.records.processes[1].group = 99
        return sample
    }

    @Test func ghostLeadsTheSessionAndCreatesItsSibling() throws {
        let plan = RestorePlan(for: try daemon().valid())
        #expect(plan.tasks.map(\.pid) == [100, 101])
        #expect(plan.helpers.map(\.pid) == [99])
        let ghost = plan.launchpad.programs[try index(of: 99, plan)]
        #expect(names(ghost) == ["prctl", "setsid", "clone3", "exit_group"])
        // struct clone_args: flags CLONE_PARENT, no exit signal of its own, the program of 101.
        guard case .value(let address) = ghost.steps[2].arguments[0] else { throw MissingFile(errno: "no arguments") }
        let data = plan.launchpad.encoded()
        #expect(data.littleEndian64(at: Int(address - plan.launchpad.dataStart)) == 0x8000)
        #expect(data.littleEndian64(at: Int(address - plan.launchpad.dataStart) + 32) == 0)
        #expect(ghost.steps[2].arguments.last == .program(1))
        let root = plan.launchpad.programs[0]
        let wait = try #require(root.steps.firstIndex { $0.name == "wait4" })
        #expect(root.steps[wait].check == .equals(99))
        #expect(wait < (try #require(names(root).firstIndex(of: "preadv"))))
        // The ghost's end left a SIGCHLD.
        #expect(names(root).contains("rt_sigtimedwait"))
        #expect(plan.lines().contains { $0.hasPrefix("task 99 ghost (led session 99)  ends before the release") })
    }

    /// The daemon's vdso is moved from where the root had it: the ghost moved nothing.
    @Test func vdsoComesFromTheNextCreatorThatMovedIt() throws {
        var sample = daemon()
        sample.records.addressSpaces[1].mappings[2].start += 0x10_0000
        sample.records.addressSpaces[1].mappings[2].end += 0x10_0000
        sample.records.addressSpaces[1].mappings[3].start += 0x10_0000
        sample.records.addressSpaces[1].mappings[3].end += 0x10_0000
        let plan = RestorePlan(for: try sample.valid())
        let moves = plan.launchpad.programs[1].steps.filter { $0.name == "mremap" }
        #expect(moves.first?.arguments.first == .value(0x7fff_0000_0000))
    }

    /// What only siblings by a ghost share is made by the ghost.
    @Test func fileOfTwoDaemonsOfOneSession() throws {
        var sample = daemon()
        sample.addProcess(102, parent: 100)
        sample.records.processes[2].session = 99
        sample.records.processes[2].group = 99
        sample.shareFile()
        // 102 has what 100 had open, and 100 has nothing open.
        sample.share([\.fileTable], of: 100, by: 102)
        sample.records.threads[0].fileTable = 102
        let plan = RestorePlan(for: try sample.valid())
        let ghost = plan.launchpad.programs[try index(of: 99, plan)]
        let opened = try #require(ghost.steps.firstIndex { $0.name == "openat2" })
        #expect(opened < (try #require(names(ghost).firstIndex(of: "clone3"))))
        #expect(!names(plan.launchpad.programs[1]).contains("lseek"))
    }

    /// 103 leads a session two levels below the root, which has adopted 104 of it.
    @Test func placeholderDiesWhileTheRootAdopts() throws {
        var sample = Sample()
        sample.addProcess(103, parent: 101)
        sample.records.processes[2].session = 103
        sample.records.processes[2].group = 103
        sample.addProcess(104, parent: 100)
        sample.records.processes[3].session = 103
        sample.records.processes[3].group = 103
        #expect(try sample.findings().contains { $0.contains("needs a spare number") })
        sample.facts.spareNumbers = [77]
        let plan = RestorePlan(for: try sample.valid())
        let placeholder = plan.launchpad.programs[try index(of: 77, plan)]
        #expect(names(placeholder) == ["prctl", "clone3", "wait", "exit_group"])
        let root = plan.launchpad.programs[0].steps
        let flags = root.indices.filter { root[$0].name == "prctl" && root[$0].arguments.first == .value(36) }
        #expect(flags.map { root[$0].arguments[1] } == [.value(1), .value(0)])
        #expect(root[flags[0] + 1].name == "advance")
        #expect(placeholder.steps[2].arguments[0] == root[flags[0] + 1].arguments[0])
        let leader = plan.launchpad.programs[2].steps
        let wait = try #require(leader.firstIndex { $0.name == "wait4" })
        #expect(leader[wait + 1].arguments[0] == root[flags[1] - 1].arguments[0])
    }

    /// A handler or SIG_IGN for SIGCHLD comes when no child dies any more.
    @Test func childSignalIsIgnoredLast() throws {
        var sample = daemon()
        sample.act(0, on: 17, handler: 1)
        let root = RestorePlan(for: try sample.valid()).launchpad.programs[0].steps
        let flush = try #require(root.firstIndex { $0.name == "rt_sigtimedwait" })
        let ignore = try #require(root.lastIndex { $0.name == "rt_sigaction" })
        #expect(root[ignore].arguments[0] == .value(17))
        #expect(ignore > flush)
    }

    @Test func numbersOfGhostsMustBeFree() throws {
        var sample = daemon()
        sample.facts.takenPids = [99: "99 cron"]
        sample.options.newPidNamespace = false
        #expect(try sample.findings() == ["pid 99: needed by those whose session or group it leads (it is dead itself), taken by 99 cron (--pidns gives the tree numbers of its own)"])
        #expect(HelperNumbers(of: try sample.image()).ghosts == [99])
    }
}
