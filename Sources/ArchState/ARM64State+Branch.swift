extension ARM64State {
    /// The instruction `b target` at an address; nil where the target is too far for it.
    ///
    /// The checkpoint stub ends in this instruction, because no other jump leaves all registers unchanged.
    /// Source: Arm ARM, C6.2, B: imm26 counts instructions, 128 MiB either way.
    package static func branch(from address: UInt64, to target: UInt64) -> UInt32? {
        let distance = Int64(bitPattern: target &- address)
        guard distance % 4 == 0, distance >= -(1 << 27), distance < 1 << 27 else { return nil }
        return 0x1400_0000 | UInt32(truncatingIfNeeded: distance >> 2) & 0x03ff_ffff
    }
}
