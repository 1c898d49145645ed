import ArchState
import Kernel
import LinuxABI
import StepProgram
import Testing

@testable import TreeCapture

/// Copies of address spaces, from which pages are written while the tree runs on.
@Suite struct CopyTests {
    private func place() throws -> InjectionPlace {
        let sight = try Recordings.pipeline().sight
        return try InjectionPlace(in: sight.spaces[0], on: sight.host)
    }

    private func value(_ argument: Step.Argument) -> UInt64? {
        if case .value(let value) = argument { value } else { nil }
    }

    /// Where a step lies: behind the one that every program begins with.
    private func step(at address: UInt64, _ place: InjectionPlace) -> Int {
        Int(address - place.programAddress) / EncodedStep.size - 1
    }

    private static let excluded = [
        CopyProgram.Excluded(start: 0x10000, end: 0x14000, advice: Madvise.MADV_DONTFORK),
        CopyProgram.Excluded(start: 0x20000, end: 0x21000, advice: Madvise.MADV_WIPEONFORK),
    ]

    private static func isClone(_ step: Step) -> Bool { step.operation == .call(.clone) }

    /// The three programs follow each other, each jump leads to a beginning, and none runs on into the next.
    @Test(arguments: [0, 2]) func programsOfTaskHelperAndCopy(count: Int) throws {
        let place = try place()
        let program = CopyProgram(at: place, excluding: Array(Self.excluded.prefix(count)))
        let steps = program.program.steps
        let clones = steps.indices.filter { Self.isClone(steps[$0]) }
        #expect(clones.count == 2)
        let helper = step(at: try #require(value(steps[clones[0]].arguments[5])), place)
        let copy = step(at: try #require(value(steps[clones[1]].arguments[5])), place)
        #expect(helper == clones[1] && steps[helper - 1].operation == .end)
        #expect(steps[copy].operation == .call(.setsid) && steps[copy - 1].operation == .call(.exit_group))
        #expect(steps[(copy + 1)...].first?.operation == .call(.close_range) && steps.last?.operation == .call(.exit_group))
        // No end signal, and the helper is not traced.
        #expect(clones.allSatisfy { (value(steps[$0].arguments[0]) ?? 0xff) & CloneFlag.CSIGNAL == 0 })
        let flags = try #require(value(steps[clones[0]].arguments[0]))
        #expect(flags & CloneFlag.CLONE_UNTRACED != 0 && flags & CloneFlag.CLONE_VFORK != 0 && flags & CloneFlag.CLONE_VM != 0)
        #expect(try #require(value(steps[clones[1]].arguments[0])) & CloneFlag.CLONE_VM == 0)
        // clone writes the helper's number into the first argument of wait4; until then it names no task.
        let waited = clones[0] + 1
        #expect(steps[waited].operation == .call(.wait4) && value(steps[waited].arguments[0]) == 0x7fff_ffff)
        let number = try #require(value(steps[clones[0]].arguments[2]))
        #expect(step(at: number - 8, place) == waited)
        // The word that says that the copy is ready is the result of its last call but waiting.
        #expect(steps[step(at: program.ready - EncodedStep.resultOffset, place)].operation == .call(.getpid))
    }

    @Test func whatChildrenDoNotGetIsGivenAndTakenAgain() throws {
        let place = try place()
        let steps = CopyProgram(at: place, excluding: Self.excluded).program.steps
        let advice = steps.filter { $0.operation == .call(.madvise) }.map { $0.arguments.compactMap(value) }
        #expect(
            advice == [
                [place.memory, InjectionPlace.memorySize, Madvise.MADV_DOFORK], [0x10000, 0x4000, Madvise.MADV_DOFORK],
                [0x20000, 0x1000, Madvise.MADV_KEEPONFORK], [0x10000, 0x4000, Madvise.MADV_DONTFORK], [0x20000, 0x1000, Madvise.MADV_WIPEONFORK],
            ])
        let clone = try #require(steps.firstIndex(where: Self.isClone))
        #expect(steps[..<clone].count { $0.operation == .call(.madvise) } == 3)
    }

    @Test func mostRangesFitIntoTheWorkingMemory() throws {
        let place = try place()
        for count in [0, 1, 300, CopyProgram.mostExcluded] {
            let ranges = (0..<UInt64(count)).map { CopyProgram.Excluded(start: $0 << 13, end: $0 << 13 + 4096, advice: 10) }
            let program = CopyProgram(at: place, excluding: ranges).program
            // Besides, the first step and the end.
            #expect(UInt64((program.steps.count + 2) * EncodedStep.size) + CheckpointStub.programOffset <= CopyProgram.memorySize(count))
        }
    }

    @Test func outcomes() throws {
        let program = CopyProgram(at: try place(), excluding: Self.excluded)
        let steps = program.program.steps
        let clones = steps.indices.filter { Self.isClone(steps[$0]) }
        func outcome(_ results: [Int: Int64]) -> CopyProgram.Outcome {
            var bytes = [UInt8](repeating: 0, count: steps.count * EncodedStep.size)
            for (step, result) in [clones[0]: 700, clones[0] + 1: 700, clones[1]: 701].merging(results, uniquingKeysWith: { $1 }) {
                bytes.put(UInt64(bitPattern: result), at: step * EncodedStep.size + Int(EncodedStep.resultOffset))
            }
            return program.outcome(ProgramAnswer(steps: bytes, data: [], instant: 0))
        }
        #expect(outcome([:]) == .copied(701))
        #expect(outcome([clones[0]: -11, clones[0] + 1: -10, clones[1]: 0]) == .refused(Errno.EAGAIN, "clone"))
        #expect(outcome([clones[1]: -12]) == .refused(Errno.ENOMEM, "clone"))
        #expect(outcome([1: -22]) == .refused(Errno.EINVAL, "madvise"))
        #expect(outcome([clones[0] + 2: -12]) == .changed(Errno.ENOMEM))
    }

    @Test func rangesThatChildrenDoNotGet() throws {
        func map(_ start: String, _ end: String, _ flags: String, _ sharing: String = "p") -> String {
            "\(start)-\(end) rw-\(sharing) 00000000 00:00 0 \nSize:                  4 kB\nVmFlags: rd wr \(flags)\n"
        }
        let text = [
            map("1000", "2000", "dc"), map("2000", "3000", "dc lo"), map("3000", "4000", ""), map("4000", "5000", "wf"),
            map("5000", "6000", "wf dp"), map("6000", "7000", "dc", "s"),
        ]
        #expect(
            CopyProgram.excluded(in: try MemoryMap.parse(smaps: Array(text.joined().utf8))) == [
                CopyProgram.Excluded(start: 0x1000, end: 0x3000, advice: Madvise.MADV_DONTFORK),
                CopyProgram.Excluded(start: 0x4000, end: 0x5000, advice: Madvise.MADV_WIPEONFORK),
            ])
    }

    // MARK: - What stands in the way

    private func obstacle(
        _ change: (inout TreeSight, inout [ProcessAnswers], inout [HostPid: Set<Question>]) -> Void, of process: Int = 1
    ) throws -> Refusal? {
        var sight = try Recordings.namespace().sight
        // Its root is the init of no namespace, the first child that of one.
        var answers = sight.processes.map { ProcessAnswers(pid: $0.pid) }
        var unasked: [HostPid: Set<Question>] = [:]
        change(&sight, &answers, &unasked)
        let obstacles = CopyObstacles(sight, CallConfinement(), answers, unasked: unasked)
        return obstacles.obstacle(of: sight.processes[process].space, sight.processes[process])
    }

    @Test func orphansThatStayInTheTree() throws {
        // The init adopts the orphans of its namespace, and itself has a parent outside of that.
        #expect(try obstacle({ _, _, _ in })?.reason.contains("adopts orphans of the tree") == true)
        var sight = try Recordings.pipeline().sight
        let answers = sight.processes.map { ProcessAnswers(pid: $0.pid) }
        func reason(_ answers: [ProcessAnswers], _ unasked: [HostPid: Set<Question>] = [:], of process: Int = 1) -> String? {
            CopyObstacles(sight, CallConfinement(), answers, unasked: unasked)
                .obstacle(of: sight.processes[process].space, sight.processes[process])?.reason
        }
        #expect(reason(answers) == nil)
        var reaper = answers
        reaper[0].childSubreaper = true
        #expect(reason(reaper)?.contains("\(sight.root) ") == true)
        #expect(reason(answers, [sight.processes[0].door.tid: [.subreaper]]) != nil)
        // A sibling adopts nothing of it.
        var sibling = answers
        sibling[2].childSubreaper = true
        #expect(reason(sibling) == nil && reason(sibling, of: 2) != nil)
        sight.processes[1].threads[0].namespaces.pidForChildren = 99
        #expect(reason(answers) == CopyObstacles.otherNamespace.reason)
    }

    // MARK: - Memory

    @Test func memoryThatIsShort() {
        let mebibyte: UInt64 = 1 << 20
        let host = HostMemory(total: 1600 * mebibyte, available: 600 * mebibyte)
        #expect(CopyNeed(atOnce: 0, later: 500 * mebibyte).shortage(host) == nil)
        #expect(CopyNeed(atOnce: 0, later: 501 * mebibyte).shortage(host) != nil)
        #expect(CopyNeed(atOnce: 100 * mebibyte, later: 450 * mebibyte).shortage(host)?.reason.contains("550 MiB") == true)
        // Twenty processes that share: no more can be needed than is in use.
        let large = HostMemory(total: 16000 * mebibyte, available: 14000 * mebibyte)
        #expect(CopyNeed(atOnce: 0, later: 40000 * mebibyte).shortage(large) == nil)
    }

    @Test func treesThatAreCopiedWithoutBeingAskedFor() {
        let mebibyte: UInt64 = 1 << 20
        #expect(CopyNeed(atOnce: 0, later: 8 * mebibyte).pays(spaces: 1))
        #expect(!CopyNeed(atOnce: 0, later: 8 * mebibyte - 1).pays(spaces: 1))
        #expect(!CopyNeed(atOnce: 0, later: 100 * mebibyte).pays(spaces: 13) && CopyNeed(atOnce: 0, later: 104 * mebibyte).pays(spaces: 13))
        // Most of it would have to be set aside.
        #expect(!CopyNeed(atOnce: 101 * mebibyte, later: 100 * mebibyte).pays(spaces: 1))
    }

    @Test func memoryOfTheControlGroupThatIsShort() {
        let mebibyte: UInt64 = 1 << 20
        let cgroup = CgroupMemory(used: 300 * mebibyte, free: 200 * mebibyte)
        #expect(CopyNeed(atOnce: 900 * mebibyte, later: 200 * mebibyte).shortage(cgroup) == nil)
        #expect(CopyNeed(atOnce: 0, later: 201 * mebibyte).shortage(cgroup)?.reason.contains("limit of its control group") == true)
        #expect(CopyNeed(atOnce: 0, later: 100 * mebibyte).shortage(CgroupMemory(used: 90 * mebibyte, free: 91 * mebibyte)) == nil)
    }

    @Test func memoryOfTheHost() throws {
        let text = "MemTotal:       24689772 kB\nMemFree:          213412 kB\nMemAvailable:   20000000 kB\n"
        #expect(try HostMemory(parsing: Array(text.utf8)) == HostMemory(total: 24_689_772 << 10, available: 20_000_000 << 10))
        #expect(throws: SystemError.self) { try HostMemory(parsing: Array("MemTotal: x\n".utf8)) }
    }

    // MARK: - Where pages are read from

    @Test func sourcesOfPages() {
        let copies = [HostPid(rawValue: 10): HostPid(rawValue: 20), HostPid(rawValue: 11): HostPid(rawValue: 21)]
        func runs(_ task: Int32, _ range: Range<Int>) -> PageOrigin.TaskRuns { PageOrigin.TaskRuns(task: HostPid(rawValue: task), runs: range) }
        #expect(LivePages.source(.task(HostPid(rawValue: 10)), copies) == .task(HostPid(rawValue: 20)))
        #expect(LivePages.source(.task(HostPid(rawValue: 12)), copies) == nil)
        #expect(LivePages.source(.file([1]), copies) == nil)
        #expect(LivePages.source(.tasks([runs(10, 0..<1), runs(11, 1..<3)]), copies) == .tasks([runs(20, 0..<1), runs(21, 1..<3)]))
        #expect(LivePages.source(.tasks([runs(10, 0..<1), runs(12, 1..<3)]), copies) == nil)
    }
}
