internal import ArchState
internal import Kernel
internal import StepProgram

/// Runs a program of steps inside an original task and brings the task back exactly as it was.
///
/// The stub lies in the slack behind the vdso's code, with the task's registers beside it, before the
/// one register change that starts it. From then on the stub finds home by itself, whatever happens to
/// this process: it blocks signals, maps its working memory, runs the steps, waits a bounded time,
/// unmaps, restores mask and registers, and jumps to where the kernel would have gone on. While this
/// process lives it stops the stub in its wait and puts mask and registers back itself, so that even a
/// restart block survives.
struct Injection {
    /// Bytes of working memory, and where in it a program's data lie.
    static let memorySize: UInt64 = 64 << 10
    static let dataOffset: UInt64 = 48 << 10

    let process: Int32
    /// Where the vdso ends; the stub lies right below.
    let vdsoEnd: UInt64
    /// A free place in the task's address space.
    let memory: UInt64
    /// A 32-bit program: the stub, 64-bit code, is entered and left by a change of the code segment.
    let is32Bit: Bool

    var stubAddress: UInt64 { (vdsoEnd - UInt64(CheckpointStub.code().count)) & ~15 }
    var dataAddress: UInt64 { memory + Self.dataOffset }

    /// What came back.
    struct Answer {
        let steps: [UInt8]
        let data: [UInt8]
        /// When they were seen to be there, on our monotonic clock.
        let instant: Int64

        func result(of step: Int) -> Int64 {
            Int64(bitPattern: steps.littleEndian64(at: step * EncodedStep.size + Int(EncodedStep.resultOffset)))
        }
    }

    /// Runs `program` in the stopped thread `tid`.
    ///
    /// - Parameters:
    ///   - registers: the thread's own, as they shall be afterwards.
    ///   - callIs32Bit: the call that it is in was made by `int $0x80` or its like.
    ///   - data: bytes that `dataAddress` shall hold before.
    /// - Postcondition: the thread is stopped with the same registers and mask as before.
    /// - Returns: nil where a signal was on its way: it has been delivered in the thread's own context,
    ///   whose registers are others now. The caller reads them and asks again.
    /// - If the task dies meanwhile: throws `ESRCH`.
    func run(
        _ program: Program, in tid: Int32, registers: X86GeneralRegisters, callIs32Bit: Bool, raw: [UInt8],
        dataSize: Int
    ) throws(SystemError) -> Answer? {
        let mask = try Trace.signalMask(of: tid)
        var stub = CheckpointStub.code()
        stub.put(mask, at: CheckpointStub.maskOffset)
        stub.put(memory, at: CheckpointStub.memoryOffset)
        stub.put(Self.memorySize, at: CheckpointStub.sizeOffset)
        stub.put(1, at: CheckpointStub.waitOffset)
        let home = registers.registersLeadingHome(callIs32Bit: callIs32Bit)
        // Home to 32-bit code is a far jump: it takes the code segment along, and needs no stack.
        let target = registers.is32Bit ? stubAddress + CheckpointStub.farOffset : home.rip
        stub.put(home.rip & 0xffff_ffff | registers.cs.selector << 32, at: CheckpointStub.awayOffset)
        let saved: [UInt64] = [
            home.rax, home.rbx, home.rcx, home.rdx, home.rsi, home.rdi, home.rbp, home.r8, home.r9, home.r10,
            home.r11, home.r12, home.r13, home.r14, home.r15, home.rsp, target, home.flags,
        ]
        for (index, value) in saved.enumerated() {
            stub.put(value, at: CheckpointStub.registersOffset + index * 8)
        }
        try RemoteMemory.force(tid, at: stubAddress, stub)

        var away = registers
        away.rip = stubAddress + CheckpointStub.entryOffset
        away.originalRAX = UInt64.max
        away.cs = .userCode64
        try Trace.setRegisters(.general, of: tid, to: away.registerSet)

        // Entry to and exit from rt_sigprocmask and mmap.
        for _ in 0..<4 {
            if let signal = try nextCallStop(tid) {
                try Trace.setRegisters(.general, of: tid, to: raw)
                try Trace.interrupt(tid)
                try Trace.resume(tid, signal: signal)
                try awaitStop(tid)
                return nil
            }
        }
        let afterMap = try Trace.registers(.general, of: tid, atMost: raw.count)
        guard rax(in: afterMap) == memory else {
            let failure = Int64(bitPattern: rax(in: afterMap))
            // The stub is on its way home without memory; put everything back from here.
            try putBack(tid, mask: mask, raw: raw)
            throw SystemError(Int32(clamping: -failure), in: "mmap of working memory")
        }
        var complete = Program(title: program.title)
        complete.call(.madvise, [.value(memory), .value(Self.memorySize), 10], check: .none, "MADV_DONTFORK")
        complete.steps += program.steps
        complete.end()
        try RemoteMemory.write(
            tid, at: memory + CheckpointStub.programOffset,
            EncodedStep.encode(complete, at: memory + CheckpointStub.programOffset))
        try Trace.resume(tid)
        var looks = 0
        while RemoteMemory.word(tid, at: memory) != 1 {
            looks += 1
            if looks > 50 {
                if let found = try Waiting.wait(tid, block: false) {
                    if found.status.isDead { throw SystemError(3, in: "wait4") }
                    // A stop signal from outside: the steps go on, the group's stop takes effect afterwards.
                    try Trace.resume(tid)
                }
                Waiting.pause(atMost: 20_000)
            }
        }
        let instant = SystemClock.monotonic.now()
        try stop(tid)
        let steps = try RemoteMemory.read(
            tid, at: memory + CheckpointStub.programOffset + UInt64(EncodedStep.size),
            count: program.steps.count * EncodedStep.size)
        let data = dataSize == 0 ? [] : try RemoteMemory.read(tid, at: dataAddress, count: dataSize)

        // Home: unmap, then stop before the stub goes further.
        away.rip = stubAddress + CheckpointStub.homeOffset
        try Trace.setRegisters(.general, of: tid, to: away.registerSet)
        for _ in 0..<2 { _ = try nextCallStop(tid) }
        try putBack(tid, mask: mask, raw: raw)
        return Answer(steps: steps, data: data, instant: instant)
    }

    /// `rax` of an NT_PRSTATUS register set: the eleventh word.
    private func rax(in registerSet: [UInt8]) -> UInt64 { registerSet.littleEndian64(at: 80) }

    /// From a system-call exit stop to a stop in which registers are the kernel's to restart from:
    /// mask first, registers second.
    private func putBack(_ tid: Int32, mask: UInt64, raw: [UInt8]) throws(SystemError) {
        try Trace.interrupt(tid)
        try Trace.resume(tid)
        try awaitStop(tid)
        try Trace.setSignalMask(of: tid, to: mask)
        try Trace.setRegisters(.general, of: tid, to: raw)
    }

    private func stop(_ tid: Int32) throws(SystemError) {
        try Trace.interrupt(tid)
        try awaitStop(tid)
    }

    private func awaitStop(_ tid: Int32) throws(SystemError) {
        while true {
            guard let found = try Waiting.wait(tid, block: true) else { continue }
            switch found.status {
            case .stopped(_, TraceEvent.stop): return
            case .stopped(let signal, _):
                try Trace.interrupt(tid)
                try Trace.resume(tid, signal: signal & 0x80 == 0 ? signal : 0)
            case .exited, .killed: throw SystemError(3, in: "wait4")
            case .continued: break
            }
        }
    }

    /// Runs to the next entry or exit. Returns a signal if one is about to be delivered instead.
    private func nextCallStop(_ tid: Int32) throws(SystemError) -> Int32? {
        try Trace.resumeToCall(tid)
        while true {
            guard let found = try Waiting.wait(tid, block: true) else { continue }
            switch found.status {
            case .stopped(0x85, 0): return nil  // SIGTRAP | 0x80
            case .stopped(let signal, 0): return signal
            case .stopped: try Trace.resumeToCall(tid)
            case .exited, .killed: throw SystemError(3, in: "wait4")
            case .continued: break
            }
        }
    }
}

extension [UInt8] {
    /// Writes a little-endian word over eight bytes.
    mutating func put(_ value: UInt64, at index: Int) {
        for offset in 0..<8 { self[index + offset] = UInt8(truncatingIfNeeded: value >> UInt64(offset * 8)) }
    }
}
