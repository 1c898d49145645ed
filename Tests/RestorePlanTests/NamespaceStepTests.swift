import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// The steps by which pid and mount namespaces come about.
@Suite struct NamespaceStepTests {
    /// 101 is the init of a pid namespace with its own `/proc`; 102 was put there by the root.
    private func container() -> Sample {
        var sample = Sample()
        sample.addProcess(102, parent: 100)
        sample.addNamespace(.pid, parent: 1)
        sample.records.namespaces[1].pid.init_p = 101
        sample.addNamespace(.mount)
        sample.records.namespaces[2].mount.procNamespace = 2
        sample.records.namespaces[2].mount.procFlags = 14
        for (index, number) in [(1, UInt32(1)), (2, 7)] {
            sample.records.processes[index].pidNamespace = 2
            sample.records.processes[index].innerPids = [number]
            for place in [\ImageProcess.innerGroups, \.innerSessions] { sample.records.processes[index][keyPath: place] = [0] }
            sample.records.threads[index].innerTids = [number]
        }
        sample.records.threads[1].namespaces.mount = 3
        sample.records.threads[0].namespaces.pidForChildren = 2
        return sample
    }

    private func steps(_ plan: RestorePlan, _ task: Int, _ name: String) -> [Step] {
        plan.launchpad.programs[task].steps.filter { $0.name == name }
    }

    @Test func anInitAndWhoIsPutBesideIt() throws {
        let plan = RestorePlan(for: try container().valid())
        let clones = steps(plan, 0, "clone3")
        #expect(clones.map(\.check) == [.equals(101), .equals(102)])
        let data = plan.launchpad.encoded()
        for (clone, flags, numbers) in [(clones[0], UInt64(0x2000_0000), [UInt32(1), 101]), (clones[1], 0, [7, 102])] {
            guard case .value(let address) = clone.arguments[0] else { throw MissingFile(errno: "no arguments") }
            let place = Int(address - plan.launchpad.dataStart)
            #expect(data.littleEndian64(at: place) == flags)
            #expect(data.littleEndian64(at: place + 72) == 2)
            // The innermost number first.
            let set = Int(data.littleEndian64(at: place + 64) - plan.launchpad.dataStart)
            #expect([data.littleEndian32(at: set), data.littleEndian32(at: set + 4)] == numbers)
        }
        // There, back, and there for good.
        #expect(steps(plan, 0, "pidfd_open").map { $0.arguments[0] } == [.value(101), .value(100), .value(101)])
        // The root comes last to its children's namespace: it can have no threads after that.
        let root = plan.launchpad.programs[0].steps
        #expect(root.lastIndex { $0.name == "setns" }! > root.firstIndex { $0.name == "preadv" }!)
    }

    @Test func procIsMountedByItsOwn() throws {
        let plan = RestorePlan(for: try container().valid())
        #expect(steps(plan, 0, "mount").isEmpty && steps(plan, 2, "mount").isEmpty)
        let names = plan.launchpad.programs[1].steps.map(\.name)
        let joined = try #require(names.firstIndex(of: "setns"))
        let mounted = try #require(names.firstIndex(of: "mount"))
        #expect(joined < mounted && mounted < names.firstIndex(of: "fchdir")!)
        #expect(steps(plan, 1, "mount")[0].arguments[3] == .value(14))
    }

    /// Only its maker is there: the init comes, mounts and goes where it belongs.
    @Test func procIsMountedWhereItsInitIsNot() throws {
        var sample = container()
        sample.records.threads[0].namespaces.mount = 3
        sample.records.threads[1].namespaces.mount = 0
        let plan = RestorePlan(for: try sample.valid())
        let names = plan.launchpad.programs[1].steps.map(\.name)
        let mounted = try #require(names.firstIndex(of: "mount"))
        #expect(names[mounted - 1] == "setns" && names[mounted + 1] == "setns")
        #expect(steps(plan, 1, "setns").prefix(2).map { $0.arguments[0] } == [.number(plan.high.mount(1)), .number(plan.high.mount(0))])
    }

    @Test func anInitAsRoot() throws {
        var sample = Sample()
        sample.records.header.root = 1
        sample.records.processes[0].pid = 1
        for index in sample.records.threads.indices where sample.records.threads[index].process == 100 {
            if sample.records.threads[index].tid == 100 { sample.records.threads[index].tid = 1 }
            sample.records.threads[index].process = 1
        }
        sample.records.processes[1].parent = 1
        for index in 0..<2 {
            sample.records.processes[index].session = 1
            sample.records.processes[index].group = 1
        }
        // Numbers of a new namespace are nobody's.
        sample.facts.takenPids = [1: "systemd"]
        #expect(try sample.findings() == [])
        #expect(try !sample.valid().newPidNamespace)
        sample.options.newPidNamespace = false
        #expect(try sample.findings().contains { $0.contains("init of a pid namespace") })
        sample.options.newPidNamespace = nil
        sample.facts.mayMakeNamespaces = false
        #expect(try sample.findings().contains { $0.contains("CAP_SYS_ADMIN") })
    }

    @Test func whatCannotBeMade() throws {
        var sample = container()
        // The root is no init.
        sample.records.namespaces[2].mount.procNamespace = 1
        #expect(try sample.findings().contains { $0.contains("mount namespace 1") })
        sample = container()
        sample.options.usesLastPid = true
        #expect(try sample.findings().contains { $0.contains("ns_last_pid") })
    }
}
