import ArchState
import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

/// A small tree and a host that can run it; each test changes one thing.
struct Sample {
    var records = ImageRecords()
    var facts = HostFacts()
    var options = RestartOptions()

    init() {
        records.header.formatVersion = ImageFormat.version
        records.header.architecture = "x86_64"
        records.header.pageSize = 4096
        records.header.root = 100
        records.header.vdso.codeSize = 8192
        addProcess(100, parent: 0)
        addProcess(101, parent: 100)
        facts.architecture = "x86_64"
        facts.vdso = records.header.vdso
        facts.cpu = CPUOffer(features: CPUOffer.everywhere)
        facts.hardLimits = [UInt64](repeating: .max, count: 16)
        facts.vdsoParts = [
            HostFacts.Range(start: 0x7000_0000_0000, end: 0x7000_0000_4000),
            HostFacts.Range(start: 0x7000_0000_4000, end: 0x7000_0000_6000),
        ]
        for path in ["/bin/prog", "/"] {
            facts.files[path] = .success(HostFacts.File(size: 10, modified: 5, mode: path == "/" ? 0o040755 : 0o100755, buildID: []))
        }
    }

    mutating func addProcess(_ pid: UInt32, parent: UInt32) {
        var process = ImageProcess()
        process.pid = pid
        process.parent = parent
        process.group = 100
        process.session = 100
        process.exitSignal = 17
        process.addressSpace = pid
        process.fileTable = pid
        process.executable = program
        process.workingDirectory = [UInt8]("/".utf8).asData
        process.rootDirectory = process.workingDirectory
        process.command = [UInt8]("prog".utf8).asData
        records.processes.append(process)
        var thread = ImageThread()
        thread.tid = pid
        thread.process = pid
        var general = X86GeneralRegisters()
        general.rip = 0x40_0000
        thread.cpu = CPUState(generalRegisters: general).records.map {
            var record = ImageCpuRecord()
            record.feature = $0.feature
            record.body = $0.body.asData
            return record
        }
        records.threads.append(thread)
        var space = ImageAddressSpace()
        space.id = pid
        var text = ImageMapping()
        text.start = 0x40_0000
        text.end = 0x40_1000
        text.protection = 5
        text.kind = .file
        text.file = program
        var data = ImageMapping()
        data.start = 0x50_0000
        data.end = 0x50_4000
        data.protection = 1
        data.kind = .anonymous
        var vvar = ImageMapping()
        vvar.start = 0x7fff_0000_0000
        vvar.end = 0x7fff_0000_4000
        vvar.kind = .vdsoData
        var vdso = ImageMapping()
        vdso.start = 0x7fff_0000_4000
        vdso.end = 0x7fff_0000_6000
        vdso.kind = .vdsoCode
        space.mappings = [text, data, vvar, vdso]
        space.runPage = [0x501]
        space.runLength = [2]
        records.addressSpaces.append(space)
        var table = ImageFileTable()
        table.id = pid
        records.fileTables.append(table)
    }

    private var program: ImageFileIdentity {
        var identity = ImageFileIdentity()
        identity.path = [UInt8]("/bin/prog".utf8).asData
        identity.size = 10
        identity.modified = 5
        identity.mode = 0o100755
        return identity
    }

    /// An open file that both processes hold at 5, and the child at 6, too.
    mutating func shareFile() {
        var file = ImageOpenFile()
        file.id = 1
        file.kind = .path
        file.flags = 0o102001
        file.offset = 1234
        file.identity.path = [UInt8]("/log".utf8).asData
        file.identity.mode = 0o100644
        records.openFiles = [file]
        facts.files["/log"] = .success(HostFacts.File(size: 2000, modified: 0, mode: 0o100644, buildID: []))
        for (index, numbers) in [[5], [5, 6]].enumerated() {
            for number in numbers {
                var descriptor = ImageDescriptor()
                descriptor.number = UInt32(number)
                descriptor.file = 1
                records.fileTables[index].descriptors.append(descriptor)
            }
        }
    }

    func image() throws -> CheckpointImage {
        var image = try CheckpointImage(validating: records)
        for (index, space) in records.addressSpaces.enumerated() {
            image.add(
                PageSection(
                    owner: PageOwner(.addressSpace, space.id), pages: 2, offset: UInt64(4096 * (index + 1) * 4),
                    checksums: [0]))
        }
        return image
    }

    func valid() throws -> ValidImage { try ValidImage(try image(), on: facts, options: options) }

    /// The findings' lines; empty if it is accepted.
    func findings() throws -> [String] {
        do {
            _ = try valid()
            return []
        } catch let refusal as ValidImage.Refusal { return refusal.findings.map(\.line) }
    }
}

@Suite struct ValidationTests {
    @Test func sampleIsAccepted() throws { #expect(try Sample().findings() == []) }

    @Test func anotherArchitecture() throws {
        var sample = Sample()
        sample.facts.architecture = "aarch64"
        #expect(try sample.findings().contains { $0.hasPrefix("architecture: ") })
    }

    @Test func anotherVdso() throws {
        var sample = Sample()
        sample.facts.vdso.checksum = 7
        #expect(try sample.findings().contains { $0.hasPrefix("vdso: ") })
    }

    /// A tree of a host whose kernel maps another vdso.
    private func foreignVdso() -> Sample {
        func vdso(_ function: UInt64) -> ImageVdso {
            var vdso = ImageVdso()
            let code = SampleVdso.bytes([("__vdso_time", function, 32)]) + [UInt8](repeating: 0, count: 4096)
            vdso.dataSize = 0x4000
            vdso.codeSize = UInt32(code.count)
            vdso.checksum = crc32c(code)
            vdso.code = code.asData
            return vdso
        }
        var sample = Sample()
        sample.records.header.vdso = vdso(2048)
        sample.facts.vdso = vdso(3072)
        return sample
    }

    @Test func anotherVdsoIsKept() throws {
        let valid = try foreignVdso().valid()
        #expect(valid.usesVdsoProxy)
        let plan = RestorePlan(for: valid)
        for space in valid.image.addressSpaces {
            let code = try #require(plan.vdso.code(in: space))
            #expect(code == HostFacts.Range(start: valid.hole.scratch + 0x4000, end: valid.hole.scratch + 0x6000))
        }
        for program in plan.launchpad.programs {
            let lines = program.lines()
            let mapped = try #require(lines.firstIndex { $0.contains("mmap") && $0.contains("0x7fff00004000") })
            #expect(lines[mapped + 1].contains("process_vm_readv") && lines[mapped + 2].contains("mprotect"))
            // The old data is not there, and the children inherit the new vdso where their parent had it.
            #expect(!lines.contains { $0.contains("mmap") && $0.contains("0x7fff00000000") })
        }
        #expect(plan.launchpad.programs.map { $0.lines().count { $0.contains("mremap") } } == [2, 0])
        #expect(plan.lines().contains { $0.hasPrefix("vdso  ") })
    }

    @Test func aThreadInsideAnotherVdso() throws {
        var sample = foreignVdso()
        var general = X86GeneralRegisters()
        general.rip = 0x7fff_0000_4800
        sample.records.threads[1].cpu[0].body = CPUState(generalRegisters: general).records[0].body.asData
        #expect(try sample.findings().contains { $0.hasPrefix("thread 101: was stopped inside the vdso") })
        // In a handler that returns there.
        sample = foreignVdso()
        sample.records.threads[0].insideVdso = true
        #expect(try sample.findings().contains { $0.hasPrefix("thread 100: was stopped inside the vdso") })
        sample.facts.vdso = sample.records.header.vdso
        #expect(try sample.findings() == [])
        #expect(try !sample.valid().usesVdsoProxy)
    }

    @Test func capabilitiesThatNobodyCanGive() throws {
        var sample = Sample()
        sample.records.threads[1].credentials.permitted = 1 << 21 | 1 << 10
        sample.facts.ownCredentials.permitted = 1 << 10
        #expect(try sample.findings().contains { $0.hasPrefix("thread 101: has capabilities that crrestart lacks: 21 (") })
        sample.facts.ownCredentials.permitted |= 1 << 21
        #expect(try sample.findings() == [])
    }

    @Test func missingFile() throws {
        var sample = Sample()
        sample.facts.files["/bin/prog"] = .failure(MissingFile(errno: "ENOENT"))
        #expect(try sample.findings().contains { $0.hasPrefix("/bin/prog: ENOENT, needed by 100 prog") })
    }

    @Test func changedProgram() throws {
        var sample = Sample()
        sample.facts.files["/bin/prog"] = .success(HostFacts.File(size: 11, modified: 6, mode: 0o100755, buildID: []))
        #expect(try sample.findings().contains { $0.contains("has changed since the checkpoint") })
    }

    @Test func sameBuildElsewhereIsTheSameProgram() throws {
        var sample = Sample()
        for index in sample.records.processes.indices {
            sample.records.processes[index].executable.buildID = [UInt8]([1, 2]).asData
            sample.records.addressSpaces[index].mappings[0].file.buildID = [UInt8]([1, 2]).asData
        }
        sample.facts.files["/bin/prog"] = .success(HostFacts.File(size: 10, modified: 99, mode: 0o100755, buildID: [1, 2]))
        #expect(try sample.findings() == [])
    }

    @Test func shorterFile() throws {
        var sample = Sample()
        sample.shareFile()
        sample.records.openFiles[0].identity.size = 3000
        #expect(try sample.findings().contains { $0.contains("/log: is shorter") })
    }

    @Test func takenPids() throws {
        var sample = Sample()
        sample.facts.takenPids = [101: "101 sshd"]
        sample.options.newPidNamespace = false
        #expect(try sample.findings().contains { $0.hasPrefix("pid 101: needed by prog, taken by 101 sshd") })
        sample.options.newPidNamespace = nil
        #expect(try sample.valid().newPidNamespace)
    }

    @Test func callsThatCannotBeTakenUp() throws {
        func findings(_ change: (inout ImageRestartBlock) -> Void) throws -> [String] {
            var sample = Sample()
            change(&sample.records.threads[1].restartBlock)
            return try sample.findings()
        }
        #expect(try findings { $0.kind = .unknown } == ["thread 101: waits in a system call that cannot be taken up again"])
        for clock in [Int32(0), 1, 7, 8, 9, 11] {
            #expect(try findings { ($0.kind, $0.clock) = (.nanosleep, UInt32(bitPattern: clock)) } == [])
        }
        #expect(try findings { ($0.kind, $0.clock) = (.nanosleep, 2) } == ["thread 101: sleeps on clock 2, which is not known"])
        // Itself, the other process, its thread; nobody; no such time; no processor clock.
        let known: [Int32] = [-6, ~100 << 3 | 2, ~101 << 3 | 6]
        for clock in known {
            #expect(try findings { ($0.kind, $0.clock) = (.cpuNanosleep, UInt32(bitPattern: clock)) } == [])
        }
        #expect(
            try findings { ($0.kind, $0.clock) = (.cpuNanosleep, UInt32(bitPattern: Int32(~102 << 3 | 2))) }
                == ["thread 101: sleeps on the processor time of 102, which is not in the image"])
        let unknown: [Int32] = [-5, 1]
        for clock in unknown {
            #expect(
                try findings { ($0.kind, $0.clock) = (.cpuNanosleep, UInt32(bitPattern: clock)) }
                    == ["thread 101: sleeps on processor clock \(clock), which is not known"])
        }
    }

    @Test func missingPrivilege() throws {
        var sample = Sample()
        sample.facts.numbers.choice = .refused(setTid: "EPERM", lastPid: "EPERM")
        #expect(try sample.findings() == ["privilege: pids cannot be chosen: clone3 with set_tid answers EPERM, ns_last_pid EPERM (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE is needed: be root)"])
        sample.options.newPidNamespace = true
        #expect(try sample.findings() == [])
        sample.facts.mayMakeNamespaces = false
        #expect(try sample.findings() == ["privilege: a pid namespace cannot be made: EPERM (CAP_SYS_ADMIN is needed: be root)"])
    }

    @Test func limitThatCannotBeRaised() throws {
        var sample = Sample()
        var limit = ImageLimit()
        limit.resource = 7
        limit.soft = 10
        limit.hard = 4096
        sample.records.processes[0].limits = [limit]
        sample.facts.hardLimits[7] = 1024
        #expect(try sample.findings().contains { $0.contains("CAP_SYS_RESOURCE") })
        sample.facts.mayRaiseLimits = true
        #expect(try sample.findings() == [])
    }

    @Test func missingProcessorFeature() throws {
        var sample = Sample()
        sample.facts.cpu = CPUOffer(features: CPUFeatureSet([.x86General]))
        var general = X86GeneralRegisters()
        general.rip = 0x40_0000
        general.fsBase = 0x1000
        sample.records.threads[0].cpu = CPUState(generalRegisters: general).records.map {
            var record = ImageCpuRecord()
            record.feature = $0.feature
            record.body = $0.body.asData
            return record
        }
        #expect(try sample.findings().contains { $0.hasPrefix("processor: cannot run: thread 100 ") })
    }

    @Test func processorStateWithoutRegistersIsRefused() throws {
        var sample = Sample()
        sample.records.threads[1].cpu = []
        #expect(try sample.findings().contains { $0.hasPrefix("thread 101: its processor state is refused") })
    }

    @Test func allFindingsAtOnce() throws {
        var sample = Sample()
        sample.facts.architecture = "riscv64"
        sample.facts.numbers.choice = .refused(setTid: "ENOSYS", lastPid: "EPERM")
        sample.facts.files["/"] = .failure(MissingFile(errno: "EACCES"))
        // The directory is missed by each of the two processes.
        #expect(try sample.findings().count == 4)
    }
}

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
            program.steps.indices.filter { program.steps[$0].name == "openat" && program.steps[$0].note == "/log" }
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
