internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import LinuxABI
internal import RestorePlan
internal import StepProgram

/// Filters of system calls come when no thread has a call of ours left to make.
extension Finaliser {
    /// Has every thread that had filters install them, the oldest first, through the system-call instruction of its vdso.
    ///
    /// - Preconditions: the launchpad is gone, all threads are stopped with their signals blocked.
    func confineAll() throws(RestoreError) {
        for (index, task) in plan.tasks.enumerated() where !task.isDead {
            guard let number = task.thread, let confinement = plan.confinement(ofThread: number) else { continue }
            try naming(task) { () throws(SystemError) in try confine(index, confinement) }
        }
    }

    private func confine(_ index: Int, _ confinement: CallConfinementPlan) throws(SystemError) {
        let host = hostPids[index]
        let saved = confinement.size == 0 ? [] : try RemoteMemory.read(host, at: confinement.room, count: confinement.size)
        for call in confinement.calls {
            if !call.data.isEmpty { try RemoteMemory.write(host, at: confinement.room, call.data) }
            let result = try make(call.number, call.arguments, index)
            if result != 0 { throw SystemError(Int32(clamping: -result), in: call.note) }
        }
        if !saved.isEmpty { try RemoteMemory.write(host, at: confinement.room, saved) }
        try comeToStop(host)
    }

    /// From the exit of a call to a stop from which the kernel looks at restart codes.
    func comeToStop(_ host: Int32) throws(SystemError) {
        try Trace.interrupt(host)
        try Trace.resume(host)
        try stops.awaitStop(host)
    }

    /// Has a stopped thread make a call, through the system-call instruction of its vdso. It stands at the exit of the call afterwards.
    ///
    /// - Parameter number: of a 32-bit task, in its own table.
    func make(_ number: UInt64, _ arguments: [UInt64], _ index: Int) throws(SystemError) -> Int64 {
        let (task, host) = (plan.tasks[index], hostPids[index])
        let is32Bit = space(of: task.pid)?.is32Bit == true
        let registers = try pointed(
            at: task, host, call: number, arguments, compatInstruction: is32Bit ? callInstruction(task.pid) : nil)
        try Trace.setRegisters(.general, of: host, to: registers)
        for _ in ["entry", "exit"] {
            try Trace.resumeToCall(host)
            try stops.awaitCallStop(host)
        }
        return try result(of: host)
    }

    /// Has the kernel hand calls of a thread back to it as signals again.
    func dispatchCalls(of thread: ImageThread, _ host: Int32) throws(SystemError) {
        let dispatch = thread.callDispatch
        guard dispatch.mode != 0 else { return }
        try Trace.setCallDispatch(
            of: host,
            to: CallDispatchState(mode: UInt64(dispatch.mode), selector: dispatch.selector, offset: dispatch.offset, length: dispatch.length))
    }
}
