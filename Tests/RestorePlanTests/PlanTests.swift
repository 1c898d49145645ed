import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

@Suite struct PlanTests {
    private func names(_ program: Program) -> [String] { program.steps.map(\.name) }

    @Test func rootDropsEverythingForksThenLoads() throws {
        let plan = RestorePlan(for: try Sample().valid())
        #expect(plan.tasks.map(\.tid) == [100, 101])
        let root = names(plan.launchpad.programs[0])
        let clone = try #require(root.firstIndex(of: "clone3"))
        let setsid = try #require(root.firstIndex(of: "setsid"))
        let load = try #require(root.firstIndex(of: "preadv"))
        #expect(try #require(root.lastIndex(of: "munmap")) < clone)
        #expect(setsid < clone)
        #expect(clone < load)
        #expect(root.last == "ppoll")
        // Only the root drops what crrestart had; its child starts with nothing.
        #expect(!names(plan.launchpad.programs[1]).contains("munmap"))
    }

    @Test func pagesAreReadInPlaceAndProtectedAfterwards() throws {
        let plan = RestorePlan(for: try Sample().valid())
        let steps = plan.launchpad.programs[0].steps
        let read = try #require(steps.firstIndex { $0.name == "preadv" })
        #expect(steps[read].check == .equals(8192))
        #expect(steps[read].arguments[3] == .value(16384))
        let mapped = try #require(steps.firstIndex { $0.name == "mmap" && $0.arguments[0] == .value(0x50_0000) })
        // Read-only in the end, writable while its pages come.
        #expect(steps[mapped].arguments[2] == .value(3))
        let protect = try #require(steps.firstIndex { $0.name == "mprotect" })
        #expect(protect > read)
        #expect(steps[protect].arguments == [.value(0x50_0000), .value(0x4000), .value(1)])
        let text = try #require(steps.first { $0.name == "mmap" && $0.arguments[0] == .value(0x40_0000) })
        #expect(text.arguments[2] == .value(5))
    }

    @Test func streamWaitsForItsPages() throws {
        var sample = Sample()
        sample.options.delivery = .staged
        let plan = RestorePlan(for: try sample.valid())
        let root = names(plan.launchpad.programs[0])
        #expect(!root.contains("preadv"))
        #expect(root.contains("wait"))
    }

    @Test func sharedFileIsOpenedOnceByTheCommonAncestor() throws {
        var sample = Sample()
        sample.shareFile()
        let plan = RestorePlan(for: try sample.valid())
        func opens(_ program: Program) -> [Int] {
            program.steps.indices.filter { program.steps[$0].name == "openat2" && program.steps[$0].note == "/log" }
        }
        let root = plan.launchpad.programs[0]
        #expect(opens(root).count == 1)
        #expect(opens(plan.launchpad.programs[1]).isEmpty)
        let clone = try #require(root.steps.firstIndex { $0.name == "clone3" })
        #expect(opens(root)[0] < clone)
        let seek = try #require(root.steps.first { $0.name == "lseek" })
        #expect(seek.check == .equals(1234))
        let placed = plan.launchpad.programs[1].steps.filter { $0.name == "dup3" && $0.note == "/log" }
        #expect(placed.map(\.check) == [.equals(5), .equals(6)])
    }

    @Test func launchpadLiesWhereNobodyElseIs() throws {
        var sample = Sample()
        sample.facts.ownMappings = [HostFacts.Range(start: 0x2000_0000_0000, end: 0x2000_0010_0000)]
        let plan = RestorePlan(for: try sample.valid())
        let start = plan.launchpad.base
        #expect(start >= 0x2000_0010_0000)
        for space in sample.records.addressSpaces {
            for mapping in space.mappings { #expect(mapping.end <= start || mapping.start >= start + plan.launchpad.size) }
        }
    }

    @Test func zombieEndsAsItEnded() throws {
        var sample = Sample()
        var zombie = ImageProcess()
        zombie.pid = 102
        zombie.parent = 100
        zombie.group = 100
        zombie.session = 100
        zombie.state = .zombie
        zombie.pidNamespace = 1
        zombie.exitStatus = 7 << 8
        zombie.exitSignal = 17
        zombie.command = [UInt8]("gone".utf8).asData
        sample.records.processes.append(zombie)
        let plan = RestorePlan(for: try sample.valid())
        #expect(plan.zombieCount == 1)
        let program = plan.launchpad.programs[2]
        #expect(program.steps.last?.name == "exit_group")
        #expect(program.steps.last?.arguments == [.value(7)])
        // Its parent takes back the SIGCHLD that the planned death left.
        #expect(names(plan.launchpad.programs[0]).contains("rt_sigtimedwait"))
    }
}
