internal import ArchState
internal import CheckpointImage
internal import HostProbe
internal import Kernel
internal import LinuxABI
internal import StepProgram

extension Recorder {
    /// Completes the processes and records their threads.
    ///
    /// - Returns: by the number of a semaphore set: a process with a thread that was caught waiting for it.
    mutating func recordAnswers(_ answers: Answers) -> [Int32: HostPid] {
        let ofProcess = Dictionary(answers.processes.map { ($0.pid, $0) }) { first, _ in first }
        let ofThread = Dictionary(answers.threads.map { ($0.tid, $0) }) { first, _ in first }
        let disturbed = Set(answers.disturbed)
        let layout = sight.host.processorLayout
        if layout == nil, let first = sight.processes.first {
            find(first.pid, "task", "runs on a processor without xsave, whose state cannot be read")
        }
        let hostPids = Dictionary(imagePids.map { ($1, $0) }) { first, _ in first }
        let seen = Dictionary(sight.processes.map { ($0.pid, $0) }) { first, _ in first }
        var waiters: [Int32: HostPid] = [:]
        for index in records.processes.indices where records.processes[index].state != .zombie {
            guard let process = hostPids[ImagePid(records.processes[index].pid)].flatMap({ seen[$0] }) else { continue }
            let first = records.threads.count
            if let leader = process.exitedLeader { recordExited(leader, of: process, records.processes[index]) }
            for thread in process.threads {
                guard let answer = ofThread[thread.tid] else { continue }
                for refusal in answer.refusals { find(process.pid, "thread \(thread.tid)", refusal) }
                if answer.own.isConfined == true {
                    find(process.pid, thread.tid == process.pid ? "task" : "thread \(thread.tid)", Confinement.refusal)
                }
                guard answer.refusals.isEmpty, let layout else { continue }
                if let set = recordThread(thread, of: process, records.processes[index], answer, layout) { waiters[set] = process.pid }
            }
            if first + 1 < records.threads.count {
                if records.threads[first].hasExited_p {
                    records.threads[first].credentials.secureBits = records.threads[first + 1].credentials.secureBits
                }
                // By their tids inside the tree's pid namespace: the host's tids can be in another order there.
                records.threads[(first + 1)...].sort { $0.tid < $1.tid }
            }
            if let answer = ofProcess[process.pid] { complete(index, process, answer, isDisturbed: disturbed.contains(process.pid)) }
        }
        recordActions(ofProcess)
        removeReaped()
        recordUnreported(answers)
        recordFilters(answers)
        return waiters
    }

    private mutating func complete(_ index: Int, _ process: ProcessSight, _ answer: ProcessAnswers, isDisturbed: Bool) {
        for refusal in answer.refusals { find(process.pid, "task", refusal) }
        if answer.hasLocalDescriptors {
            find(process.pid, "task", "has segments of its own (modify_ldt), which cannot be saved yet")
        }
        if let mask = answer.addressMask, mask != .max {
            find(process.pid, "task", "has tags in its addresses (linear address masking), which cannot be saved yet")
        }
        records.processes[index].memoryBarriers = answer.memoryBarriers ?? 0
        records.processes[index].tileData = (answer.permittedStates ?? 0) & 1 << ArchPrctl.ARCH_XCOMP_TILEDATA != 0
        records.processes[index].dumpable = answer.dumpable
        records.processes[index].childSubreaper = answer.childSubreaper
        records.addressSpaces[process.space - 1].currentBreak = answer.currentBreak
        if let memory = answer.memory { record(memory, of: process.space) }
        var pending = answer.pending
        for zombie in sight.zombies where HostPid(zombie.stat.value.parent) == process.pid {
            if let signal = Checkpointer.endSignal(of: zombie, to: process, pending: pending) { pending.append(signal) }
        }
        records.processes[index].pending = pending.map(Self.record)
        // A periodic real-time timer that has fired stands still until its SIGALRM is taken. Without
        // that signal a timer without remaining time is not armed at all. A thread that was asked later may have taken the
        // signal meanwhile: the timer runs.
        let hasAlarm = answer.pending.contains { $0.bytes.littleEndian32(at: 0) == UInt32(Signal.SIGALRM) }
        records.processes[index].timers = answer.intervalTimers.compactMap { timer in
            let isReal = UInt64(timer.which) == TimerFlag.ITIMER_REAL
            if timer.remaining == 0 && !(isReal && (hasAlarm || isDisturbed)) { return nil }
            var record = ImageIntervalTimer()
            record.which = timer.which
            record.interval = timer.interval
            record.remaining = timer.remaining
            return record
        }
        PosixTimer.complete(&records.processes[index].posixTimers, with: answer.posixTimers)
    }

    /// Processes that share signal actions were asked one after the other: handlers that a signal on its way has
    /// reset (SA_RESETHAND) since the first of them was asked are gone in the last answer, which counts.
    private mutating func recordActions(_ answers: [HostPid: ProcessAnswers]) {
        let count = sight.processes.map(\.actions).max() ?? 0
        var all = (0..<count).map { index in
            var record = ImageSignalActions()
            record.id = UInt32(index + 1)
            return record
        }
        for process in sight.processes {
            guard let answer = answers[process.pid] else { continue }
            all[process.actions - 1].actions = answer.actions.map { action in
                var record = ImageSignalAction()
                record.signal = UInt32(action.signal)
                record.handler = action.handler
                record.flags = action.flags
                record.restorer = action.restorer
                record.mask = action.mask
                return record
            }
        }
        records.signalActions = all
    }

    /// Where the parent of crcheckpoint has set SA_NOCLDWAIT for SIGCHLD, nothing of it is left once it has ended (sigaction(2)).
    private mutating func removeReaped() {
        for zombie in sight.zombies where zombie.endsWith != nil && zombie.stat.value.exitSignal == Signal.SIGCHLD {
            guard let parent = sight.processes.first(where: { $0.pid.rawValue == zombie.stat.value.parent }), let pid = imagePids[zombie.pid] else { continue }
            let actions = records.signalActions[parent.actions - 1].actions
            if actions.contains(where: { $0.signal == Signal.SIGCHLD && $0.flags & SignalActionFlag.SA_NOCLDWAIT != 0 }) {
                records.processes.removeAll { $0.state == .zombie && $0.pid == pid.rawValue }
            }
        }
    }

    private mutating func recordUnreported(_ answers: Answers) {
        let unreported = Set(answers.processes.flatMap(\.unreportedChildren))
        let pids = Set(unreported.compactMap { imagePids[$0]?.rawValue })
        for index in records.processes.indices where pids.contains(records.processes[index].pid) {
            records.processes[index].changeUnreported = true
        }
        for process in sight.processes where unreported.contains(process.pid) && process.status.value.namespaceProcessIDs.last == 1 {
            findStoppedInit(process.pid)
        }
    }

    private static func record(_ signal: RawText) -> ImagePendingSignal {
        var record = ImagePendingSignal()
        record.info = signal.bytes.asData
        return record
    }

    // MARK: - Threads

    /// What a thread has in common with others, by ids. Undo lists and disk contexts count where at least two tasks have the
    /// same.
    private func recordSharing(_ record: inout ImageThread, _ thread: ThreadSight, _ process: ProcessSight) {
        record.addressSpace = UInt32(process.space)
        record.actions = UInt32(process.actions)
        record.fileTable = UInt32(thread.table)
        record.directories = UInt32(thread.directories)
        record.undo = sharedUndo.contains(thread.undo) ? UInt32(thread.undo) : 0
        record.diskContext = sharedDiskContexts.contains(thread.diskContext) ? UInt32(thread.diskContext) : 0
        let places = thread.namespaces
        record.namespaces.user = identities.id(places.user)
        record.namespaces.mount = identities.id(places.mount)
        record.namespaces.network = identities.id(places.network)
        record.namespaces.ipc = identities.id(places.ipc)
        record.namespaces.hostName = identities.id(places.hostName)
        record.namespaces.cgroup = identities.id(places.cgroup)
        record.namespaces.time = identities.id(places.time)
        record.namespaces.timeForChildren = identities.id(places.timeForChildren)
        record.namespaces.pidForChildren = identities.id(places.pidForChildren)
    }

    /// The first thread of a process, which has exited while others live: its number stays, and its status in
    /// `/proc` (that of the process is the last thread's).
    private mutating func recordExited(_ leader: ExitedLeaderSight, of process: ProcessSight, _ record: ImageProcess) {
        var thread = ImageThread()
        thread.tid = record.pid
        thread.process = record.pid
        thread.name = leader.stat.value.comm.asData
        thread.hasExited_p = true
        thread.innerTids = record.innerPids
        thread.exitCode = UInt32(bitPattern: leader.stat.value.exitStatus) >> 8 & 0xff
        thread.credentials = ImageCredentials(process.status.value)
        thread.scheduling = Self.record(leader.scheduling, nice: leader.stat.value.nice, usualSlice: sight.host.usualTimeSlice)
        recordSharing(&thread, process.door, process)
        records.threads.append(thread)
    }

    /// - Returns: the semaphore set that the thread waits for.
    private mutating func recordThread(
        _ seen: ThreadSight, of process: ProcessSight, _ owner: ImageProcess, _ answer: ThreadAnswers, _ layout: XSaveLayout
    ) -> Int32? {
        guard let registers = try? X86GeneralRegisters(registerSet: answer.registers.bytes) else { return nil }
        let status = process.status(of: seen)
        let numbers = numbers(of: status.namespaceTaskIDs)
        var thread = ImageThread()
        thread.tid = numbers.first ?? UInt32(bitPattern: seen.tid.rawValue)
        thread.innerTids = Array(numbers.dropFirst())
        thread.process = owner.pid
        thread.insideVdso = seen.insideVdso
        thread.name = process.stat(of: seen).comm.asData
        thread.signalMask = answer.signalMask
        thread.pending = answer.pending.map(Self.record)
        thread.cgroupSet = seen.cgroups == process.door.cgroups ? 0 : UInt32(seen.cgroups)
        thread.noNewPrivileges = status.noNewPrivileges
        thread.credentials = ImageCredentials(status)
        thread.credentials.secureBits = answer.own.secureBits
        thread.scheduling = Self.record(seen.scheduling, nice: process.stat(of: seen).nice, usualSlice: sight.host.usualTimeSlice)
        thread.robustList = answer.own.robustList32 ?? seen.robustList
        thread.robustListSize = answer.own.robustListSize32 ?? seen.robustListSize
        if answer.rseqAddress != 0 {
            thread.rseq.address = answer.rseqAddress
            thread.rseq.size = answer.rseqSize
            thread.rseq.signature = answer.rseqSignature
        }
        if answer.own.stackSize != 0 {
            thread.alternateStack.address = answer.own.stackAddress
            thread.alternateStack.size = answer.own.stackSize
            thread.alternateStack.flags = answer.own.stackFlags
        }
        thread.clearChildTid_p = answer.own.clearChildTid
        thread.parentDeathSignal = answer.own.parentDeathSignal
        thread.timerSlack = answer.own.timerSlack
        if let attributes = answer.own.attributes { thread.attributes = Self.record(attributes, process.stat(of: seen)) }
        recordConfinement(&thread, answer)
        thread.callIs32Bit = answer.callIs32Bit
        thread.call = Int64(registers.callNumber ?? -1)
        thread.timeLeftIs32Bit = answer.timeLeftIs32Bit
        if let block = answer.restartBlock { thread.restartBlock = Self.record(block) }
        if let timeout = answer.timeout {
            thread.timeout.remaining = timeout.remaining
            thread.timeout.source = Self.record(timeout.source)
        }
        recordSharing(&thread, seen, process)
        do throws(ArchStateError) {
            let state = try Self.state(answer, registers, layout)
            featuresInUse |= state.features.rawValue
            thread.cpu = state.records.map { record in
                var image = ImageCpuRecord()
                image.feature = record.feature
                image.body = record.body.asData
                return image
            }
        } catch {
            find(process.pid, "thread \(seen.tid)", "has a processor state that cannot be saved: \(error)")
        }
        records.threads.append(thread)
        return registers.systemCall(is32Bit: answer.callIs32Bit)?.semaphoreSet
    }

    private static func state(
        _ answer: ThreadAnswers, _ registers: X86GeneralRegisters, _ layout: XSaveLayout
    ) throws(ArchStateError) -> CPUState {
        let debug = answer.debugRegisters
        return try CPUState(
            generalRegisters: registers,
            extendedState: X86ExtendedState(registerSet: answer.extendedState.bytes, layout: layout),
            debugRegisters: debug.count == 6
                ? X86DebugRegisters(dr0: debug[0], dr1: debug[1], dr2: debug[2], dr3: debug[3], dr6: debug[4], dr7: debug[5])
                : X86DebugRegisters(),
            tlsDescriptors: answer.threadAreas.bytes.isEmpty ? nil : X86TLSDescriptors(registerSet: answer.threadAreas.bytes)
        ).validated()
    }
}
