import ArchState
import CheckpointImage
import StepProgram
import Testing

@testable import RestorePlan

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
        sample.missing("/bin/prog", "ENOENT")
        #expect(try sample.findings().contains { $0.hasPrefix("/bin/prog: ENOENT, needed by 100 prog") })
    }

    @Test func changedProgram() throws {
        var sample = Sample()
        sample.found("/bin/prog", HostFacts.File(size: 11, modified: 6, mode: 0o100755, buildID: []))
        #expect(try sample.findings().contains { $0.contains("has changed since the checkpoint") })
    }

    @Test func sameBuildElsewhereIsTheSameProgram() throws {
        var sample = Sample()
        for index in sample.records.processes.indices {
            sample.records.processes[index].executable.buildID = [UInt8]([1, 2]).asData
            sample.records.addressSpaces[index].mappings[0].file.buildID = [UInt8]([1, 2]).asData
        }
        sample.found("/bin/prog", HostFacts.File(size: 10, modified: 99, mode: 0o100755, buildID: [1, 2]))
        #expect(try sample.findings() == [])
    }

    @Test func shorterFile() throws {
        var sample = Sample()
        sample.shareFile()
        sample.records.openFiles[0].named.identity.size = 3000
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
        let help = "an administrator can allow it (sysctl"
        for (errno, setting) in [("EPERM", "kernel.unprivileged_userns_clone"), ("ENOSPC", "user.max_user_namespaces")] {
            sample.facts.ownUserNamespace = .failure(MissingFile(errno: errno))
            let findings = try sample.findings()
            #expect(findings.count == 1 && findings[0].hasPrefix("privilege: a pid namespace cannot be made: EPERM (CAP_SYS_ADMIN is needed"))
            #expect(findings[0].contains("refused with \(errno)") && findings[0].contains("\(help) \(setting)"))
        }
    }

    /// Without privilege a user namespace gives the numbers, but no other user, group or capability.
    @Test func ownUserNamespace() throws {
        var sample = Sample()
        for place in sample.records.threads.indices { sample.records.threads[place].credentials = Sample.ordinaryUser }
        sample.facts.ownCredentials = Sample.ordinaryUser
        sample.facts.mayMakeNamespaces = false
        sample.facts.numbers.choice = .refused(setTid: "EPERM", lastPid: "EPERM")
        sample.facts.ownUserNamespace = .success(())
        #expect(try sample.findings() == [])
        let valid = try sample.valid()
        #expect(valid.newPidNamespace && valid.facts.isInOwnUserNamespace)
        #expect(valid.facts.hostCapabilities == 0 && valid.facts.ownCredentials.effective != 0)
        sample.options.newPidNamespace = false
        #expect(try sample.findings().first?.contains("use --pidns, which needs no privilege here") == true)
        sample.options.newPidNamespace = nil

        func findings(_ change: (inout ImageCredentials) -> Void) throws -> String {
            var other = sample
            change(&other.records.threads[0].credentials)
            let found = try other.findings()
            #expect(found.count == 1, "\(found)")
            return found.first ?? ""
        }
        #expect(try findings { $0.savedUser = 0 }.contains("has user id 0, and crrestart 1000"))
        #expect(try findings { $0.effectiveGroup = 7 }.contains("has group id 7, and crrestart 100"))
        #expect(try findings { $0.groups = [27] }.contains("has the groups 27, and crrestart 24, 100"))
        #expect(try findings { $0.permitted = 2 }.contains("has capabilities that crrestart lacks: 1"))
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
        sample.missing("/", "EACCES")
        // The directory is missed by each of the two processes.
        #expect(try sample.findings().count == 4)
    }
}
