import CheckpointImage
import LinuxABI
import StepProgram
import Testing

@testable import RestorePlan

/// Files of `/proc/PID`, owners of open files, terminals elsewhere, readers of kernel messages.
@Suite struct LateFileTests {
    private func proc(of process: UInt32, thread: UInt32 = 0, _ name: String) -> ImageOpenFile.OneOf_Object {
        var proc = ImageProcFile()
        (proc.process, proc.thread, proc.name) = (process, thread, Array(name.utf8).asData)
        return .proc(proc)
    }

    private func notes(_ program: Program) -> [String] { program.steps.map { "\($0.name) \($0.note)" } }

    /// The parent waits until its child exists, opens the file, and a second child fetches it from there.
    @Test func anotherProcess() throws {
        var sample = Sample()
        sample.addProcess(102, parent: 100)
        _ = sample.addFile(proc(of: 101, "stat"), at: [(0, 7), (2, 7)])
        let plan = RestorePlan(for: try sample.valid())
        let parent = plan.launchpad.programs[0].steps
        let wait = try #require(parent.firstIndex { $0.note == "until 101 exists" })
        let open = try #require(parent.firstIndex { $0.note == "/proc/101/stat" && $0.name == "openat" })
        let exists = try #require(parent.firstIndex { $0.note == "101 exists" })
        let drop = try #require(parent.lastIndex { $0.note == "drop what stood high" })
        let held = try #require(parent.firstIndex { $0.note.hasPrefix("until all holders have open file") })
        #expect(exists < wait && wait < open && open < held && held < drop)
        let child = plan.launchpad.programs[2].steps
        let process = try #require(child.firstIndex { $0.name == "pidfd_open" })
        #expect(child[process].arguments == [100, 0])
        let copy = try #require(child.firstIndex { $0.name == "pidfd_getfd" })
        #expect(child[copy].arguments[0] == .result(of: process) && process < copy)
        #expect(!child.contains { $0.note == "/proc/101/stat" && $0.name == "openat" })
    }

    /// The position is set, and forgotten by the kernel's text: what it says changes until the tree runs.
    @Test func position() throws {
        var sample = Sample()
        let file = sample.addFile(proc(of: 101, "maps"), at: [(1, 7)])
        sample.records.openFiles[file].offset = 100
        let high = sample.addFile(proc(of: 101, "mem"), at: [(1, 8)])
        sample.records.openFiles[high].offset = -0x60_0000
        let steps = RestorePlan(for: try sample.valid()).launchpad.programs[1].steps
        let seeks = steps.indices.filter { steps[$0].name == "lseek" }
        #expect(seeks.map { steps[$0].check } == [.equals(100), .none])
        #expect(seeks.map { steps[$0 + 1].name } == ["pread64", "pread64"])
        #expect(seeks.map { steps[$0].arguments[1] } == [100, .signed(-0x60_0000)])
    }

    /// Opened when the thread exists, and put to all its numbers then.
    @Test func fileOfAThread() throws {
        var sample = Sample()
        sample.addThread(105, of: 100)
        let file = sample.addFile(proc(of: 100, thread: 105, "comm"), at: [(0, 7), (0, 9)])
        sample.records.fileTables[0].descriptors[sample.records.fileTables[0].descriptors.count - 1].closeOnExec = true
        let steps = RestorePlan(for: try sample.valid()).launchpad.programs[0].steps
        let thread = try #require(steps.lastIndex { $0.name == "clone3" })
        let open = try #require(steps.firstIndex { $0.note == "/proc/100/task/105/comm" && $0.name == "openat" })
        #expect(thread < open)
        let copies = steps[open...].filter { step in step.name == "dup3" && [.equals(7), .equals(9)].contains(step.check) }
        #expect(copies.map { $0.arguments[2] } == [0, .value(PlanBuilder.cloexec)])
        #expect(!steps[..<open].contains { $0.name == "dup3" && $0.check == .equals(7) })
        #expect(sample.records.openFiles[file].saved?.isMadeLast == true)
    }

    @Test func owners() throws {
        var sample = Sample()
        let file = sample.addFile(.event(.init()), at: [(1, 7)])
        sample.records.openFiles[file].owner.type = UInt32(Fcntl.F_OWNER_PID)
        sample.records.openFiles[file].owner.number = 100
        sample.records.openFiles[file].ownerSignal = 10
        sample.records.openFiles[file].flags = OpenFlag.FASYNC | OpenFlag.O_NONBLOCK
        let plan = RestorePlan(for: try sample.valid())
        let steps = plan.launchpad.programs[1].steps
        let owner = try #require(steps.firstIndex { $0.name == "fcntl" && $0.arguments[1] == .value(Fcntl.F_SETOWN_EX) })
        #expect(steps[owner].arguments[0] == 7)
        guard case .value(let address) = steps[owner].arguments[2] else { throw Unexpected() }
        let start = Int(address - plan.launchpad.dataStart)
        #expect(plan.launchpad.data[start..<start + 8].elementsEqual([1, 0, 0, 0, 100, 0, 0, 0]))
        #expect(steps[owner + 1].arguments == [7, .value(Fcntl.F_SETSIG), 10])
        #expect(steps[owner + 2].arguments == [7, .value(Fcntl.F_SETFL), .number(OpenFlag.FASYNC | OpenFlag.O_NONBLOCK)])
        // In the name of the program's user.
        let credentials = steps.lastIndex { ["setresuid", "capset"].contains($0.name) } ?? 0
        #expect(credentials < owner)
    }

    private struct Unexpected: Error {}

    private func terminal(_ preferred: UInt32) -> ImageOpenFile.OneOf_Object {
        var outside = ImageOutsideFile()
        (outside.preferred, outside.terminal) = (preferred, true)
        outside.description_p = Array("/dev/pts/3".utf8).asData
        return .outside(outside)
    }

    /// A terminal at high descriptors only is an open file of its own.
    @Test func terminalElsewhere() throws {
        var sample = Sample()
        let file = sample.addFile(terminal(3), at: [(1, 7), (1, 255)])
        sample.records.openFiles[file].flags = 2 | OpenFlag.O_NONBLOCK | OpenFlag.O_NOCTTY
        #expect(try sample.findings().contains { $0.contains("is a terminal, and crrestart has none") })
        sample.facts.terminal = 1
        let shared = RestorePlan(for: try sample.valid())
        let standing = shared.launchpad.programs[1].steps.filter { $0.name == "dup3" && [.equals(7), .equals(255)].contains($0.check) }
        #expect(standing.map { $0.arguments[0] } == [.number(shared.high.standard(1)), .number(shared.high.standard(1))])
        sample.facts.terminalOpensAnew = true
        let plan = RestorePlan(for: try sample.valid())
        let steps = plan.launchpad.programs[1].steps
        let open = try #require(steps.first { $0.note == "/proc/self/fd/\(plan.high.standard(1))" && $0.name == "openat" })
        #expect(open.arguments[2] == .number(2 | OpenFlag.O_NONBLOCK | OpenFlag.O_NOCTTY | OpenFlag.O_CLOEXEC))
        // The terminal of a crrestart whose own descriptors are none has a place of its own.
        #expect(Set((0...3).map { plan.high.standard($0) } + [plan.high.image, plan.high.scratch, plan.high.file(0)]).count == 7)
    }

    private func messages(_ known: [UInt64], boot: String = "here") throws -> [Step] {
        var sample = Sample()
        var device = ImageDeviceFile()
        device.identity.path = Array("/dev/kmsg".utf8).asData
        device.readMessages = 12
        _ = sample.addFile(.device(device), at: [(1, 7)])
        sample.records.header.bootID = "here"
        sample.facts.bootID = boot
        sample.facts.kernelMessages = known
        let steps = RestorePlan(for: try sample.valid()).launchpad.programs[1].steps
        return steps.filter { ["readv", "lseek"].contains($0.name) }
    }

    @Test func readersOfMessages() throws {
        // Nothing new: behind the last one. New ones: those that were read are read again. Another boot: all are new.
        #expect(try messages([9, 10, 11]).map(\.arguments).map { $0.dropFirst() } == [[0, 2]])
        #expect(try messages([9, 10, 11, 12]).map(\.name) == ["readv", "readv", "readv"])
        #expect(try messages([12, 13]).isEmpty && messages([1, 2], boot: "elsewhere").isEmpty)
    }
}
