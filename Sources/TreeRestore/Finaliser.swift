internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// What is done to the parked tasks of a tree, one stage after the other: see ``ParkedTree/finalise(staysStopped:_:)``.
///
/// It knows the tasks by number only. The tree itself belongs to the caller: it ends if one of these fails.
struct Finaliser {
    let plan: RestorePlan
    /// By index of the task.
    let hostPids: [Int32]
    private let handles: ProcessHandles
    let release: ReleaseInstant
    let stops: TaskStops
    var image: CheckpointImage { plan.valid.image }
    /// Offset of a system-call instruction in the vdso: the launchpad is unmapped through it.
    private let callOffset: UInt64
    /// By thread of the image: what an armed call returned at once, because what it waits for was there.
    var earlyResults: [Int: Int64] = [:]
    /// By address space: the room for timeouts that its threads have taken.
    var takenSlots: [UInt32: Set<UInt64>] = [:]
    /// Processes by their address space.
    let usersOfSpace: [UInt32: [UInt32]]
    /// Threads that found no room: they wait their whole time once more.
    var beginAnew: [UInt32] = []
    /// Bytes of the vdso's code: where it ends in zeros there is room.
    let vdsoCode: [UInt8]
    /// An `int $0x80` that every task has: the step loop's.
    let loopCompatInstruction: UInt64

    init(_ tree: borrowing ForkedTree, _ release: ReleaseInstant, _ watch: Watch) throws(RestoreError) {
        guard let code = (try? Vdso.current())??.codeBytes(), let offset = Self.callInstruction(in: code) else {
            throw RestoreError("cannot finalise: ENOSYS (this kernel's vdso has no system-call instruction)")
        }
        plan = tree.plan
        hostPids = tree.hostPids
        handles = tree.handles
        self.release = release
        stops = TaskStops(watch: watch)
        vdsoCode = code
        callOffset = UInt64(offset)
        loopCompatInstruction = Self.compatInstruction(in: tree.memory, at: tree.plan.launchpad.base)
        usersOfSpace = Dictionary(grouping: tree.plan.valid.image.processes, by: tree.plan.valid.image.spaceID).mapValues { $0.map(\.pid) }
    }

    /// Where a `syscall` stands in code: behind a number that is loaded into eax.
    private static func callInstruction(in code: [UInt8]) -> Int? {
        guard code.count > 6 else { return nil }
        return (0..<code.count - 6).first {
            code[$0] == 0xb8 && code[$0 + 3] == 0 && code[$0 + 4] == 0 && code[$0 + 5] == 0x0f && code[$0 + 6] == 0x05
        }.map { $0 + 5 }
    }

    /// Indices of the tasks that live, threads included.
    private var living: [Int] { plan.tasks.indices.filter { !plan.tasks[$0].isDead } }

    /// Has every task stop, and tells stops at system calls from signals from here on.
    func stopAll() throws(RestoreError) {
        for (index, task) in plan.tasks.enumerated() where task.exits {
            try naming(task) { () throws(SystemError) in try stops.awaitEnd(of: hostPids[index]) }
        }
        for (index, task) in plan.tasks.enumerated() where !task.isDead {
            try naming(task) { () throws(SystemError) in try Trace.interrupt(hostPids[index]) }
        }
        for (index, task) in plan.tasks.enumerated() where !task.isDead {
            try naming(task) { () throws(SystemError) in
                let signal = try stops.awaitStop(hostPids[index])
                if isStopped(task) != (signal != Signal.SIGTRAP) {  // SIGTRAP: no group stop
                    throw SystemError(Errno.EINVAL, in: isStopped(task) ? "it did not stop (job control)" : "signal \(signal) stopped it")
                }
                // Stops at system calls are told apart from signals.
                try Trace.setOptions(hostPids[index], Trace.Option.exitKill | Trace.Option.systemCallStops)
            }
        }
    }

    private func isStopped(_ task: RestorePlan.Task) -> Bool { image.process(task.pid)?.state == .stopped }

    /// Registers, vector state and masks of all tasks.
    mutating func loadAll() throws(RestoreError) {
        for index in living { try naming(plan.tasks[index]) { () throws(SystemError) in try load(index) } }
    }

    /// Sends SIGSTOP to the processes that were not stopped.
    func stopRunning() throws(RestoreError) {
        for (index, task) in plan.tasks.enumerated() where task.isLeader && !task.isZombie && !isStopped(task) {
            try naming(task) { () throws(SystemError) in try handles.send(Signal.SIGSTOP, to: hostPids[index]) }
        }
    }

    func releaseGuardian(_ inner: Int32) throws(RestoreError) {
        try naming(plan.tasks[0]) { () throws(SystemError) in
            try Trace.interrupt(inner)
            try stops.awaitStop(inner)
            try Trace.detach(inner)
        }
    }

    /// Takes PTRACE_O_EXITKILL back.
    func takeBackExitKill() throws(RestoreError) {
        for index in living {
            try naming(plan.tasks[index]) { () throws(SystemError) in try Trace.setOptions(hostPids[index], 0) }
        }
    }

    func detachAll() { for index in living { try? Trace.detach(hostPids[index]) } }

    func space(of pid: UInt32) -> ImageAddressSpace? { plan.space(of: pid) }

    func callInstruction(_ pid: UInt32) -> UInt64 {
        let space = space(of: pid)
        let vdso = space.flatMap(plan.vdso.code)?.start ?? 0
        return vdso + (space?.is32Bit == true ? plan.valid.facts.compatCallOffset : callOffset)
    }

    /// Registers of a task of the loop, pointed at a system call: at the `syscall` of the vdso, or at an
    /// `int $0x80`.
    func pointed(
        at task: RestorePlan.Task, _ host: Int32, call: UInt64, _ arguments: [UInt64], compatInstruction: UInt64? = nil
    ) throws(SystemError) -> [UInt8] {
        let raw = try Trace.registers(.general, of: host, atMost: X86GeneralRegisters.registerSetSize)
        guard var registers = try? X86GeneralRegisters(registerSet: raw) else {
            throw SystemError(Errno.EINVAL, in: "registers of the loop")
        }
        registers.rip = callInstruction(task.pid)
        registers.rax = call
        registers.originalRAX = UInt64.max
        let all = arguments + [UInt64](repeating: 0, count: 6 - arguments.count)
        if let instruction = compatInstruction {
            registers.point(atCompatCall: instruction, all)
            return registers.registerSet
        }
        (registers.rdi, registers.rsi, registers.rdx) = (all[0], all[1], all[2])
        (registers.r10, registers.r8, registers.r9) = (all[3], all[4], all[5])
        return registers.registerSet
    }

    /// Unmaps the loop's memory through an instruction that stays: the vdso's own.
    ///
    /// Processes that share memory lose it all at once: the others are stopped in it, as threads are.
    ///
    /// - Parameter size: of the launchpad, in bytes.
    func unmapLaunchpads(size: UInt64) throws(RestoreError) {
        let owners = plan.livingTasks.filter { plan.ownsMemory(plan.tasks[$0].pid) }
        try eachOf(owners) { index throws(SystemError) in
            let task = plan.tasks[index]
            let is32Bit = space(of: task.pid)?.is32Bit == true
            let registers = try pointed(
                at: task, hostPids[index], call: is32Bit ? ArmedCall.compatUnmap : UInt64(SystemCall.munmap.rawValue),
                [plan.launchpad.base, size], compatInstruction: is32Bit ? callInstruction(task.pid) : nil)
            try Trace.setRegisters(.general, of: hostPids[index], to: registers)
            try Trace.resumeToCall(hostPids[index])
        }
        try eachOf(owners) { index throws(SystemError) in
            try stops.awaitCallStop(hostPids[index])
            try Trace.resumeToCall(hostPids[index])
        }
        try eachOf(owners) { index throws(SystemError) in
            let host = hostPids[index]
            try stops.awaitCallStop(host)
            let result = try self.result(of: host)
            if result != 0 { throw SystemError(Int32(clamping: -result), in: "munmap of the launchpad") }
            // To a stop from which the kernel looks at restart codes.
            try Trace.interrupt(host)
            try Trace.resume(host)
        }
        try eachOf(owners) { index throws(SystemError) in try stops.awaitStop(hostPids[index]) }
    }

    /// What the call returned at whose exit a task stands: a value, or a negative errno.
    func result(of host: Int32) throws(SystemError) -> Int64 {
        let raw = try Trace.registers(.general, of: host, atMost: X86GeneralRegisters.registerSetSize)
        guard let registers = try? X86GeneralRegisters(registerSet: raw) else {
            throw SystemError(Errno.EINVAL, in: "registers of the loop")
        }
        return Int64(bitPattern: registers.rax)
    }

    /// One step of several tasks. What each of them is to wait for, all have begun before the first is waited for.
    func eachOf(_ indices: [Int], _ body: (Int) throws(SystemError) -> Void) throws(RestoreError) {
        for index in indices {
            try naming(plan.tasks[index]) { () throws(SystemError) in try body(index) }
        }
    }

    private mutating func load(_ index: Int) throws(SystemError) {
        let task = plan.tasks[index]
        guard let number = task.thread, let layout = plan.valid.facts.xsaveLayout else { return }
        let host = hostPids[index]
        let state = plan.valid.states[number]
        var general = state.general
        if let result = earlyResults[number] {
            general.rax = UInt64(bitPattern: result)
            general.originalRAX = UInt64.max
        } else {
            try shorten(&general, index)
        }
        let current = try Trace.registers(.extended, of: host, atMost: 16384)
        let extended: [UInt8]
        do { extended = try state.extended.registerSet(layout: layout, size: current.count) } catch {
            throw SystemError(Errno.EINVAL, in: "\(error)")
        }
        if let areas = state.tls { try Trace.setThreadAreas(of: host, to: areas.registerSet) }
        try Trace.setRegisters(.extended, of: host, to: extended)
        // Addresses before the word that enables them.
        if let debug = state.debug {
            for (number, address) in debug.addresses.enumerated() where address != 0 {
                try DebugRegisters.write(number, of: host, to: address)
            }
            try DebugRegisters.write(6, of: host, to: debug.status)
            try DebugRegisters.write(7, of: host, to: debug.control)
        }
        try Trace.setRegisters(.general, of: host, to: general.registerSet)
        try dispatchCalls(of: image.threads[number], host)
        try Trace.setSignalMask(of: host, to: image.threads[number].signalMask)
    }
}
