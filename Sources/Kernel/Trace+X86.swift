#if arch(x86_64)
    internal import CKernel
    internal import Glibc
    internal import LinuxABI

    /// Requests that only x86 has.
    extension Trace {
        /// Bytes of `struct user_regs_struct` of a 64-bit tracer.
        private static let generalSize = 27 * 8

        @inline(never)
        static func generalRegisters(of task: Int32) throws(SystemError) -> [UInt8] {
            try FaultPoint.getRegisters.pass("ptrace(PTRACE_GETREGS)")
            var result = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: generalSize) { buffer, filled in
                // Written whole or not at all.
                result = ckernel_ptrace(
                    Int(Ptrace.PTRACE_GETREGS), Int(task), 0, UInt(bitPattern: buffer.baseAddress))
                filled = result < 0 ? 0 : generalSize
            }
            if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_GETREGS)") }
            return bytes
        }

        @inline(never)
        static func setGeneralRegisters(of task: Int32, to bytes: [UInt8]) throws(SystemError) {
            guard bytes.count == generalSize else { throw SystemError(EINVAL, in: "ptrace(PTRACE_SETREGS)") }
            try FaultPoint.setRegisters.pass("ptrace(PTRACE_SETREGS)")
            let result = unsafe bytes.withUnsafeBytes { buffer in
                ckernel_ptrace(Int(Ptrace.PTRACE_SETREGS), Int(task), 0, UInt(bitPattern: buffer.baseAddress))
            }
            if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_SETREGS)") }
        }

        /// First entry of the GDT that set_thread_area(2) can set, and how many there are.
        private static let firstThreadArea: UInt = 12
        private static let threadAreaCount = 3
        private static let threadAreaSize = 16

        /// The TLS descriptors of a task: three `struct user_desc` of 16 bytes. Empty where the kernel has none
        /// (it runs no 32-bit programs).
        @inline(never)
        package static func threadAreas(of task: Int32) throws(SystemError) -> [UInt8] {
            try FaultPoint.getThreadAreas.pass("ptrace(PTRACE_GET_THREAD_AREA)")
            var all: [UInt8] = []
            for index in 0..<threadAreaCount {
                var result = 0
                all += unsafe [UInt8](unsafeUninitializedCapacity: threadAreaSize) { buffer, filled in
                    result = ckernel_ptrace(
                        Int(Ptrace.PTRACE_GET_THREAD_AREA), Int(task), firstThreadArea + UInt(index),
                        UInt(bitPattern: buffer.baseAddress))
                    filled = result < 0 ? 0 : threadAreaSize
                }
                if result == -Int(EIO) { return [] }
                if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_GET_THREAD_AREA)") }
            }
            return all
        }

        /// Sets the TLS descriptors of a task, in the layout that `threadAreas` gives.
        @inline(never)
        package static func setThreadAreas(of task: Int32, to bytes: [UInt8]) throws(SystemError) {
            guard bytes.count == threadAreaCount * threadAreaSize else {
                throw SystemError(EINVAL, in: "ptrace(PTRACE_SET_THREAD_AREA)")
            }
            try FaultPoint.setThreadAreas.pass("ptrace(PTRACE_SET_THREAD_AREA)")
            for index in 0..<threadAreaCount {
                let area = Array(bytes[index * threadAreaSize..<(index + 1) * threadAreaSize])
                let result = unsafe area.withUnsafeBytes { buffer in
                    ckernel_ptrace(
                        Int(Ptrace.PTRACE_SET_THREAD_AREA), Int(task), firstThreadArea + UInt(index),
                        UInt(bitPattern: buffer.baseAddress))
                }
                if result < 0 { throw SystemError(Int32(-result), in: "ptrace(PTRACE_SET_THREAD_AREA)") }
            }
        }
    }
#endif
