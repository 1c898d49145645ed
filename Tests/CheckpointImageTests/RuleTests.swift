import CheckpointImage
import FoundationEssentials
import Testing

/// One way to break each rule.
struct Breach: Sendable, CustomTestStringConvertible {
    var rule: ImageRule
    var subject: String
    var make: @Sendable (inout ImageRecords) -> Void

    init(_ rule: ImageRule, _ subject: String, _ make: @escaping @Sendable (inout ImageRecords) -> Void) {
        self.rule = rule
        self.subject = subject
        self.make = make
    }

    var testDescription: String { "\(rule): \(subject)" }
}

@Suite struct RuleTests {
    static let end: UInt64 = 0x7fff_ffff_f000

    @Test func theSampleKeepsAllRules() throws {
        var records = Sample.records()
        _ = try CheckpointImage(validating: records)
        Sample.addCgroups(to: &records)
        Sample.addNamespaces(to: &records)
        Sample.shareMemory(in: &records)
        _ = try CheckpointImage(validating: records)
    }

    @Test(arguments: tree + tasks + confinement + memory + SharedPageTests.breaches + ParentImageTests.breaches + files + objects + locks + namespaces) func refused(_ breach: Breach) {
        var records = Sample.records()
        breach.make(&records)
        #expect(throws: ImageError(.rule(breach.rule, breach.subject))) {
            _ = try CheckpointImage(validating: records)
        }
    }

    /// The rules about sections of pages need a whole image (`SectionRuleTests`).
    @Test func everyRuleHasItsTest() {
        let all = Self.tree + Self.tasks + Self.confinement + Self.memory + SharedPageTests.breaches + ParentImageTests.breaches + Self.files + Self.objects + Self.locks + Self.namespaces
        let elsewhere: Set<ImageRule> = [.noOwner, .twoSections, .pagesDiffer, .pagesMissing]
        #expect(Set(all.map(\.rule)).union(elsewhere) == Set(ImageRule.allCases))
    }

    static let tree: [Breach] = [
        Breach(.formatVersion, "header") { $0.header.formatVersion = 1 },
        Breach(.pageSize, "header") { $0.header.pageSize = 65536 },
        Breach(.architecture, "header") { $0.header.architecture = "" },
        Breach(.tooMany, "processes and threads") { records in
            records.threads = Array(repeating: records.threads[0], count: 1 << 22)
        },
        Breach(.zeroID, "pipe") { $0.pipes[0].id = 0 },
        Breach(.zeroID, "address space") { $0.addressSpaces[1].id = 0 },
        Breach(.duplicateID, "address space 1") { $0.addressSpaces[1].id = 1 },
        Breach(.duplicateID, "file table 1") { $0.fileTables.append($0.fileTables[0]) },
        Breach(.duplicateID, "open file 2") { $0.openFiles[2].id = 2 },
        Breach(.duplicateID, "pipe 1") { $0.pipes.append($0.pipes[0]) },
        Breach(.duplicateID, "memory object 1") { $0.memoryObjects.append($0.memoryObjects[0]) },
        Breach(.zeroID, "directories") { $0.directories[1].id = 0 },
        Breach(.zeroID, "signal actions") { $0.signalActions[0].id = 0 },
        Breach(.duplicateID, "directories 1") { $0.directories[1].id = 1 },
        Breach(.duplicateID, "signal actions 1") { $0.signalActions[1].id = 1 },
        Breach(.duplicateID, "process 12") {
            $0.processes[2].pid = 12
            $0.processes[2].parent = 10
        },
        Breach(.duplicateID, "thread 11 of process 10") { $0.threads.insert($0.threads[1], at: 2) },
        Breach(.duplicateID, "thread 13 of process 10") { $0.threads[1].tid = 13 },
        Breach(.noProcess, "the image") { $0.processes = [] },
        Breach(.rootIsFirst, "process 10") { $0.header.root = 12 },
        Breach(.rootIsFirst, "process 10") { $0.processes[0].parent = 12 },
        Breach(.rootHasEnded, "process 10") { $0.processes[0].state = .zombie },
        Breach(.oneRoot, "process 12") { $0.processes[1].parent = 0 },
        Breach(.noParent, "process 12") { $0.processes[1].parent = 99 },
        Breach(.noParent, "process 12") { $0.processes[1].parent = 13 },
        Breach(.noParent, "process 12") { $0.processes[1].parent = 12 },
        Breach(.pidRange, "process 4194305") { $0.processes[1].pid = 4_194_305 },
        Breach(.pidRange, "process 0") { $0.processes[1].pid = 0 },
        Breach(.pidRange, "process 12") { $0.processes[1].group = 4_194_305 },
        Breach(.pidRange, "process 12") { $0.processes[1].session = .max },
        Breach(.pidRange, "thread 5000000 of process 10") { $0.threads[1].tid = 5_000_000 },
        Breach(.noSuchProcess, "thread 11 of process 99") { $0.threads[1].process = 99 },
        Breach(.leaderFirst, "thread 14 of process 12") { $0.threads[2].tid = 14 },
        Breach(.threadOrder, "thread 9 of process 10") { records in
            records.threads.insert(Sample.thread(9, of: 10), at: 2)
        },
        Breach(.exitedThread, "thread 12 of process 12") { records in
            records.threads[2] = Sample.exitedThread(12, of: 12)
        },
        Breach(.exitedThread, "thread 11 of process 10") { records in
            records.threads[1] = Sample.exitedThread(11, of: 10)
        },
        Breach(.exitedThread, "thread 10 of process 10") { records in
            records.threads[0] = Sample.exitedThread(10, of: 10)
            records.threads[0].exitCode = 256
        },
        Breach(.exitedThread, "thread 10 of process 10") { $0.threads[0].hasExited_p = true },
        Breach(.threadOrder, "thread 15 of process 10") { $0.threads.append(Sample.thread(15, of: 10)) },
        Breach(.noLeader, "process 12") { $0.threads.removeLast() },
    ]

    static let tasks: [Breach] = [
        Breach(.noAddressSpace, "thread 12 of process 12") { $0.threads[2].addressSpace = 9 },
        Breach(.noFileTable, "thread 10 of process 10") { $0.threads[0].fileTable = 0 },
        Breach(.noFileTable, "thread 11 of process 10") { $0.threads[1].fileTable = 9 },
        Breach(.noDirectories, "thread 12 of process 12") { $0.threads[2].directories = 0 },
        Breach(.noDirectories, "thread 11 of process 10") { $0.threads[1].directories = 9 },
        Breach(.noActions, "thread 12 of process 12") { $0.threads[2].actions = 9 },
        // A thread that has exited has what its process has, too.
        Breach(.noActions, "thread 10 of process 10") { records in
            records.threads[0] = Sample.exitedThread(10, of: 10)
            records.threads[0].actions = 0
        },
        // CLONE_THREAD asks for CLONE_SIGHAND, and that for CLONE_VM.
        Breach(.threadShares, "thread 11 of process 10") { $0.threads[1].addressSpace = 2 },
        Breach(.threadShares, "thread 11 of process 10") { $0.threads[1].actions = 2 },
        Breach(.zombieThreads, "process 13") { $0.threads.append(Sample.thread(13, of: 13)) },
        Breach(.sharedActions, "thread 12 of process 12") { $0.threads[2].actions = 1 },
        Breach(.sharedDiffers, "thread 11 of process 10") { records in
            records.directories.append(Sample.directories(3, root: "/srv"))
            records.threads[1].directories = 3
        },
        Breach(.state, "process 10") { $0.processes[0].state = .UNRECOGNIZED(7) },
        Breach(.exitStatus, "process 13") { $0.processes[2].exitStatus = 0x10000 },
        Breach(.signalRange, "process 10") { $0.processes[0].state = .stopped },
        Breach(.endSignal, "process 10") { $0.processes[0].exitSignal = 256 },
        Breach(.signalRange, "signal actions 1") { $0.signalActions[0].actions[0].signal = 0 },
        Breach(.signalRange, "process 10") { $0.processes[0].pending = [Sample.signal(65)] },
        Breach(.signalRange, "thread 11 of process 10") { $0.threads[1].pending = [Sample.signal(0)] },
        Breach(.signalRange, "thread 11 of process 10") { $0.threads[1].parentDeathSignal = 65 },
        Breach(.duplicateSignal, "signal actions 2") { $0.signalActions[1].actions.append($0.signalActions[1].actions[0]) },
        Breach(.siginfo, "process 10") { records in
            var signal = Sample.signal(1)
            signal.info.removeLast()
            records.processes[0].pending = [signal]
        },
        Breach(.siginfo, "thread 10 of process 10") { $0.threads[0].pending[0].info.append(0) },
        Breach(.timer, "process 10") { records in
            var timer = ImageIntervalTimer()
            timer.which = 3
            records.processes[0].timers = [timer]
        },
        Breach(.timer, "process 10") {
            $0.processes[0].timers = [ImageIntervalTimer(), ImageIntervalTimer()]
        },
        Breach(.timer, "process 10") { records in
            var timer = ImageIntervalTimer()
            timer.remaining = .max
            records.processes[0].timers = [timer]
        },
        Breach(.limit, "process 10") { records in
            var limit = ImageLimit()
            limit.resource = 16
            records.processes[0].limits = [limit]
        },
        Breach(.limit, "process 10") { records in
            var limit = ImageLimit()
            limit.soft = 2
            limit.hard = 1
            records.processes[0].limits = [limit]
        },
        Breach(.limit, "process 10") { $0.processes[0].limits = [ImageLimit(), ImageLimit()] },
        Breach(.umask, "directories 1") { $0.directories[0].umask = 0o1000 },
        Breach(.name, "process 10") { $0.processes[0].command = Data(repeating: 65, count: 16) },
        Breach(.name, "thread 11 of process 10") { $0.threads[1].name = Data([65, 0]) },
        Breach(.dumpable, "process 10") { $0.processes[0].dumpable = 3 },
        Breach(.outOfMemoryScore, "process 10") { $0.processes[0].oomScoreAdjustment = 1001 },
        Breach(.attributes, "process 10") { $0.processes[0].memoryBarriers = 1 },
        Breach(.attributes, "thread 11 of process 10") { $0.threads[1].attributes.memoryFailure = 3 },
        Breach(.attributes, "thread 11 of process 10") { $0.threads[1].attributes.dataCacheFlush = 64 },
        Breach(.cpuFeatures, "header: feature number 31") { $0.header.cpuFeaturesInUse |= 1 << 31 },
        Breach(.cpuFeatures, "header: feature number 31") { $0.header.cpuFeaturesOffered |= 1 << 31 },
        Breach(.vdso, "header") {
            $0.header.vdso.code = [UInt8](repeating: 1, count: 16).asData
            $0.header.vdso.codeSize = 16
        },
        Breach(.vdso, "header") {
            $0.header.vdso.code = [UInt8](repeating: 1, count: 16).asData
            $0.header.vdso.checksum = crc32c([UInt8](repeating: 1, count: 16))
            $0.header.vdso.codeSize = 17
        },
        Breach(.clocks, "header") { $0.header.begin.monotonic = -1 },
        Breach(.clocks, "header") { $0.header.begin.boottime = .min },
        Breach(.cpuRecord, "thread 10 of process 10") { $0.threads[0].cpu[0].feature = 64 },
        Breach(.cpuRecord, "thread 10 of process 10") { $0.threads[0].cpu.append($0.threads[0].cpu[0]) },
        Breach(.address, "signal actions 1") { records in
            records.addressSpaces[0].is32Bit = true
            records.signalActions[0].actions[0].handler = 1 << 32
        },
        Breach(.address, "thread 10 of process 10") { $0.threads[0].rseq.address = end },
        Breach(.credentials, "thread 10 of process 10") { $0.threads[0].credentials.secureBits = 0x1000 },
        Breach(.credentials, "thread 10 of process 10") { records in
            records.threads[0].credentials.groups = Array(0...65536)
        },
        Breach(.scheduling, "thread 10 of process 10") { $0.threads[0].scheduling.policy = 8 },
        Breach(.scheduling, "thread 10 of process 10") { $0.threads[0].scheduling.nice = 20 },
        Breach(.scheduling, "thread 10 of process 10") { $0.threads[0].scheduling.priority = 100 },
        Breach(.scheduling, "thread 10 of process 10") { $0.threads[0].scheduling.ioPriority = 0x10000 },
        Breach(.scheduling, "thread 10 of process 10") { records in
            records.threads[0].scheduling.affinity = Data(count: 65537)
        },
        Breach(.restartBlock, "thread 10 of process 10") {
            $0.threads[0].restartBlock.kind = .UNRECOGNIZED(9)
        },
        Breach(.restartBlock, "thread 10 of process 10") { $0.threads[0].timeout.source = .UNRECOGNIZED(9) },
        Breach(.restartBlock, "thread 10 of process 10") { $0.threads[0].timeout.remaining = 1 << 63 },
        Breach(.restartBlock, "thread 10 of process 10") { $0.threads[0].restartBlock.remaining = .max },
        Breach(.restartBlock, "thread 10 of process 10") { $0.threads[0].restartBlock.flags = 0x80 | 9 },
        Breach(.restartBlock, "thread 10 of process 10") {
            $0.threads[0].restartBlock.source = .UNRECOGNIZED(9)
        },
        Breach(.pathMissing, "process 10") { $0.processes[0].executable.path = Data() },
        Breach(.pathMissing, "directories 1") { $0.directories[0].working.path = Data() },
        Breach(.pathMissing, "directories 2") { $0.directories[1].root.path = Data() },
        Breach(.pathRelative, "directories 1") { $0.directories[0].root.path = Data("tmp".utf8) },
        Breach(.pathWithZero, "directories 2") { $0.directories[1].working.path = Data("/a\0b".utf8) },
    ]

    @Test func aRunMayCrossNeighbouringPrivateMappings() throws {
        var records = Sample.records()
        records.addressSpaces[0].runPage = [0x400]
        records.addressSpaces[0].runLength = [5]
        _ = try CheckpointImage(validating: records)
    }

    @Test func theLeaderMayHaveTheHighestNumber() throws {
        var records = Sample.records()
        records.threads[1] = Sample.thread(5, of: 10)
        records.processes[0].posixTimers = []
        _ = try CheckpointImage(validating: records)
    }

    /// Ten thousand processes, a million runs: no step takes more than a pass.
    @Test func largeImage() throws {
        var records = Sample.records()
        for pid in UInt32(100)..<10_100 {
            records.processes.append(Sample.process(pid, parent: pid == 100 ? 10 : pid - 1))
            records.threads.append(Sample.thread(pid, of: pid))
        }
        records.addressSpaces[0].mappings = [Sample.mapping(0x1000_0000, pages: 2_000_000, .anonymous)]
        records.addressSpaces[0].argumentStart = 0
        records.addressSpaces[0].argumentEnd = 0
        records.addressSpaces[0].runPage = (0..<1_000_000).map { 0x10000 + 2 * $0 }
        records.addressSpaces[0].runLength = Array(repeating: 1, count: 1_000_000)
        let image = try CheckpointImage(validating: records)
        #expect(image.pageCount == 1_000_004)
        #expect(image.children(of: 10_098).map(\.pid) == [10_099])
    }
}
