internal import CCodec
internal import CKernel
internal import Glibc

/// Moves pages from where they are to an image, through one reused buffer, and sums them up on the way:
/// one crc32c for each 256 KiB of what was written.
///
/// The buffer is reused because fresh memory, not copying, is what costs (`docs/performance.md`).
@safe package struct PageWriter: ~Copyable {
    package static let checksumSpan = 256 << 10
    static let bufferSize = 1 << 20

    let buffer: UnsafeMutableRawBufferPointer
    var filled = 0
    private let output: Int32
    private var checksums: [UInt32] = []
    package private(set) var written: UInt64 = 0

    package init(to output: Int32) {
        unsafe buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.bufferSize, alignment: 4096)
        self.output = output
    }

    deinit { unsafe buffer.deallocate() }

    /// Appends runs of a file.
    @inline(never)
    package mutating func append(
        _ runs: some Sequence<(start: UInt64, length: UInt64)>, ofFile file: borrowing Descriptor
    ) throws(SystemError) {
        guard let base = unsafe buffer.baseAddress else { return }
        for run in runs {
            var start = run.start
            var left = Int(run.length)
            while left > 0 {
                try FaultPoint.readFilePages.pass("pread")
                let part = min(left, Self.bufferSize - filled)
                let result = ckernel_syscall(
                    Int(SYS_pread64), Int(file.number), Int(bitPattern: base) + filled, part,
                    Int(bitPattern: UInt(start)), 0, 0)
                let got = try SystemError.check(result, "pread")
                // Past the end of the file (its last page): zeroes.
                if got == 0 { unsafe memset(base + filled, 0, part) }
                let taken = got == 0 ? part : got
                filled += taken
                start += UInt64(taken)
                left -= taken
                if filled == Self.bufferSize { try flush() }
            }
        }
    }

    @inline(never)
    mutating func flush() throws(SystemError) {
        guard filled > 0, let base = unsafe buffer.baseAddress else { return }
        try FaultPoint.writeImage.pass("write")
        var offset = 0
        while offset < filled {
            let part = min(Self.checksumSpan, filled - offset)
            unsafe checksums.append(ccodec_crc32c(0, base + offset, part))
            offset += part
        }
        var done = 0
        while done < filled {
            let result = ckernel_syscall(
                Int(SYS_write), Int(output), Int(bitPattern: base) + done, filled - done, 0, 0, 0)
            if result == -Int(EINTR) { continue }
            done += try SystemError.check(result, "write")
        }
        written += UInt64(filled)
        filled = 0
    }

    /// Writes what is left and gives the checksums since the last call.
    package mutating func finishSection() throws(SystemError) -> [UInt32] {
        try flush()
        let result = checksums
        checksums = []
        return result
    }
}

package enum PageCheck {
    /// crc32c of each 256 KiB of a part of a file.
    ///
    /// - Errors: `EIO` in `call` "read": the file is shorter.
    @inline(never)
    package static func checksums(of file: borrowing Descriptor, at offset: UInt64, length: UInt64)
        throws(SystemError) -> [UInt32]
    {
        try FaultPoint.checkPages.pass("pread")
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: PageWriter.checksumSpan, alignment: 4096)
        defer { unsafe buffer.deallocate() }
        var sums: [UInt32] = []
        var position = offset
        let end = offset + length
        while position < end {
            let part = Int(min(UInt64(PageWriter.checksumSpan), end - position))
            var filled = 0
            while filled < part {
                let result = ckernel_syscall(
                    Int(SYS_pread64), Int(file.number), Int(bitPattern: buffer.baseAddress) + filled, part - filled,
                    Int(bitPattern: UInt(position)) + filled, 0, 0)
                let got = try SystemError.check(result, "pread")
                if got == 0 { throw SystemError(EIO, in: "read") }
                filled += got
            }
            if let base = buffer.baseAddress { unsafe sums.append(ccodec_crc32c(0, base, part)) }
            position += UInt64(part)
        }
        return sums
    }
}
