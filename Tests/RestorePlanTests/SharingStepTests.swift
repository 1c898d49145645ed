import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// The steps by which processes come to share. What is decided is tested in PidControlTests.
@Suite struct SharingStepTests {
    private func names(_ program: Program) -> [String] { program.steps.map(\.name) }

    /// The flags of `struct clone_args` of a program's creations.
    private func flags(_ number: Int, _ plan: RestorePlan) -> [UInt64] {
        let data = plan.launchpad.encoded()
        return plan.launchpad.programs[number].steps.filter { $0.name == "clone3" }.compactMap { step in
            guard case .value(let address) = step.arguments[0] else { return nil }
            return data.littleEndian64(at: Int(address - plan.launchpad.dataStart))
        }
    }

    private func word(_ step: Step) -> UInt64? {
        guard case .value(let address)? = step.arguments.first else { return nil }
        return address
    }

    /// 101 has the memory, descriptors, directories and actions of 100.
    private func twins() -> Sample {
        var sample = Sample()
        sample.share([\.addressSpace, \.fileTable, \.directories, \.actions], of: 100, by: 101)
        sample.act(0, on: 15, handler: 0x40_0000)
        return sample
    }

    @Test func oneLoadsForBoth() throws {
        let plan = RestorePlan(for: try twins().valid())
        // CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND
        #expect(flags(0, plan) == [0xf00])
        let (owner, other) = (plan.launchpad.programs[0], plan.launchpad.programs[1])
        for name in ["preadv", "fchdir", "umask"] {
            #expect(names(owner).contains(name) && !names(other).contains(name), "\(name)")
        }
        #expect(!names(other).contains("mmap") && !names(other).contains("mremap") && !names(other).contains("munmap"))
        #expect(!names(other).contains("rt_sigaction"))
        #expect(plan.ownsMemory(100) && !plan.ownsMemory(101))
    }

    /// Whoever loads waits for the word that the other one counts up, and for nothing that comes later there.
    @Test func ownerWaitsForTheOthers() throws {
        let plan = RestorePlan(for: try twins().valid())
        let (owner, other) = (plan.launchpad.programs[0].steps, plan.launchpad.programs[1].steps)
        let map = try #require(owner.firstIndex { $0.note == "/bin/prog" })
        let wait = try #require(owner[..<map].lastIndex { $0.name == "wait" })
        let ready = try #require(other.firstIndex { $0.name == "advance" && word($0) == word(owner[wait]) })
        let loaded = try #require(owner.firstIndex { $0.note == "memory is loaded" })
        let awaited = try #require(other.firstIndex { $0.name == "wait" && word($0) == word(owner[loaded]) })
        #expect(ready < awaited && wait < loaded)
        // Only then: the descriptors, the directories.
        let enter = try #require(owner.firstIndex { $0.name == "fchdir" })
        let before = try #require(owner[..<enter].lastIndex { $0.name == "wait" })
        #expect(try #require(other.firstIndex { $0.name == "advance" && word($0) == word(owner[before]) }) > awaited)
    }

    /// Who shares memory cannot join a time namespace any more: the root joins before there is anybody.
    @Test func clocksAreJoinedFirst() throws {
        var sample = twins()
        sample.facts.mayMakeTimeNamespace = true
        let valid = try sample.valid()
        let plan = RestorePlan(for: valid)
        #expect(valid.joinsClocksFirst)
        let root = names(plan.launchpad.programs[0])
        #expect(root.firstIndex(of: "setns")! < root.firstIndex(of: "clone3")!)
        #expect(root.count { $0 == "setns" } == 1)
        #expect(!names(plan.launchpad.programs[1]).contains("setns"))
        // Without shared memory everybody joins late.
        sample.records.threads[1].addressSpace = 101
        sample.records.threads[1].actions = 101
        let late = RestorePlan(for: try sample.valid())
        for program in late.launchpad.programs.prefix(2) {
            let steps = names(program)
            #expect(steps.count { $0 == "setns" } == 1 && steps.firstIndex(of: "setns")! > steps.firstIndex(of: "preadv")!)
        }
        // The descriptor that all have is closed once.
        #expect(late.launchpad.programs[1].steps.last { $0.name == "close" && $0.arguments == [.number(late.high.timeNamespace)] } == nil)
    }

    /// 100 and 102 share descriptors, 101 between them does not: it hands them on, and parts with them.
    @Test func whoIsBetweenParts() throws {
        var sample = Sample()
        sample.addProcess(102, parent: 101)
        sample.share([\.fileTable], of: 100, by: 102)
        let plan = RestorePlan(for: try sample.valid())
        #expect(flags(0, plan) == [0x400] && flags(1, plan) == [0x400])
        let between = plan.launchpad.programs[1].steps
        let part = try #require(between.firstIndex { $0.name == "unshare" })
        #expect(between[part].arguments == [.value(0x400)])
        #expect(part > (try #require(between.firstIndex { $0.name == "clone3" })))
        // The owner installs its descriptors when it has a table of its own (unshare), and 102 is ready.
        let owner = plan.launchpad.programs[0].steps
        let wait = try #require(owner.first { $0.name == "wait" && word($0) == word(between[part + 1]) })
        #expect(wait.arguments[1] == .value(2))
    }

    /// Two children share memory that their parent does not have: the first creates the other, as a sibling.
    @Test func siblingsThatShareMemory() throws {
        var sample = Sample()
        sample.addProcess(102, parent: 100)
        sample.share([\.addressSpace], of: 101, by: 102)
        let plan = RestorePlan(for: try sample.valid())
        #expect(flags(0, plan) == [0])
        #expect(flags(1, plan) == [0x8100])
    }

    @Test func memoryCannotBePartedWith() throws {
        var sample = Sample()
        sample.addProcess(102, parent: 101)
        sample.share([\.addressSpace], of: 100, by: 102)
        #expect(try sample.findings() == ["process 102: shares memory (CLONE_VM) with 100, but 101 in between does not"])
    }

    /// Files that stand somewhere for a moment do so at different numbers in one table.
    @Test func momentsDoNotMeet() throws {
        var sample = Sample()
        sample.share([\.fileTable], of: 100, by: 101)
        let plan = RestorePlan(for: try sample.valid())
        func moments(_ number: Int) -> Set<String> {
            let steps = plan.launchpad.programs[number].steps
            return Set(steps.indices.filter { steps[$0].name == "openat2" && steps[$0 + 1].name == "dup3" }.map { "\(steps[$0 + 1].arguments[1])" })
        }
        #expect(!moments(0).isEmpty && !moments(1).isEmpty)
        #expect(moments(0).isDisjoint(with: moments(1)))
    }
}
