internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import RestorePlan
internal import StepProgram

/// From "every task is parked" to "the tree runs". Numbered as in the design: each position has its reason.
final class Finaliser {
    let tree: ForkedTree
    let staysStopped: Bool
    let release: ReleaseInstant
    var plan: RestorePlan { tree.plan }
    var image: CheckpointImage { plan.valid.image }
    /// Offset of a system-call instruction in the vdso: the launchpad is unmapped through it.
    private let callOffset: UInt64
    /// By thread of the image: what an armed call returned at once, because what it waits for was there.
    var earlyResults: [Int: Int64] = [:]
    /// By address space: the room for timeouts that its threads have taken.
    var takenSlots: [UInt32: Set<UInt64>] = [:]
    /// Processes by their address space.
    lazy var usersOfSpace: [UInt32: [UInt32]] = Dictionary(grouping: image.processes, by: \.addressSpace).mapValues { $0.map(\.pid) }
    /// Threads that found no room: they wait their whole time once more.
    var beginAnew: [UInt32] = []
    /// Bytes of the vdso's code: where it ends in zeros there is room.
    let vdsoCode: [UInt8]

    init(_ tree: ForkedTree, staysStopped: Bool, release: ReleaseInstant) throws(RestoreError) {
        guard let code = (try? Vdso.current())??.codeBytes(),
            let offset = (0..<code.count - 6).first(where: {
                code[$0] == 0xb8 && code[$0 + 3] == 0 && code[$0 + 4] == 0 && code[$0 + 5] == 0x0f && code[$0 + 6] == 0x05
            })
        else { throw RestoreError("cannot finalise: this kernel's vdso has no system-call instruction") }
        self.tree = tree
        vdsoCode = code
        self.staysStopped = staysStopped
        self.release = release
        callOffset = UInt64(offset) + 5
    }

    /// - Parameter interrupted: asked until the point of no return: whether the user wants it undone.
    func run(_ interrupted: () -> Bool) throws(RestoreError) {
        // 1. All tasks stop, and are what the image says.
        try stopAll()
        try TreeCheck(tree).check()
        // 2. Restart blocks as late as possible, then the launchpad goes.
        try armAll()
        try unmapLaunchpads()
        // 3. Registers and vector state, then masks: from here on signals find the thread as it was.
        for (index, task) in plan.tasks.enumerated() where !task.isDead {
            try naming(task) { () throws(SystemError) in try load(index) }
        }
        for (index, task) in plan.tasks.enumerated() where task.isLeader && !task.isZombie {
            if staysStopped && !isStopped(task) { try? Processes.kill(tree.hostPids[index], 19) }
        }
        // 4. Nobody dies with the monitor any more. The guardian first: it has to outlive it.
        try naming(plan.tasks[0]) { () throws(SystemError) in
            try Trace.interrupt(tree.inner)
            try awaitStop(tree.inner)
            try Trace.detach(tree.inner)
        }
        for (index, task) in plan.tasks.enumerated() where !task.isDead {
            try naming(task) { () throws(SystemError) in try Trace.setOptions(tree.hostPids[index], 0) }
        }
        // The last chance: what is made next belongs to no process, and would stay.
        if interrupted() { throw RestoreError.interrupted }
        try SemaphoreSetMaker(tree).run()
        release.wait()
        // 5. The point of no return, one store.
        tree.publish(.committed, 1)
        tree.letGo()
        // 6. Go.
        for (index, task) in plan.tasks.enumerated() where !task.isDead { try? Trace.detach(tree.hostPids[index]) }
    }

    private func naming(_ task: RestorePlan.Task, _ body: () throws(SystemError) -> Void) throws(RestoreError) {
        do throws(SystemError) { try body() } catch {
            throw RestoreError(cannot: "finalise \(task.title)", error)
        }
    }

    /// One step of several tasks. What each of them is to wait for, all have begun before the first is waited for.
    func eachOf(_ indices: [Int], _ body: (Int) throws(SystemError) -> Void) throws(RestoreError) {
        for index in indices {
            try naming(plan.tasks[index]) { () throws(SystemError) in try body(index) }
        }
    }

    private func stopAll() throws(RestoreError) {
        for (index, task) in plan.tasks.enumerated() where task.exits {
            try naming(task) { () throws(SystemError) in try awaitEnd(of: tree.hostPids[index]) }
        }
        for (index, task) in plan.tasks.enumerated() where !task.isDead {
            try naming(task) { () throws(SystemError) in try Trace.interrupt(tree.hostPids[index]) }
        }
        for (index, task) in plan.tasks.enumerated() where !task.isDead {
            try naming(task) { () throws(SystemError) in
                let signal = try awaitStop(tree.hostPids[index])
                if isStopped(task) != (signal != 5) {  // SIGTRAP: no group stop
                    throw SystemError(22, in: isStopped(task) ? "it did not stop (job control)" : "signal \(signal) stopped it")
                }
                // Stops at system calls are told apart from signals.
                try Trace.setOptions(tree.hostPids[index], Trace.Option.exitKill | Trace.Option.systemCallStops)
            }
        }
    }

    /// A first thread that exits is still in the launchpad when it has said that it is done.
    private func awaitEnd(of host: Int32) throws(SystemError) {
        let deadline = SystemClock.monotonic.now() + 10_000_000_000
        while try !ProcessStat(of: host).isZombie {
            if SystemClock.monotonic.now() > deadline { throw SystemError(110, in: "its first thread does not end") }
            Waiting.pause(atMost: 1_000_000)
        }
    }

    private func isStopped(_ task: RestorePlan.Task) -> Bool { image.process(task.pid)?.state == .stopped }

    /// - Returns: SIGTRAP, or the signal by which the task's process is stopped.
    @discardableResult
    func awaitStop(_ pid: Int32) throws(SystemError) -> Int32 {
        while true {
            guard let found = try Waiting.wait(pid, block: true) else { continue }
            switch found.status {
            case .stopped(let signal, TraceEvent.stop): return signal
            case .stopped:
                try Trace.interrupt(pid)
                try Trace.resume(pid)
            case .exited, .killed: throw SystemError(3, in: "it was killed from outside")
            case .continued: break
            }
        }
    }

    /// The next stop at the entry or the exit of a system call, to which it was let run.
    func awaitCallStop(_ pid: Int32) throws(SystemError) {
        while true {
            guard let found = try Waiting.wait(pid, block: true) else { continue }
            switch found.status {
            case .stopped(0x85, 0): return
            case .stopped: try Trace.resumeToCall(pid)
            case .exited, .killed: throw SystemError(3, in: "it was killed from outside")
            case .continued: break
            }
        }
    }

    func space(of pid: UInt32) -> ImageAddressSpace? {
        image.process(pid).flatMap { image.addressSpace($0.addressSpace) }
    }

    private func callInstruction(_ pid: UInt32) -> UInt64 {
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
            throw SystemError(22, in: "registers of the loop")
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

    /// The loop's memory goes, through an instruction that stays: the vdso's own.
    ///
    /// Who shares memory has it unmapped for all at once: the others are stopped in it, as threads are.
    private func unmapLaunchpads() throws(RestoreError) {
        let owners = plan.livingTasks.filter { plan.ownsMemory(plan.tasks[$0].pid) }
        try eachOf(owners) { index throws(SystemError) in
            let task = plan.tasks[index]
            let host = tree.hostPids[index]
            let is32Bit = space(of: task.pid)?.is32Bit == true
            let registers = try pointed(
                at: task, host, call: is32Bit ? ArmedCall.compatUnmap : 11, [plan.launchpad.base, tree.memory.size],
                compatInstruction: is32Bit ? callInstruction(task.pid) : nil)
            try Trace.setRegisters(.general, of: host, to: registers)
            try Trace.resumeToCall(host)
        }
        try eachOf(owners) { index throws(SystemError) in
            try awaitCallStop(tree.hostPids[index])
            try Trace.resumeToCall(tree.hostPids[index])
        }
        try eachOf(owners) { index throws(SystemError) in
            let host = tree.hostPids[index]
            try awaitCallStop(host)
            let after = try Trace.registers(.general, of: host, atMost: X86GeneralRegisters.registerSetSize)
            let result = Int64(bitPattern: after.littleEndian64(at: 80))
            if result != 0 { throw SystemError(Int32(clamping: -result), in: "munmap of the launchpad") }
            // To a stop from which the kernel looks at restart codes.
            try Trace.interrupt(host)
            try Trace.resume(host)
        }
        try eachOf(owners) { index throws(SystemError) in try awaitStop(tree.hostPids[index]) }
    }

    private func load(_ index: Int) throws(SystemError) {
        let task = plan.tasks[index]
        guard let number = task.thread, let layout = plan.valid.facts.xsaveLayout else { return }
        let host = tree.hostPids[index]
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
            throw SystemError(22, in: "\(error)")
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
        try Trace.setSignalMask(of: host, to: image.threads[number].signalMask)
    }
}
