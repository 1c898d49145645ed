internal import CKernel
internal import Glibc
internal import LinuxABI

/// An owned file descriptor: closed at the end of this value, close-on-exec from the start.
package struct Descriptor: ~Copyable {
    /// The number. Valid as long as this value lives.
    package let number: Int32

    /// Takes over an open descriptor.
    package init(owning number: Int32) { self.number = number }

    deinit { _ = ckernel_syscall(Int(SYS_close), Int(number), 0, 0, 0, 0, 0) }

    /// Gives the number away: this value does not close it any more.
    package consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }
}

extension Descriptor {
    /// Opens a path. `O_CLOEXEC` is added.
    ///
    /// - Source: open(2).
    package static func open(_ path: String, _ flags: Int32 = O_RDONLY, mode: UInt32 = 0)
        throws(SystemError) -> Descriptor
    {
        try FaultPoint.open.pass("open \(path)")
        let result = withPath(path) { openat($0, flags, mode) }
        return Descriptor(owning: Int32(try SystemError.check(result, "open \(path)")))
    }

    /// The same with a path of any bytes.
    package static func open(_ path: [UInt8], _ flags: Int32 = O_RDONLY, mode: UInt32 = 0)
        throws(SystemError) -> Descriptor
    {
        try FaultPoint.open.pass("open \(printable(path))")
        let result = withPath(path) { openat($0, flags, mode) }
        return Descriptor(owning: Int32(try SystemError.check(result, "open \(printable(path))")))
    }

    @inline(never)
    private static func openat(_ path: Int, _ flags: Int32, _ mode: UInt32) -> Int {
        ckernel_syscall(Int(SYS_openat), Int(AT_FDCWD), path, Int(flags | O_CLOEXEC), Int(mode), 0, 0)
    }

    /// Reads at most `count` bytes at the file position; empty at the end. Retries `EINTR`.
    package borrowing func read(upTo count: Int) throws(SystemError) -> [UInt8] {
        try readBytes(number, upTo: count, at: nil)
    }

    /// Reads at most `count` bytes at `offset`; empty at the end. Retries `EINTR`.
    package borrowing func read(upTo count: Int, at offset: UInt64) throws(SystemError) -> [UInt8] {
        try FaultPoint.preadImage.pass("pread")
        return try readBytes(number, upTo: count, at: offset)
    }

    /// Writes all bytes at the file position. Retries `EINTR` and short writes.
    package borrowing func write(_ bytes: [UInt8]) throws(SystemError) {
        // Not the standard streams: a fault has to be told there.
        if number > 2 { try FaultPoint.write.pass("write") }
        let number = number
        let result = unsafe bytes.withUnsafeBytes { bytes in Result { () throws(SystemError) in try unsafe writeAll(bytes, to: number) } }
        try result.get()
    }

    /// Size in bytes, or nil where the file is not a regular file (a pipe, a terminal).
    package borrowing func regularFileSize() throws(SystemError) -> UInt64? {
        try FaultPoint.fileStatus.pass("fstat")
        var info = stat()
        guard unsafe fstat(number, &info) == 0 else { throw SystemError(errno, in: "fstat") }
        return info.st_mode & S_IFMT == S_IFREG ? UInt64(info.st_size) : nil
    }
}

/// write(2) to the end.
@inline(never)
func writeAll(_ bytes: UnsafeRawBufferPointer, to output: Int32) throws(SystemError) {
    guard let base = unsafe bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
        let result = unsafe ckernel_syscall(Int(SYS_write), Int(output), Int(bitPattern: base) + done, bytes.count - done, 0, 0, 0)
        if result == -Int(EINTR) { continue }
        done += try SystemError.check(result, "write")
    }
}

/// read(2) or pread(2) into a new array.
@inline(never)
func readBytes(_ number: Int32, upTo count: Int, at offset: UInt64?) throws(SystemError) -> [UInt8] {
    try FaultPoint.read.pass(offset == nil ? "read" : "pread")
    var failure = 0
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
        while true {
            let result =
                if let offset {
                    ckernel_syscall(
                        Int(SYS_pread64), Int(number), Int(bitPattern: buffer.baseAddress), count,
                        Int(bitPattern: UInt(offset)), 0, 0)
                } else {
                    ckernel_syscall(
                        Int(SYS_read), Int(number), Int(bitPattern: buffer.baseAddress), count, 0, 0, 0)
                }
            if result == -Int(EINTR) { continue }
            if result < 0 { failure = result } else { filled = result }
            return
        }
    }
    if failure < 0 { throw SystemError(Int32(-failure), in: offset == nil ? "read" : "pread") }
    return bytes
}

/// Reads a whole small file, e.g. one of `/proc`. The size need not be known.
package func readFile(_ path: String) throws(SystemError) -> [UInt8] { try readToEnd(try Descriptor.open(path)) }

/// The same with a path of any bytes.
package func readFile(_ path: [UInt8]) throws(SystemError) -> [UInt8] { try readToEnd(try Descriptor.open(path)) }

private func readToEnd(_ file: borrowing Descriptor) throws(SystemError) -> [UInt8] {
    var all: [UInt8] = []
    while true {
        let part = try file.read(upTo: 65536)
        if part.isEmpty { return all }
        if all.isEmpty { all = part } else { all += part }
    }
}
