import ArchState
import CheckpointImage
import LinuxABI
import StepProgram

/// Attributes of tasks and of their memory that prctl(2), arch_prctl(2), membarrier(2) and the audit system keep.
extension PlanBuilder {
    /// Must come before the credentials: one of them takes a capability.
    mutating func ioFlusher(_ program: inout Program, _ thread: ImageThread) {
        if thread.attributes.flushesIo { program.call(.prctl, [.value(Prctl.PR_SET_IO_FLUSHER), 1, 0, 0, 0], "PR_SET_IO_FLUSHER") }
    }

    /// What needs no privilege. No later step reads the time-stamp counter or asks the processor what it is.
    mutating func attributes(_ program: inout Program, _ thread: ImageThread) {
        let wanted = thread.attributes
        if wanted.memoryFailure != 0 {
            program.call(
                .prctl, [.value(Prctl.PR_MCE_KILL), .value(Prctl.PR_MCE_KILL_SET), .number(wanted.memoryFailure - 1), 0, 0],
                "PR_MCE_KILL")
        }
        for one in ValidImage.speculation(wanted, facts.ownSpeculation) where one.isSettable {
            program.call(.prctl, [.value(Prctl.PR_SET_SPECULATION_CTRL), .value(one.kind), .number(one.state), 0, 0], "PR_SET_SPECULATION_CTRL")
        }
        if wanted.processorIDFaults { program.call(.arch_prctl, [.value(ArchPrctl.ARCH_SET_CPUID), 0], "ARCH_SET_CPUID: cpuid is a fault") }
        if wanted.timeStampFaults { program.call(.prctl, [.value(Prctl.PR_SET_TSC), .value(Prctl.PR_TSC_SIGSEGV), 0, 0, 0], "PR_SET_TSC: rdtsc is a fault") }
    }

    /// Registers the memory of a process for the barriers that it had been registered for.
    mutating func registerBarriers(_ program: inout Program, _ process: ImageProcess) {
        for command in Membarrier.registrations where UInt64(process.memoryBarriers) & command != 0 {
            program.call(.membarrier, [.value(command), 0, 0], "membarrier registration")
        }
    }

    /// Lets the process use the state of AMX, where this host has it.
    mutating func permitTileData(_ program: inout Program, _ process: ImageProcess) {
        guard process.tileData, facts.cpu.features.contains(.amxData) else { return }
        program.call(.arch_prctl, [.value(ArchPrctl.ARCH_REQ_XCOMP_PERM), .value(ArchPrctl.ARCH_XCOMP_TILEDATA)], "may use AMX")
    }

    /// Who had logged in, for audit records. A kernel may forbid the change (loginuid immutable): then it stays.
    mutating func loginUser(_ program: inout Program, _ process: ImageProcess) {
        guard facts.changesLoginUser(of: process) else { return }
        open(&program, Array("/proc/self/loginuid".utf8), flags: 1, as: scratchDescriptor)
        let text = Array(String(process.loginUser &- 1).utf8)
        program.call(.write, [.number(scratchDescriptor), data(text), .number(text.count)], check: .none, "loginuid")
        program.call(.close, [.number(scratchDescriptor)])
    }
}

extension HostFacts {
    /// Whether a process has another login user than crrestart, and may get it.
    func changesLoginUser(of process: ImageProcess) -> Bool { hasLoginUsers && mayChangeLoginUser && process.loginUser != ownLoginUser }
}

extension ValidImage {
    /// One kind of PR_SET_SPECULATION_CTRL.
    struct Speculation {
        var kind: UInt64
        /// PR_SPEC_ENABLE and the like.
        var state: UInt32
        /// This kernel lets a task choose it.
        var isSettable: Bool
        /// The task had it forbidden, and here it cannot be.
        var isLost: Bool
    }

    /// The kinds in which a thread differs from crrestart.
    ///
    /// - Parameter own: answers of PR_GET_SPECULATION_CTRL to crrestart.
    static func speculation(_ wanted: ImageAttributes, _ own: [UInt32]) -> [Speculation] {
        let chosen = UInt32(Prctl.PR_SPEC_PRCTL)
        let forbidden = UInt32(Prctl.PR_SPEC_DISABLE | Prctl.PR_SPEC_FORCE_DISABLE | Prctl.PR_SPEC_DISABLE_NOEXEC)
        let kinds = [
            (Prctl.PR_SPEC_STORE_BYPASS, wanted.storeBypass), (Prctl.PR_SPEC_INDIRECT_BRANCH, wanted.indirectBranch),
            (Prctl.PR_SPEC_L1D_FLUSH, wanted.dataCacheFlush),
        ]
        var differences: [Speculation] = []
        for (index, (kind, wanted)) in kinds.enumerated() where own.indices.contains(index) && wanted & chosen != 0 {
            let own = own[index]
            // Without PR_SPEC_PRCTL a kernel does not ask tasks; 0: its processor is not affected.
            let state = wanted & ~chosen
            guard own & ~chosen != state, state != 0, own != 0 else { continue }
            let isSettable = own & chosen != 0
            differences.append(
                Speculation(kind: kind, state: state, isSettable: isSettable, isLost: !isSettable && state & forbidden != 0 && own & forbidden == 0))
        }
        return differences
    }

    static func checkAttributes(_ image: CheckpointImage, _ facts: HostFacts, _ find: (String, String, String) -> Void) {
        for thread in image.threads {
            let subject = "thread \(thread.tid) \(thread.name.asText)"
            if thread.attributes.flushesIo && !facts.mayRaiseLimits {
                find(subject, "writes for others (PR_SET_IO_FLUSHER), which this user may not say", "CAP_SYS_RESOURCE is needed")
            }
            if thread.attributes.processorIDFaults && !facts.mayFaultProcessorID {
                find(subject, "takes a fault at cpuid (ARCH_SET_CPUID), which this processor cannot give", "")
            }
            for one in speculation(thread.attributes, facts.ownSpeculation) where one.isLost {
                find(subject, "forbade a kind of speculation (PR_SET_SPECULATION_CTRL \(one.kind)), which this kernel does not let it", "boot it with its mitigations")
            }
        }
        for process in image.processes {
            let missing = Membarrier.registrations.filter { UInt64(process.memoryBarriers) & $0 != 0 && UInt64(facts.memoryBarriers) & $0 == 0 }
            if !missing.isEmpty {
                find("\(process.pid) \(process.command.asText)", "is registered for memory barriers that this kernel does not have (membarrier)", "a newer kernel is needed")
            }
        }
    }

    /// What of the attributes will be another one than before.
    package var attributeNotices: [String] {
        let others = image.processes.filter { $0.state != .zombie && facts.hasLoginUsers && $0.loginUser != facts.ownLoginUser }
        guard !facts.mayChangeLoginUser, let first = others.first else { return [] }
        return ["\(first.pid) \(first.command.asText)\(others.count > 1 ? " and \(others.count - 1) others get" : " gets") the login user of crrestart (CAP_AUDIT_CONTROL would let it keep its own)"]
    }
}
