/// Reads and writes numbers in little-endian bytes.
extension [UInt8] {
    mutating func append(_ value: UInt32) {
        append(UInt8(truncatingIfNeeded: value))
        append(UInt8(truncatingIfNeeded: value >> 8))
        append(UInt8(truncatingIfNeeded: value >> 16))
        append(UInt8(truncatingIfNeeded: value >> 24))
    }

    mutating func append(_ value: UInt64) {
        append(UInt32(truncatingIfNeeded: value))
        append(UInt32(truncatingIfNeeded: value >> 32))
    }

    /// - Precondition: four bytes from `at` on are there.
    func uint32(at: Int) -> UInt32 {
        UInt32(self[at]) | UInt32(self[at + 1]) << 8 | UInt32(self[at + 2]) << 16 | UInt32(self[at + 3]) << 24
    }

    /// - Precondition: eight bytes from `at` on are there.
    func uint64(at: Int) -> UInt64 { UInt64(uint32(at: at)) | UInt64(uint32(at: at + 4)) << 32 }
}
