internal import ArchState
internal import CCodec
internal import CheckpointImage
internal import Kernel
internal import LinuxABI

extension HostSight {
    /// Looks at this host. Nothing of it changes while a checkpoint is taken: done before the tree is stopped.
    static func look() -> HostSight {
        let kernel = KernelIdentity.current()
        return HostSight(
            kernelRelease: kernel.release, kernelVersion: kernel.version, name: kernel.node, architecture: kernel.machine,
            bootID: (try? Kernel.bootID()) ?? "", pageSize: Kernel.pageSize, processor: processorAnswers(),
            vdso: ((try? Vdso.current()) ?? nil).map { VdsoSight($0) }, compatVdso: nil, usualTimeSlice: usualSlice(),
            mounts: nil, mayReadFilters: mayReadFilters())
    }

    /// - Source: kernel/seccomp.c, `seccomp_get_filter`.
    private static func mayReadFilters() -> Bool {
        let isFree = (try? TaskStatus(of: Processes.ownPid))?.seccompMode == 0
        return isFree && Capabilities.currentEffective & Capability.set(Capability.CAP_SYS_ADMIN) != 0
    }

    private static func processorAnswers() -> [CPUIDAnswer] {
        CPUOffer.leavesNeeded.map { leaf, subleaf in
            let found = CPUIdentification.registers(leaf: leaf, subleaf: subleaf)
            return CPUIDAnswer(leaf: leaf, subleaf: subleaf, registers: [found.eax, found.ebx, found.ecx, found.edx])
        }
    }

    /// That of crcheckpoint itself: where no program has chosen one, every task has the same.
    private static func usualSlice() -> UInt64 {
        guard let own = try? SchedulingPolicy(of: 0), own.policy == SchedulingClass.SCHED_NORMAL || own.policy == SchedulingClass.SCHED_BATCH
        else { return 0 }
        return own.runtime
    }

    var processorLeaves: [CPUIDLeaf] {
        processor.filter { $0.registers.count == 4 }.map {
            CPUIDLeaf(
                leaf: $0.leaf, subleaf: $0.subleaf, eax: $0.registers[0], ebx: $0.registers[1], ecx: $0.registers[2],
                edx: $0.registers[3])
        }
    }

    /// Where the processor puts each part of its state; nil: it has no xsave.
    var processorLayout: XSaveLayout? { try? XSaveLayout(leaves: processorLeaves) }
}

extension VdsoSight {
    /// The vdso of this process.
    init(_ vdso: Vdso) {
        self.init(dataSize: vdso.codeStart - vdso.dataStart, code: vdso.codeBytes(), keepsCode: true)
    }

    /// What this kernel gives to 32-bit programs: an image holds its checksum alone.
    init(_ vdso: CompatVdso) { self.init(dataSize: vdso.dataSize, code: vdso.code, keepsCode: false) }

    private init(dataSize: UInt64, code: [UInt8], keepsCode: Bool) {
        self.dataSize = dataSize
        codeSize = UInt64(code.count)
        checksum = crc32c(code)
        self.code = RawText(keepsCode ? code : [])
        slack = code.reversed().prefix { $0 == 0 }.count
    }
}
