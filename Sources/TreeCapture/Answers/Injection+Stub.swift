internal import ArchState
internal import Kernel

extension Injection {
    /// The stub with all it needs to find home alone.
    func stub() -> [UInt8] {
        let place = job.place
        var stub = CheckpointStub.code()
        stub.put(mask, at: CheckpointStub.maskOffset)
        stub.put(place.memory, at: CheckpointStub.memoryOffset)
        stub.put(place.size, at: CheckpointStub.sizeOffset)
        stub.put(1, at: CheckpointStub.waitOffset)
        let home = job.registers.registersLeadingHome(callIs32Bit: job.callIs32Bit)
        // Home to 32-bit code is a far jump: it takes the code segment along, and needs no stack.
        let target = job.registers.is32Bit ? place.stubAddress + CheckpointStub.farOffset : home.rip
        stub.put(home.rip & 0xffff_ffff | job.registers.cs.selector << 32, at: CheckpointStub.awayOffset)
        let saved: [UInt64] = [
            home.rax, home.rbx, home.rcx, home.rdx, home.rsi, home.rdi, home.rbp, home.r8, home.r9, home.r10,
            home.r11, home.r12, home.r13, home.r14, home.r15, home.rsp, target, home.flags,
        ]
        for (index, value) in saved.enumerated() { stub.put(value, at: CheckpointStub.registersOffset + index * 8) }
        return stub
    }

    /// Registers that lead into the stub, at an offset.
    func away(_ offset: UInt64) -> [UInt8] {
        var away = job.registers
        away.rip = job.place.stubAddress + offset
        away.originalRAX = UInt64.max
        away.cs = .userCode64
        return away.registerSet
    }
}

extension [UInt8] {
    /// Writes a little-endian word over eight bytes.
    mutating func put(_ value: UInt64, at index: Int) {
        for offset in 0..<8 { self[index + offset] = UInt8(truncatingIfNeeded: value >> UInt64(offset * 8)) }
    }
}
