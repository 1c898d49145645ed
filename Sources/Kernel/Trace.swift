internal import CKernel
internal import Glibc
internal import LinuxABI

/// ptrace requests on one task (a thread). All must come from the thread that seized it.
///
/// If the task dies meanwhile every request throws `ESRCH`; there is nothing to undo.
///
/// - Source: ptrace(2).
package enum Trace {
    /// PTRACE_O_* bits.
    package enum Option {
        package static let systemCallStops = PtraceOption.PTRACE_O_TRACESYSGOOD  // stops show signal SIGTRAP | 0x80
        package static let fork = PtraceOption.PTRACE_O_TRACEFORK
        package static let vfork = PtraceOption.PTRACE_O_TRACEVFORK
        package static let clone = PtraceOption.PTRACE_O_TRACECLONE
        package static let exitKill = PtraceOption.PTRACE_O_EXITKILL
    }

    /// Register sets by ELF note type.
    package enum RegisterNote: UInt64, Sendable {
        case general = 1  // NT_PRSTATUS
        #if arch(arm64)
            case vector = 2  // NT_PRFPREG
            case threadPointer = 0x401  // NT_ARM_TLS
            case breakpoints = 0x402  // NT_ARM_HW_BREAK
            case watchpoints = 0x403  // NT_ARM_HW_WATCH
            case systemCall = 0x404  // NT_ARM_SYSTEM_CALL
            case sve = 0x405  // NT_ARM_SVE
        #else
            case extended = 0x202  // NT_X86_XSTATE
        #endif
    }

    @inline(never)
    static func request(
        _ request: UInt64, _ task: Int32, _ address: UInt64, _ data: UInt64, _ name: StaticString, _ point: FaultPoint
    ) throws(SystemError) {
        try point.pass("ptrace(\(name))")
        let result = ckernel_ptrace(Int(request), Int(task), UInt(address), UInt(data))
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(\(name))") }
    }

    /// Attaches without stopping.
    package static func seize(_ task: Int32, options: UInt64) throws(SystemError) {
        try request(Ptrace.PTRACE_SEIZE, task, 0, options, "PTRACE_SEIZE", .seize)
    }

    /// Asks for a stop; it is reported as `TraceEvent.stop`. Harmless if the tracer dies before it.
    package static func interrupt(_ task: Int32) throws(SystemError) {
        try request(Ptrace.PTRACE_INTERRUPT, task, 0, 0, "PTRACE_INTERRUPT", .interrupt)
    }

    package static func resume(_ task: Int32, signal: Int32 = 0) throws(SystemError) {
        try request(Ptrace.PTRACE_CONT, task, 0, UInt64(signal), "PTRACE_CONT", .resume)
    }

    /// Resumes to the next entry to or exit from a system call.
    package static func resumeToCall(_ task: Int32, signal: Int32 = 0) throws(SystemError) {
        try request(Ptrace.PTRACE_SYSCALL, task, 0, UInt64(signal), "PTRACE_SYSCALL", .resumeToCall)
    }

    package static func detach(_ task: Int32, signal: Int32 = 0) throws(SystemError) {
        try request(Ptrace.PTRACE_DETACH, task, 0, UInt64(signal), "PTRACE_DETACH", .detach)
    }

    package static func setOptions(_ task: Int32, _ options: UInt64) throws(SystemError) {
        try request(Ptrace.PTRACE_SETOPTIONS, task, 0, options, "PTRACE_SETOPTIONS", .setTraceOptions)
    }

    /// The pid of the new task at a fork, vfork or clone event.
    @inline(never)
    package static func eventMessage(_ task: Int32) throws(SystemError) -> UInt64 {
        var message: UInt = 0
        let failure: SystemError? = unsafe withUnsafeMutablePointer(to: &message) { pointer in
            do throws(SystemError) {
                try request(
                    Ptrace.PTRACE_GETEVENTMSG, task, 0, UInt64(UInt(bitPattern: pointer)), "PTRACE_GETEVENTMSG",
                    .eventMessage)
                return nil
            } catch { return error }
        }
        if let failure { throw failure }
        return UInt64(message)
    }

    /// Reads one register set of a stopped task, as the kernel lays it out.
    ///
    /// The general registers of x86 come in the 64-bit layout, whatever code the task is in: `PTRACE_GETREGS`
    /// goes by the tracer's kind, `PTRACE_GETREGSET` by the task's.
    @inline(never)
    package static func registers(_ note: RegisterNote, of task: Int32, atMost size: Int) throws(SystemError)
        -> [UInt8]
    {
        #if arch(x86_64)
            if note == .general { return try generalRegisters(of: task) }
        #endif
        try FaultPoint.getRegisters.pass("ptrace(PTRACE_GETREGSET)")
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
            var vector = unsafe iovec(iov_base: UnsafeMutableRawPointer(buffer.baseAddress), iov_len: size)
            result = unsafe withUnsafeMutablePointer(to: &vector) { pointer in
                ckernel_ptrace(
                    Int(Ptrace.PTRACE_GETREGSET), Int(task), UInt(note.rawValue), UInt(bitPattern: pointer))
            }
            filled = unsafe result < 0 ? 0 : vector.iov_len
        }
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_GETREGSET)") }
        return bytes
    }

    @inline(never)
    package static func setRegisters(_ note: RegisterNote, of task: Int32, to bytes: [UInt8]) throws(SystemError) {
        #if arch(x86_64)
            if note == .general { return try setGeneralRegisters(of: task, to: bytes) }
        #endif
        try FaultPoint.setRegisters.pass("ptrace(PTRACE_SETREGSET)")
        let result = unsafe bytes.withUnsafeBytes { buffer in
            var vector = unsafe iovec(
                iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress), iov_len: buffer.count)
            return unsafe withUnsafeMutablePointer(to: &vector) { pointer in
                ckernel_ptrace(
                    Int(Ptrace.PTRACE_SETREGSET), Int(task), UInt(note.rawValue), UInt(bitPattern: pointer))
            }
        }
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_SETREGSET)") }
    }

    @inline(never)
    package static func signalMask(of task: Int32) throws(SystemError) -> UInt64 {
        try FaultPoint.getSignalMask.pass("ptrace(PTRACE_GETSIGMASK)")
        var mask: UInt64 = 0
        let result = unsafe withUnsafeMutablePointer(to: &mask) { pointer in
            ckernel_ptrace(Int(Ptrace.PTRACE_GETSIGMASK), Int(task), 8, UInt(bitPattern: pointer))
        }
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_GETSIGMASK)") }
        return mask
    }

    @inline(never)
    package static func setSignalMask(of task: Int32, to mask: UInt64) throws(SystemError) {
        try FaultPoint.setSignalMask.pass("ptrace(PTRACE_SETSIGMASK)")
        var mask = mask
        let result = unsafe withUnsafeMutablePointer(to: &mask) { pointer in
            ckernel_ptrace(Int(Ptrace.PTRACE_SETSIGMASK), Int(task), 8, UInt(bitPattern: pointer))
        }
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_SETSIGMASK)") }
    }

    /// The queue of pending signals, oldest first, 128 bytes of siginfo each; nothing is taken out.
    ///
    /// For each entry the kernel counts from the beginning of the queue: 4,000 take 40 ms, ten times as many 10 s.
    ///
    /// - Parameter most: nil is given for a queue that is longer.
    @inline(never)
    package static func pendingSignals(of task: Int32, shared: Bool, atMost most: Int) throws(SystemError) -> [[UInt8]]? {
        try FaultPoint.peekSignals.pass("ptrace(PTRACE_PEEKSIGINFO)")
        let (size, batch) = (128, 64)
        var all: [[UInt8]] = []
        while true {
            var result = 0
            let entries = unsafe [UInt8](unsafeUninitializedCapacity: batch * size) { buffer, filled in
                result = unsafe ckernel_peek_siginfo(Int(task), UInt64(all.count), shared ? 1 : 0, Int32(batch), buffer.baseAddress)
                filled = max(0, min(result, batch)) * size
            }
            if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_PEEKSIGINFO)") }
            for start in stride(from: 0, to: entries.count, by: size) { all.append(Array(entries[start..<start + size])) }
            if all.count > most { return nil }
            if result < batch { return all }
        }
    }

    /// Where the task registered its rseq area; address 0: nowhere. Nil: the kernel cannot tell.
    package static func restartableSequence(of task: Int32) throws(SystemError) -> (
        address: UInt64, size: UInt32, signature: UInt32
    )? {
        let found = try configuration(
            Ptrace.PTRACE_GET_RSEQ_CONFIGURATION, of: task, ckernel_rseq_configuration(), "PTRACE_GET_RSEQ_CONFIGURATION")
        return found.map { ($0.address, $0.size, $0.signature) }
    }

    /// A structure that a request fills in, given its size. Nil: this kernel does not know the request.
    @inline(never)
    static func configuration<Value: BitwiseCopyable>(
        _ request: UInt64, of task: Int32, _ empty: Value, _ name: StaticString
    ) throws(SystemError) -> Value? {
        try FaultPoint.traceConfiguration.pass("ptrace(\(name))")
        var value = empty
        let result = unsafe withUnsafeMutablePointer(to: &value) { pointer in
            ckernel_ptrace(Int(request), Int(task), UInt(MemoryLayout<Value>.size), UInt(bitPattern: pointer))
        }
        if result == -Int(EIO) { return nil }
        if result < 0 { throw SystemError(Int32(-result), in: "ptrace(\(name))") }
        return value
    }
}
