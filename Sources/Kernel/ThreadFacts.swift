/// Values of a thread that only system calls of its own would tell, read from the kernel's memory by BPF instead.
///
/// - Source: include/linux/sched.h, `struct task_struct`; include/linux/cred.h.
package struct ThreadFacts: Equatable, Sendable {
    /// sigaltstack(2); size 0: none.
    package var stackAddress: UInt64
    package var stackSize: UInt64
    /// `SS_AUTODISARM`.
    package var stackFlags: UInt32
    /// PR_GET_TID_ADDRESS
    package var clearChildTid: UInt64
    /// PR_GET_PDEATHSIG
    package var parentDeathSignal: UInt32
    /// PR_GET_TIMERSLACK
    package var timerSlack: UInt64
    /// PR_GET_SECUREBITS
    package var secureBits: UInt32
    /// Bits that differ where one of two threads has an attribute of PR_SET_TSC, ARCH_SET_CPUID or PR_SET_SPECULATION_CTRL
    /// and the other one has not. What each of them means depends on the kernel.
    package var traits: UInt64
}

/// Where the running kernel keeps ``ThreadFacts``. Offsets in bytes.
struct ThreadFactsLayout: Equatable, Sendable {
    // In struct task_struct.
    var task: Int
    var tracing: Int
    var stackAddress: Int
    var stackSize: Int
    var stackFlags: Int
    var clearChildTid: Int
    var parentDeathSignal: Int
    var timerSlack: Int
    var credentials: Int
    var threadFlags: Int
    var atomicFlags: Int
    // In struct cred.
    var secureBits: Int

    init(_ kernel: KernelLayout) throws(SystemError) {
        let taskStruct = "task_struct"
        task = try kernel.offset(taskStruct, "pid")
        tracing = try kernel.offset(taskStruct, "ptrace")
        stackAddress = try kernel.offset(taskStruct, "sas_ss_sp")
        stackSize = try kernel.offset(taskStruct, "sas_ss_size")
        stackFlags = try kernel.offset(taskStruct, "sas_ss_flags")
        clearChildTid = try kernel.offset(taskStruct, "clear_child_tid")
        parentDeathSignal = try kernel.offset(taskStruct, "pdeath_signal")
        timerSlack = try kernel.offset(taskStruct, "timer_slack_ns")
        credentials = try kernel.offset(taskStruct, "cred")
        secureBits = try kernel.offset("cred", "securebits")
        threadFlags = try kernel.offset(taskStruct, "thread_info.flags")
        atomicFlags = try kernel.offset(taskStruct, "atomic_flags")
        guard task < 1 << 15, tracing < 1 << 15 else { throw malformed("BTF: task_struct") }
    }
}

/// The BPF program that reads ``ThreadFacts``.
///
/// ```
/// r6 = context, r7 = task (end if null or not traced), r8 = sequence file, r9 = its credentials
/// record = ten words: tid, stack address, size, flags, clear_child_tid, death signal, slack, secure bits, flags of
/// thread_info, atomic flags
/// ```
struct ThreadFactsProgram {
    static let recordSize = 80
    let code: BPFCode

    init(_ layout: ThreadFactsLayout) {
        let record = -Self.recordSize
        let credentials = record - 8
        var program = BPFAssembler()
        var end = BPFAssembler.Label()
        program.beginTask(layout.tracing, end: &end)
        for offset in stride(from: credentials, to: 0, by: 8) { program.emit(.storeImmediate8, 10, offset: offset) }
        program.emit(.load4, 1, source: 7, offset: layout.task)
        program.emit(.store8, 10, source: 1, offset: record)
        let words: [(place: Int, size: Int)] = [
            (layout.stackAddress, 8), (layout.stackSize, 8), (layout.stackFlags, 4), (layout.clearChildTid, 8),
            (layout.parentDeathSignal, 4), (layout.timerSlack, 8),
        ]
        for (index, word) in words.enumerated() {
            program.read(word.size, to: record + 8 * (index + 1), from: 7, offset: word.place)
        }
        program.read(8, to: credentials, from: 7, offset: layout.credentials)
        program.emit(.load8, 9, source: 10, offset: credentials)
        program.read(4, to: record + 56, from: 9, offset: layout.secureBits)
        program.read(8, to: record + 64, from: 7, offset: layout.threadFlags)
        program.read(8, to: record + 72, from: 7, offset: layout.atomicFlags)
        program.write(Self.recordSize, at: record)
        program.finish(end: end)
        code = program.code
    }

    /// TIF_SSBD, TIF_SPEC_IB, TIF_SPEC_L1D_FLUSH, TIF_NOCPUID, TIF_NOTSC and TIF_IO_BITMAP: bits 5, 9, 10, 15, 16 and 22 up
    /// to Linux 6.17, 16 to 18 and 20 to 22 since. The others of them are clear in a stopped thread, or the same in all.
    static let traitFlags: UInt64 = 0x77_8620

    /// Facts by tid of the initial namespace, in the order of the records.
    static func decode(_ bytes: [UInt8]) -> [(task: Int32, facts: ThreadFacts)] {
        stride(from: 0, to: bytes.count - recordSize + 1, by: recordSize).map { at in
            func word(_ index: Int) -> UInt64 { littleEndian8(bytes, at: at + index * 8) }
            return (
                Int32(truncatingIfNeeded: word(0)),
                ThreadFacts(
                    stackAddress: word(1), stackSize: word(2), stackFlags: UInt32(truncatingIfNeeded: word(3)),
                    clearChildTid: word(4), parentDeathSignal: UInt32(truncatingIfNeeded: word(5)), timerSlack: word(6),
                    secureBits: UInt32(truncatingIfNeeded: word(7)), traits: word(8) & traitFlags | word(9) << 32)
            )
        }
    }
}
