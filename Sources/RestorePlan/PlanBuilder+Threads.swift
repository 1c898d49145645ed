import CheckpointImage
import LinuxABI
import StepProgram

extension PlanBuilder {
    /// Sets the attributes that each thread has for itself.
    mutating func threadState(
        _ program: inout Program, _ thread: ImageThread, _ process: ImageProcess, isLeader: Bool, index: Int
    ) {
        if thread.clearChildTid_p != 0 {
            program.call(.set_tid_address, [.value(thread.clearChildTid_p)], check: .equals(Int64(thread.ownTid)))
        }
        if thread.robustList != 0 && is32Bit(process) {
            // struct compat_robust_list_head has 12 bytes.
            program.call32(.set_robust_list, [.value(thread.robustList), 12])
        } else if thread.robustList != 0 {
            program.call(.set_robust_list, [.value(thread.robustList), .value(thread.robustListSize)])
        }
        if thread.alternateStack.size != 0 {
            // stack_t: pointer, flags, size
            let stack = launchpad.add(
                words: [thread.alternateStack.address, UInt64(thread.alternateStack.flags), thread.alternateStack.size])
            program.call(.sigaltstack, [.value(stack), 0], "alternate signal stack")
        }
        pendingSignals(&program, of: thread, process)
        scheduling(&program, thread)
        if thread.hasRestartBlock, thread.restartBlock.kind != .unknown { armingOperands[index] = room(32) }
        childrenNamespace(&program, thread)
        ioFlusher(&program, thread)
        credentials(&program, thread)
        // Must come after the credentials: a change of credentials resets it.
        if thread.parentDeathSignal != 0 {
            program.call(.prctl, [.value(Prctl.PR_SET_PDEATHSIG), .number(thread.parentDeathSignal)], "PR_SET_PDEATHSIG")
        }
        if thread.noNewPrivileges { program.call(.prctl, [.value(Prctl.PR_SET_NO_NEW_PRIVS), 1, 0, 0, 0], "PR_SET_NO_NEW_PRIVS") }
        attributes(&program, thread)
    }

    private mutating func scheduling(_ program: inout Program, _ thread: ImageThread) {
        let wanted = thread.scheduling
        let own = facts.ownScheduling
        if wanted.affinity != own.affinity && !wanted.affinity.isEmpty {
            let mask = wanted.affinity.asBytes
            program.call(.sched_setaffinity, [0, .number(mask.count), data(mask)], "processors it may run on")
        }
        if wanted.policy != own.policy || wanted.nice != own.nice || wanted.priority != own.priority
            || wanted.flags & 1 != own.flags & 1 || wanted.runtime != own.runtime
        {
            // struct sched_attr, first version: 48 bytes
            let words = [
                48 | UInt64(wanted.policy) << 32, wanted.flags & 7,
                UInt64(UInt32(bitPattern: wanted.nice)) | UInt64(wanted.priority) << 32, wanted.runtime,
                wanted.deadline, wanted.period,
            ]
            program.call(.sched_setattr, [0, .value(launchpad.add(words: words)), 0], "scheduling policy and nice value")
        }
        // The policies above know no niceness, and yet a thread keeps one for the time when it leaves them.
        let usesNice = [SchedulingClass.SCHED_NORMAL, SchedulingClass.SCHED_BATCH].contains(wanted.policy)
        if !usesNice && wanted.nice != own.nice { program.call(.setpriority, [0, 0, .signed(Int64(wanted.nice))], "nice value") }
        if wanted.ioPriority != own.ioPriority {
            program.call(.ioprio_set, [1, 0, .number(wanted.ioPriority)], "disk priority")
        }
        if thread.timerSlack != 0 && thread.timerSlack != facts.ownTimerSlack {
            program.call(.prctl, [.value(Prctl.PR_SET_TIMERSLACK), .value(thread.timerSlack)], "PR_SET_TIMERSLACK")
        }
    }

    /// Sets users, groups and capabilities, in an order in which no step takes away a privilege that a later one needs: ids
    /// (SECBIT_NO_SETUID_FIXUP keeps the capabilities meanwhile), the bounding set, permitted and inheritable capabilities
    /// with CAP_SETPCAP still among them, ambient capabilities, secure bits, and then the final capability sets.
    ///
    /// - Source: capabilities(7).
    private mutating func credentials(_ program: inout Program, _ thread: ImageThread) {
        let wanted = thread.credentials
        let own = facts.ownCredentials
        guard wanted != own else { return }
        // Skips calls that would change nothing: the kernel refuses most of them to an ordinary user.
        let changesUsers =
            wanted.realUser != own.realUser || wanted.effectiveUser != own.effectiveUser
            || wanted.savedUser != own.savedUser || wanted.fileSystemUser != own.fileSystemUser
        let changesGroups =
            wanted.realGroup != own.realGroup || wanted.effectiveGroup != own.effectiveGroup
            || wanted.savedGroup != own.savedGroup || wanted.fileSystemGroup != own.fileSystemGroup
        let keep = SecureBit.SECBIT_NO_SETUID_FIXUP
        if changesUsers {
            program.call(.prctl, [.value(Prctl.PR_SET_SECUREBITS), .number(keep)], "PR_SET_SECUREBITS: keep capabilities over the change")
        }
        if wanted.groups != own.groups {
            var list: [UInt8] = []
            for group in wanted.groups { list.append(littleEndian32: group) }
            program.call(.setgroups, [.number(wanted.groups.count), list.isEmpty ? 0 : data(list)])
        }
        if changesGroups {
            program.call(
                .setresgid, [.number(wanted.realGroup), .number(wanted.effectiveGroup), .number(wanted.savedGroup)])
            program.call(.setfsgid, [.number(wanted.fileSystemGroup)], check: .none)
        }
        if changesUsers {
            program.call(
                .setresuid, [.number(wanted.realUser), .number(wanted.effectiveUser), .number(wanted.savedUser)])
            program.call(.setfsuid, [.number(wanted.fileSystemUser)], check: .none)
        }
        for capability in UInt64(0)..<64 where own.bounding & ~wanted.bounding & 1 << capability != 0 {
            program.call(.prctl, [.value(Prctl.PR_CAPBSET_DROP), .value(capability)], "PR_CAPBSET_DROP")
        }
        // An ambient capability can be raised only if it is inheritable and permitted.
        if wanted.ambient != 0 || own.ambient != 0 { program.call(.prctl, [.value(Prctl.PR_CAP_AMBIENT), .value(Prctl.PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0], check: .none, "clear ambient capabilities") }
        let setpcap: UInt64 = 1 << Capability.CAP_SETPCAP
        let kept = CallConfinementPlan.keptPrivilege(thread, image, facts)
        capabilities(
            &program, effective: wanted.permitted & own.effective | setpcap & own.effective | kept,
            permitted: wanted.permitted | setpcap & own.permitted | kept, inheritable: wanted.inheritable)
        for capability in UInt64(0)..<64 where wanted.ambient & 1 << capability != 0 {
            program.call(.prctl, [.value(Prctl.PR_CAP_AMBIENT), .value(Prctl.PR_CAP_AMBIENT_RAISE), .value(capability), 0, 0], "PR_CAP_AMBIENT_RAISE")
        }
        if wanted.secureBits != (changesUsers ? keep : own.secureBits) {
            program.call(.prctl, [.value(Prctl.PR_SET_SECUREBITS), .number(wanted.secureBits)], "PR_SET_SECUREBITS")
        }
        capabilities(
            &program, effective: wanted.effective | kept, permitted: wanted.permitted | kept, inheritable: wanted.inheritable)
    }

    /// capset(2): header of version 3, then two halves of effective, permitted, inheritable.
    mutating func capabilities(
        _ program: inout Program, effective: UInt64, permitted: UInt64, inheritable: UInt64
    ) {
        var bytes: [UInt8] = []
        for shift in [UInt64(0), 32] {
            for set in [effective, permitted, inheritable] {
                bytes.append(littleEndian32: UInt32(truncatingIfNeeded: set >> shift))
            }
        }
        // The kernel writes to the header, so it must not be shared with other data.
        let header = launchpad.add(words: [UInt64(CapabilityVersion._LINUX_CAPABILITY_VERSION_3)])
        program.call(.capset, [.value(header), data(bytes)], "capabilities")
    }

    /// Sets attributes of the process that could make earlier steps fail: limits, dumpable and the like.
    mutating func processState(_ program: inout Program, _ process: ImageProcess, threads: Int) {
        setPosixTimersGoing(&program, of: process)
        pendingSignals(&program, of: process)
        timers(&program, of: process)
        setGoing(&program, process.pid, by: image.fileTable(of: process))
        permitTileData(&program, process)
        if process.childSubreaper { program.call(.prctl, [.value(Prctl.PR_SET_CHILD_SUBREAPER), 1, 0, 0, 0], "PR_SET_CHILD_SUBREAPER") }
        for limit in process.limits {
            let words = [limit.soft, limit.hard]
            var bytes: [UInt8] = []
            for word in words { bytes.append(littleEndian: word) }
            program.call(.prlimit64, [0, .number(limit.resource), data(bytes), 0], "limit \(limit.resource)")
        }
        if threads > 0 {
            // A change of credentials by any thread resets dumpable, so this comes after the last of them.
            program.wait(
                for: word(.threads), toReach: UInt32(threadCount), "until all threads are done")
        }
        dumpable(&program, process)
    }
}
