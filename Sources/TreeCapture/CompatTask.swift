internal import ArchState
internal import CheckpointImage
internal import Kernel

// 32-bit programs of a 64-bit kernel: what is different in looking at them.

extension Collector {
    /// Whether a vdso is that of 32-bit programs. One that is neither that nor ours is a finding.
    func checkVdso(_ map: MemoryMap, of pid: Int32) -> Bool {
        let place = "mapping \(hexadecimal(map.start)) [vdso]"
        let header = (try? RemoteMemory.read(pid, at: map.start, count: 20)) ?? []
        switch Vdso.kind(ofHeader: header) {
        case .compat:
            guard let compat = compatVdso else {
                find(pid, place, "is that of a 32-bit program, and this kernel does not tell what it is like", help: "CONFIG_CHECKPOINT_RESTORE is needed")
                return true
            }
            if map.length != compat.code.count { find(pid, place, "is another vdso than this kernel gives to 32-bit programs") }
            return true
        case .native, .other:
            if let own = ownVdso, map.length != own.codeEnd - own.codeStart || Vdso.kind(ofHeader: header) == .other {
                find(pid, place, "is another vdso than ours (an x32 program?), which cannot be saved yet")
            }
            return false
        }
    }

    /// What of the segments cannot be brought back: the stub lends a thread another code segment, and the
    /// `syscall` instruction leaves it the usual stack segment.
    func obstacle(in registers: X86GeneralRegisters) -> String? {
        let all = [registers.cs, registers.ss, registers.ds, registers.es, registers.fs, registers.gs]
        for case .ldt in all { return "uses a segment of its own (modify_ldt), which cannot be saved yet" }
        if registers.ss != .userData && registers.ss != .null {
            return "has another stack segment than usual, which cannot be saved yet"
        }
        return nil
    }

    /// Whether the kernel will write what is left of a sleep in 32-bit words if a signal ends it.
    ///
    /// - Preconditions: the thread is stopped with a restart block.
    func leavesTimeOf32Bits(_ tid: Int32, _ registers: X86GeneralRegisters) -> Bool {
        guard let call = registers.systemCall(is32Bit: registers.callIs32Bit(tid)), call.is32Bit else { return false }
        // restart_syscall: the number is lost, the kernel's own block tells.
        if call.isRestart, case .nanosleep(_, _, let isCompat, _)? = calls?.restartBlock(of: tid) { return isCompat }
        if call.isRestart, case .cpuNanosleep(_, _, let isCompat, _)? = calls?.restartBlock(of: tid) { return isCompat }
        return call.native.map { [SystemCallNumbers.nanosleep, SystemCallNumbers.clock_nanosleep].contains($0) } == true
            && !call.hasWideTimes
    }
}

extension X86GeneralRegisters {
    /// Whether the call that a stopped thread is in was made by the conventions of i386.
    ///
    /// 32-bit code has no others. 64-bit code may use `int $0x80`, too: the instruction before the
    /// instruction pointer tells.
    func callIs32Bit(_ tid: Int32) -> Bool {
        guard interruptedCall != .none else { return false }
        return is32Bit || isCompatInstruction(tid, at: rip &- 2)
    }

    /// The same for a thread that is about to make its call again.
    func nextCallIs32Bit(_ tid: Int32) -> Bool { is32Bit || isCompatInstruction(tid, at: rip) }

    private func isCompatInstruction(_ tid: Int32, at address: UInt64) -> Bool {
        (try? RemoteMemory.read(tid, at: address, count: 2)) == [0xcd, 0x80]
    }
}
