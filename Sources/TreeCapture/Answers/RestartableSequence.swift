internal import Kernel

/// Critical sections of rseq(2).
enum RestartableSequence {
    /// The abort address, if a stopped thread is inside a critical section of its rseq area: any register change
    /// on the way would let the section commit as if it had not been interrupted.
    ///
    /// - Source: rseq(2), `struct rseq_cs`.
    static func abortAddress(of tid: Int32, at rip: UInt64) throws(SystemError) -> UInt64? {
        guard let area = try Trace.restartableSequence(of: tid), area.address != 0,
            let section = RemoteMemory.word(tid, at: area.address + 8), section != 0,
            let start = RemoteMemory.word(tid, at: section + 8),
            let length = RemoteMemory.word(tid, at: section + 16),
            let abort = RemoteMemory.word(tid, at: section + 24)
        else { return nil }
        return rip >= start && rip - start < length ? abort : nil
    }
}
