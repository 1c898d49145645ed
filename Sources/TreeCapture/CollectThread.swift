internal import ArchState
internal import CheckpointImage
internal import ImageHost
internal import Kernel
internal import StepProgram

extension Collector {
    /// Registers, signals, credentials and scheduling of every thread, and what only the tasks themselves
    /// can ask: one injected program per process, a short one per thread.
    ///
    /// - Preconditions: all tasks are stopped, nothing was found that cannot be saved.
    func collectFromInside() throws(CaptureError) {
        let others = threads.values.flatMap { $0.dropFirst() }.map(\.tid)
        if !others.isEmpty { threadFacts = calls?.facts(of: others) ?? [:] }
        childrenOf = livingChildren()
        for index in imageProcesses.indices where imageProcesses[index].state != .zombie {
            let pid = hostPid(of: imageProcesses[index].pid)
            let first = imageThreads.count
            if door(to: pid) != pid {
                try describing(pid, "read the state of") { () throws(SystemError) in
                    try saveExitedLeader(pid, imageProcesses[index])
                }
            }
            for task in threads[pid] ?? [] {
                try describing(pid, "ask thread \(task.tid) of") { () throws(SystemError) in
                    try collectThread(task.tid, of: pid, process: &imageProcesses[index])
                }
            }
            // Those that cannot be saved are missing.
            if first + 1 < imageThreads.count {
                if imageThreads[first].hasExited_p { imageThreads[first].credentials.secureBits = imageThreads[first + 1].credentials.secureBits }
                // Here they are in the order of the numbers that we see; where those have begun anew, that is another one.
                imageThreads[(first + 1)...].sort { $0.tid < $1.tid }
            }
            try describing(pid, "read the pending signals of") { () throws(SystemError) in
                let pending = try Trace.pendingSignals(of: door(to: pid), shared: true)
                imageProcesses[index].pending = pending.map(pendingSignal)
                // A periodic real-time timer that has fired stands still until its SIGALRM is taken. Without
                // that signal a timer without remaining time is not armed at all.
                let hasAlarm = pending.contains { $0.littleEndian32(at: 0) == 14 }
                // The signal may have been taken meanwhile by a thread that was asked later: the timer runs.
                let wasTaken = disturbed.contains(pid)
                imageProcesses[index].timers.removeAll {
                    $0.remaining == 0 && !($0.which == 0 && (hasAlarm || wasTaken))
                }
            }
        }
        agreeOnActions()
        for index in imageProcesses.indices where unreported.contains(imageProcesses[index].pid) {
            imageProcesses[index].changeUnreported = true
            if imageProcesses[index].ownPid == 1 { findStoppedInit(hostPid(of: imageProcesses[index].pid)) }
        }
    }

    func hostPid(of pid: UInt32) -> Int32 {
        if hostPids.isEmpty {
            hostPids = Dictionary(processes.compactMap { host in pidInNamespace[host].map { ($0, host) } }) { first, _ in first }
        }
        return hostPids[pid] ?? Int32(pid)
    }

    private func pendingSignal(_ info: [UInt8]) -> ImagePendingSignal {
        var signal = ImagePendingSignal()
        signal.info = info.asData
        return signal
    }

    private func collectThread(_ tid: Int32, of pid: Int32, process: inout ImageProcess) throws(SystemError) {
        // It answers for the process, too.
        let isLeader = tid == door(to: pid)
        var raw: [UInt8] = []
        // A 32-bit thread has its robust list somewhere else.
        if !isLeader, !spaces[Int(process.addressSpace) - 1].is32Bit, let facts = threadFacts[tid] {
            guard let registers = try ownRegisters(of: tid, pid, &raw) else { return }
            return try saveThread(tid, of: pid, process, registers) { ThreadQuestions.fill(&$0, from: facts) }
        }
        guard let injection = try injection(for: pid, process) else { return }
        let children = isLeader ? childrenOf[process.pid] ?? [] : []
        let questions = ThreadQuestions(
            at: injection.dataAddress, process: isLeader ? try TaskStatus(of: tid) : nil,
            posixTimers: process.posixTimers, hasChildren: !children.isEmpty, is32Bit: injection.is32Bit)
        guard let (answer, registers) = try ask(questions.program, dataSize: questions.dataSize, in: tid, of: pid, injection)
        else { return }
        if isLeader {
            questions.fill(&process, &spaces[Int(process.addressSpace) - 1], from: answer)
            countTimersFromStop(&process, askedAt: answer.instant)
            if questions.hasUnreportedChildren(answer) { try collectReports(of: pid, children: children, injection) }
            if questions.hasLocalDescriptors(answer) {
                find(pid, "task", "has segments of its own (modify_ldt), which cannot be saved yet")
            }
        }
        try saveThread(tid, of: pid, process, registers) { thread in
            if let list = questions.compatRobustList(answer) { (thread.robustList, thread.robustListSize) = list }
            questions.fill(&thread, from: answer)
        }
    }

    static let hasFilter = "has a seccomp filter, which cannot be saved yet"

    /// Runs a program in a thread; again if a signal was on its way: it is delivered first. Nil if the thread cannot be
    /// saved.
    func ask(
        _ program: Program, dataSize: Int, in tid: Int32, of pid: Int32, _ injection: Injection
    ) throws(SystemError) -> (answer: Injection.Answer, registers: X86GeneralRegisters)? {
        // What is refused of the first thread is known already. A filter may kill whoever is asked.
        if tid != door(to: pid), try TaskStatus(of: pid, task: tid).seccompMode != 0 {
            find(pid, "thread \(tid)", Self.hasFilter)
            return nil
        }
        var raw: [UInt8] = []
        for _ in 0..<64 {
            guard let registers = try ownRegisters(of: tid, pid, &raw) else { return nil }
            let answer = try injection.run(
                program, in: tid, registers: registers, callIs32Bit: registers.callIs32Bit(tid), raw: raw, dataSize: dataSize)
            if let answer { return (answer, registers) }
            disturbed.formUnion([pid, door(to: pid)])
        }
        throw SystemError(4, in: "too many signals on their way")
    }

    /// As the thread shall go on: at the abort address where it is inside a restartable sequence. Nil if it cannot be
    /// saved.
    private func ownRegisters(
        of tid: Int32, _ pid: Int32, _ raw: inout [UInt8]
    ) throws(SystemError) -> X86GeneralRegisters? {
        if try Trace.dispatchesCalls(of: tid) {
            find(pid, "thread \(tid)", "gets its own system calls as signals (PR_SET_SYSCALL_USER_DISPATCH), which cannot be saved yet")
            return nil
        }
        raw = try Trace.registers(.general, of: tid, atMost: X86GeneralRegisters.registerSetSize)
        guard var registers = try? X86GeneralRegisters(registerSet: raw) else {
            throw SystemError(22, in: "registers that no task has")
        }
        if let reason = obstacle(in: registers) {
            find(pid, "thread \(tid)", reason)
            return nil
        }
        if let abort = try restartableAbort(of: tid, at: registers.rip) {
            registers.rip = abort
            raw = registers.registerSet
        }
        return registers
    }

    /// The first thread of a process, which has exited while others live: its number stays, and its status in
    /// `/proc` (that of the process is the last thread's).
    private func saveExitedLeader(_ pid: Int32, _ process: ImageProcess) throws(SystemError) {
        let status = try TaskStatus(of: pid)
        let stat = try ProcessStat(of: pid, task: pid)
        var thread = ImageThread()
        thread.tid = process.pid
        thread.process = process.pid
        thread.name = stat.comm.asData
        thread.hasExited_p = true
        thread.innerTids = process.innerPids
        thread.exitCode = UInt32(bitPattern: stat.exitStatus) >> 8 & 0xff
        thread.credentials = ImageCredentials(status)
        thread.scheduling = try ImageScheduling(of: pid)
        imageThreads.append(thread)
    }

    /// What can be seen of a stopped thread from outside, and what it or the kernel answered.
    private func saveThread(
        _ tid: Int32, of pid: Int32, _ process: ImageProcess, _ registers: X86GeneralRegisters,
        answers: (inout ImageThread) -> Void
    ) throws(SystemError) {
        let status = try TaskStatus(of: pid, task: tid)
        var thread = ImageThread()
        let numbers = namespaces.inside(status.namespaceTaskIDs)
        thread.tid = numbers.first ?? UInt32(tid)
        thread.innerTids = Array(numbers.dropFirst())
        thread.childrenNamespace = namespaces.ofChildren[tid] ?? 0
        thread.process = process.pid
        thread.insideVdso = insideVdso.contains(tid)
        thread.name = try ProcessStat(of: pid, task: tid).comm.asData
        thread.signalMask = try Trace.signalMask(of: tid)
        thread.pending = try Trace.pendingSignals(of: tid, shared: false).map(pendingSignal)
        thread.cgroupSet = cgroups.ofThread[tid] ?? 0
        if let own = threadDirectories[tid] { thread.ownDirectories = own }
        thread.noNewPrivileges = status.noNewPrivileges
        thread.credentials = ImageCredentials(status)
        thread.scheduling = try ImageScheduling(of: tid)
        let robust = try RobustList(of: tid)
        thread.robustList = robust.head
        thread.robustListSize = robust.length
        if let area = try Trace.restartableSequence(of: tid), area.address != 0 {
            thread.rseq.address = area.address
            thread.rseq.size = area.size
            thread.rseq.signature = area.signature
        }
        thread.callIs32Bit = registers.callIs32Bit(tid)
        noteSemaphoreWait(registers.systemCall(is32Bit: thread.callIs32Bit), pid)
        answers(&thread)
        thread.call = Int64(registers.callNumber ?? -1)
        if let policy = try? SchedulingPolicy(of: tid), policy.isClamped {
            find(pid, "thread \(tid)", "has utilisation clamps (uclamp), which cannot be saved yet")
        }
        if status.seccompMode != 0 {
            find(pid, "thread \(tid)", Self.hasFilter)
        }
        let extended = try Trace.registers(.extended, of: tid, atMost: 16384)
        let breakpoints = try X86DebugRegisters(of: tid)
        let areas = try Trace.threadAreas(of: tid)
        do throws(ArchStateError) {
            let state = try CPUState(
                generalRegisters: registers,
                extendedState: X86ExtendedState(registerSet: extended, layout: xsave),
                debugRegisters: breakpoints,
                tlsDescriptors: areas.isEmpty ? nil : X86TLSDescriptors(registerSet: areas)
            ).validated()
            header.cpuFeaturesInUse |= state.features.rawValue
            thread.cpu = state.records.map { record in
                var image = ImageCpuRecord()
                image.feature = record.feature
                image.body = record.body.asData
                return image
            }
        } catch {
            find(pid, "thread \(tid)", "has a processor state that cannot be saved: \(error)")
        }
        if case .restartBlock = registers.interruptedCall {
            thread.restartBlock = restartBlock(of: tid, in: pid, registers)
            thread.timeLeftIs32Bit = leavesTimeOf32Bits(tid, registers)
        }
        if let timeout = callTimeout(of: tid, in: pid, registers) { thread.timeout = timeout }
        imageThreads.append(thread)
    }

    /// Where the stub can go and where its working memory can be in this process.
    private func injection(for pid: Int32, _ process: ImageProcess) throws(SystemError) -> Injection? {
        if let known = injections[pid] { return known }
        let space = spaces[Int(process.addressSpace) - 1]
        let mappings = space.mappings
        guard let vdso = mappings.first(where: { $0.kind == .vdsoCode }) else {
            find(pid, "task", "has no vdso", help: "boot without vdso=0")
            return nil
        }
        let code = space.is32Bit ? compatVdso?.code ?? [] : vdsoCode
        let size = CheckpointStub.code().count + 16
        guard code.count > size, code.suffix(size).allSatisfy({ $0 == 0 }) else {
            find(pid, "task", "this kernel's vdso leaves no room for the stub (\(size) bytes)")
            return nil
        }
        // A 32-bit task can have nothing above 4 GiB: between its heap and its libraries there is room.
        let starts: [UInt64] = space.is32Bit ? [0xa000_0000, 0x1000_0000] : [0x6100_0000_0000]
        let end: UInt64 = space.is32Bit ? 0xff00_0000 : 0x7f00_0000_0000
        let holes = starts.map { start in
            mappings.reduce(start) { hole, mapping in
                mapping.end > hole && mapping.start < hole + Injection.memorySize ? (mapping.end + 0xf_ffff) & ~0xf_ffff : hole
            }
        }
        guard let hole = holes.first(where: { $0 + Injection.memorySize <= end }) else {
            find(pid, "task", "has no room for \(Injection.memorySize >> 10) KiB of working memory")
            return nil
        }
        let injection = Injection(process: pid, vdsoEnd: vdso.end, memory: hole, is32Bit: space.is32Bit)
        injections[pid] = injection
        return injection
    }

    /// The abort address, if the thread is inside a critical section of its rseq area: any register change
    /// on the way would let the section commit as if it had not been interrupted.
    ///
    /// - Source: rseq(2), `struct rseq_cs`.
    private func restartableAbort(of tid: Int32, at rip: UInt64) throws(SystemError) -> UInt64? {
        guard let area = try Trace.restartableSequence(of: tid), area.address != 0,
            let section = RemoteMemory.word(tid, at: area.address + 8), section != 0,
            let start = RemoteMemory.word(tid, at: section + 8),
            let length = RemoteMemory.word(tid, at: section + 16),
            let abort = RemoteMemory.word(tid, at: section + 24)
        else { return nil }
        return rip >= start && rip - start < length ? abort : nil
    }
}
