/// Room for the shortened timeouts of interrupted calls, in the unused bytes between the vdso's code and the stub.
///
/// A call that takes its timeout by address cannot be shortened in the caller's structure, which may be
/// constant or used again. These bytes belong to no data of the program, exist in every task, outlive its threads, and
/// can be read but not written by the task; the kernel reads the timeout as soon as the thread runs. Each thread of
/// a process that needs one has a slot of its own.
package struct TimeSlots: Equatable, Sendable {
    package static let size: UInt64 = 16

    package var start: UInt64
    package var end: UInt64

    package var count: Int { Int((end - start) / Self.size) }

    /// - Parameters:
    ///   - vdsoEnd: where the vdso of the task ends.
    ///   - code: its code as this kernel made it.
    ///   - stubSize: bytes of the stub, which lies at the end.
    package init(vdsoEnd: UInt64, code: [UInt8], stubSize: Int = CheckpointStub.code().count) {
        let slack = code.reversed().prefix { $0 == 0 }.count
        end = (vdsoEnd - UInt64(stubSize)) & ~(Self.size - 1)
        start = min(end, (vdsoEnd - UInt64(slack) + Self.size - 1) & ~(Self.size - 1))
    }

    package func contains(_ address: UInt64) -> Bool {
        address >= start && address < end && address % Self.size == start % Self.size
    }

    /// The first slot that is in none of the registers.
    package func free(besides used: Set<UInt64>) -> UInt64? {
        stride(from: start, to: end, by: Int(Self.size)).first { !used.contains($0) }
    }
}
