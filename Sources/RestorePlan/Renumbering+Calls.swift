import ArchState
import CheckpointImage

extension Renumbering {
    /// Translates the number that a thread waits for, if it was interrupted in `wait4`, `waitpid` or `waitid`: the kernel
    /// makes the call again from its arguments. The register still has the new number when the call has returned.
    func translateCall(_ thread: inout ImageThread) {
        guard let place = thread.cpu.firstIndex(where: { $0.feature == UInt32(CPUFeature.x86General.rawValue) }),
            var state = try? CPUState(records: thread.cpu.map { CPURecord(feature: $0.feature, body: $0.body.asBytes) })
        else { return }
        var general = state.general
        switch general.interruptedCall {
        case .restartSys, .restartNoIntr, .restartNoHand: break
        case .none, .eintr, .restartBlock: return
        }
        guard let call = general.systemCall(is32Bit: thread.callIs32Bit ? true : nil) else { return }
        switch call.name {
        case "wait4", "waitpid":
            let awaited = Int32(truncatingIfNeeded: Int64(bitPattern: call.arguments[0]))
            // Negative: a process group; -1 and 0: no number; the lowest: not the negative of any.
            guard awaited > 0 || awaited < -1 && awaited > .min else { return }
            let translated = awaited > 0 ? new(awaited) : -new(-awaited)
            general.setCallArgument(0, to: translated, call)
        case "waitid":
            // P_PID 1, P_PGID 2; P_PIDFD names a descriptor.
            guard (1...2).contains(call.arguments[0] & 0xffff_ffff) else { return }
            general.setCallArgument(1, to: new(Int32(truncatingIfNeeded: Int64(bitPattern: call.arguments[1]))), call)
        default: return
        }
        state.general = general
        guard let record = state.records.first(where: { $0.feature == thread.cpu[place].feature }) else { return }
        thread.cpu[place].body = record.body.asData
    }
}

extension X86GeneralRegisters {
    /// A signed 32-bit argument, extended as a C caller would.
    fileprivate mutating func setCallArgument(_ index: Int, to value: Int32, _ call: X86Call) {
        let word = call.is32Bit ? UInt64(UInt32(bitPattern: value)) : UInt64(bitPattern: Int64(value))
        switch (call.is32Bit, index) {
        case (false, 0): rdi = word
        case (false, _): rsi = word
        case (true, 0): rbx = word
        case (true, _): rcx = word
        }
    }
}
