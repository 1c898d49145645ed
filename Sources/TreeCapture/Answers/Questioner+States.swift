internal import ArchState
internal import Kernel
internal import LinuxABI

/// Registers and signals.
extension Questioner {
    /// As the thread shall go on: at the abort address where it is inside a restartable sequence. Nil if it cannot be
    /// saved.
    mutating func ownRegisters(of tid: HostPid) throws(SystemError) -> (X86GeneralRegisters, raw: [UInt8])? {
        if refusals[tid] != nil { return nil }
        var raw = try Trace.registers(.general, of: tid.rawValue, atMost: X86GeneralRegisters.registerSetSize)
        guard var registers = try? X86GeneralRegisters(registerSet: raw) else {
            throw SystemError(Errno.EINVAL, in: "registers that no task has")
        }
        if let reason = registers.obstacle {
            refusals[tid] = [Refusal(reason)]
            return nil
        }
        if let abort = try RestartableSequence.abortAddress(of: tid.rawValue, at: registers.rip) {
            registers.rip = abort
            raw = registers.registerSet
        }
        return (registers, raw)
    }

    /// What is read of every thread when all have answered.
    mutating func readStates() throws(CaptureError) -> Answers {
        var answers = Answers()
        let outside = OutsideAnswers(sight, calls, needed: !unasked.isEmpty)
        answers.filters = permits.filters.isEmpty ? nil : permits.filters.map { Answers.Filter(program: RawText($0.program), logs: $0.logs) }
        for (index, process) in sight.processes.enumerated() {
            for thread in process.threads {
                do throws(SystemError) {
                    guard let (registers, raw) = try ownRegisters(of: thread.tid) else {
                        var refused = ThreadAnswers(tid: thread.tid)
                        refused.refusals = refusals[thread.tid] ?? []
                        answers.threads.append(refused)
                        continue
                    }
                    let state = ThreadState(
                        sight: sight, process: process, thread: thread, place: places[process.space - 1], calls: calls)
                    var read = try state.read(registers, raw)
                    if let known = own[thread.tid] { read.own = known }
                    if let unasked = unasked[thread.tid] {
                        read.refusals += outside.fill(&read.own, of: process, thread, unasked)
                        if thread.tid == process.door.tid { processes[index].refusals += outside.fill(&processes[index], of: process, unasked) }
                    }
                    read.confine(by: permits.threads[thread.tid])
                    if read.own.attributes == nil { read.own.attributes = own[process.door.tid]?.attributes }
                    answers.threads.append(read)
                } catch { throw failure(process, thread.tid, error) }
            }
            do throws(SystemError) {
                let pending = try Trace.pendingSignals(of: process.door.tid.rawValue, shared: true, atMost: Self.mostSignals)
                if pending == nil { processes[index].refusals.append(Self.tooManySignals) }
                processes[index].pending = (pending ?? []).map { RawText($0) }
            } catch {
                throw CaptureError(cannot: "read the pending signals of", task: process.pid, process.stat.value.comm, error)
            }
        }
        answers.processes = processes
        answers.disturbed = disturbed.sorted()
        return answers
    }
}
