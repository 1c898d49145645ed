internal import CKernel
internal import Glibc

/// Pages that are set aside in memory of this process, each at the offset that it has in its file or address space.
///
/// - Source: memfd_create(2); proc(5) on /proc/PID/mem.
@safe package struct PageSpool: ~Copyable {
    private static let bufferSize = 1 << 20

    private let file: Descriptor
    private let buffer: UnsafeMutableRawBufferPointer
    /// Bytes that were read.
    package private(set) var bytes: UInt64 = 0

    package init() throws(SystemError) {
        file = try NamelessFile.memory(named: "crcheckpoint")
        unsafe buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferSize, alignment: 4096)
    }

    deinit { unsafe buffer.deallocate() }

    /// Where the pages can be read as long as this value lives.
    package var path: [UInt8] { Array("/proc/self/fd/\(file.number)".utf8) }

    /// Sets runs of a file aside. What lies beyond its end is not stored, and is read as zero.
    package mutating func append(_ runs: [(start: UInt64, length: UInt64)], ofFile source: borrowing Descriptor) throws(SystemError) {
        for run in runs { try append(run, of: source.number, endsEarly: true) }
    }

    /// Sets runs of a task's memory aside, also what the task itself may not read. No page that it shares is parted.
    ///
    /// - Preconditions: the task is stopped.
    package mutating func append(_ runs: [(start: UInt64, length: UInt64)], of task: Int32) throws(SystemError) {
        let memory = try Descriptor.open("/proc/\(task)/mem", O_RDONLY)
        for run in runs { try append(run, of: memory.number, endsEarly: false) }
    }

    @inline(never)
    private mutating func append(
        _ run: (start: UInt64, length: UInt64), of source: Int32, endsEarly: Bool
    ) throws(SystemError) {
        var start = run.start
        let end = run.start + run.length
        while start < end {
            try FaultPoint.spoolPages.pass("pread")
            let part = Int(min(UInt64(Self.bufferSize), end - start))
            let got = try SystemError.check(
                ckernel_syscall(Int(SYS_pread64), Int(source), Int(bitPattern: buffer.baseAddress), part, Int(bitPattern: UInt(start)), 0, 0),
                "pread")
            if got == 0 {
                if endsEarly { return }
                throw SystemError(EIO, in: "pread")
            }
            var written = 0
            while written < got {
                // In bounds: so many bytes were read into the buffer.
                written += try SystemError.check(
                    ckernel_syscall(
                        Int(SYS_pwrite64), Int(file.number), Int(bitPattern: buffer.baseAddress) + written, got - written,
                        Int(bitPattern: UInt(start)) + written, 0, 0), "pwrite")
            }
            start += UInt64(got)
            bytes += UInt64(got)
        }
    }
}
