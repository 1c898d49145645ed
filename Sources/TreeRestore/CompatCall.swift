internal import ArchState
internal import CheckpointImage
internal import Kernel
internal import RestorePlan
internal import StepProgram

// 32-bit programs of a 64-bit kernel: calls that the kernel has to take for theirs.

extension ArmedCall {
    /// munmap(2) of the i386 table.
    static let compatUnmap: UInt64 = 91
}

extension X86GeneralRegisters {
    /// Arguments where `int $0x80` takes them. 64-bit code may use it; addresses are below 4 GiB.
    mutating func point(atCompatCall instruction: UInt64, _ arguments: [UInt64]) {
        rip = instruction
        (rbx, rcx, rdx) = (arguments[0], arguments[1], arguments[2])
        (rsi, rdi, rbp) = (arguments[3], arguments[4], arguments[5])
    }
}

extension Finaliser {
    /// Where an `int $0x80` stands in the step loop at `base`.
    static func compatInstruction(in memory: borrowing SharedMemory, at base: UInt64) -> UInt64 {
        let code = memory.read(at: base, count: Int(Launchpad.pageSize))
        let offset = (0..<code.count - 1).first { code[$0] == 0xcd && code[$0 + 1] == 0x80 } ?? 0
        return base + UInt64(offset)
    }
}
