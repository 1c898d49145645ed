internal import ArchState
internal import Kernel

// 32-bit programs of a 64-bit kernel: what is different in looking at them.

extension X86GeneralRegisters {
    /// What of the segments cannot be brought back: the stub lends a thread another code segment, and the
    /// `syscall` instruction leaves it the usual stack segment.
    var obstacle: String? {
        for case .ldt in [cs, ss, ds, es, fs, gs] { return "uses a segment of its own (modify_ldt), which cannot be saved yet" }
        if ss != .userData && ss != .null { return "has another stack segment than usual, which cannot be saved yet" }
        return nil
    }

    /// Whether the call that a stopped thread is in was made by the conventions of i386.
    ///
    /// 32-bit code has no others. 64-bit code may use `int $0x80`, too: the instruction before the
    /// instruction pointer tells.
    func callIs32Bit(_ tid: Int32) -> Bool {
        guard interruptedCall != .none else { return false }
        return is32Bit || Self.isCompatInstruction(tid, at: rip &- 2)
    }

    /// The same for a thread that is about to make its call again.
    func nextCallIs32Bit(_ tid: Int32) -> Bool { is32Bit || Self.isCompatInstruction(tid, at: rip) }

    /// `int $0x80`
    private static func isCompatInstruction(_ tid: Int32, at address: UInt64) -> Bool {
        (try? RemoteMemory.read(tid, at: address, count: 2)) == [0xcd, 0x80]
    }
}
