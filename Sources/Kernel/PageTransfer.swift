internal import CCodec
internal import CKernel
internal import Glibc

/// Moves pages from where they are to an image, through one reused buffer, and sums them up on the way:
/// one crc32c for each 256 KiB of what was read. They are written as they are, or handed to what writes them in another form.
///
/// The buffer is reused because fresh memory, not copying, is what costs (`docs/performance.md`).
@safe package struct PageWriter: ~Copyable {
    package static let checksumSpan = 256 << 10
    /// Bytes that are written at once.
    private static let writtenAtOnce = 1 << 20
    /// Bytes that are written before a second thread is worth its start.
    private static let writtenAlone: UInt64 = 8 << 20
    /// Bytes that are handed over at once: enough for several threads.
    private static let handedAtOnce = 4 << 20

    /// Takes pages in place of a file: a multiple of 256 KiB, but for the last ones of a section.
    package typealias Taker = (RawSpan) throws(SystemError) -> Void

    private(set) var buffer: UnsafeMutableRawBufferPointer
    var filled = 0
    /// Filled while the first one is written.
    private var other: UnsafeMutableRawBufferPointer?
    private var behind: WriteBehind?
    private let mayWriteBehind: Bool
    private let output: Int32
    private let filter: OutputFile.Filter?
    private let taker: Taker?
    private var checksums: [UInt32] = []
    /// Bytes of pages.
    package private(set) var written: UInt64 = 0

    /// - Parameters:
    ///   - filter: what changes the bytes on their way; nil: they are written as they are.
    ///   - isFile: then a second thread writes, where there is much to write.
    package init(to output: Int32, through filter: OutputFile.Filter? = nil, isFile: Bool = false) {
        self.filter = filter
        mayWriteBehind = isFile && filter == nil
        unsafe buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.writtenAtOnce, alignment: 4096)
        self.output = output
        taker = nil
    }

    package init(to taker: @escaping Taker) {
        unsafe buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.handedAtOnce, alignment: 4096)
        output = -1
        filter = nil
        mayWriteBehind = false
        self.taker = taker
    }

    deinit {
        behind?.end()
        unsafe buffer.deallocate()
        unsafe other?.deallocate()
    }

    /// Appends runs of a file.
    @inline(never)
    package mutating func append(
        _ runs: some Sequence<(start: UInt64, length: UInt64)>, ofFile file: borrowing Descriptor
    ) throws(SystemError) {
        for run in runs {
            var start = run.start
            var left = Int(run.length)
            while left > 0 {
                // Another buffer after each that was full.
                guard let base = unsafe buffer.baseAddress else { return }
                try FaultPoint.readFilePages.pass("pread")
                let part = min(left, buffer.count - filled)
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
                if filled == buffer.count { try flush() }
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
        if let taker {
            // The bytes stay as they are until it returns.
            try taker(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: buffer[..<filled])))
            written += UInt64(filled)
            filled = 0
            return
        }
        if let filter {
            // In bounds: `filled` never exceeds the length of the buffer.
            let changed = try filter(unsafe Array(UnsafeRawBufferPointer(start: base, count: filled)))
            let file = Descriptor(owning: output)
            do throws(SystemError) { try file.write(changed) } catch {
                _ = file.release()
                throw error
            }
            _ = file.release()
        } else {
            try writeFilled()
        }
        written += UInt64(filled)
        filled = 0
    }

    /// Writes the buffer, or has it written while the other one is filled.
    private mutating func writeFilled() throws(SystemError) {
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<filled])
        if mayWriteBehind, behind == nil, written >= Self.writtenAlone, filled == buffer.count {
            behind = try? WriteBehind(to: output)
            unsafe other = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.count, alignment: 4096)
        }
        guard let behind, let next = unsafe other else { return try unsafe writeAll(bytes, to: output) }
        try unsafe behind.hand(bytes)
        unsafe other = buffer
        unsafe buffer = next
    }

    /// Counts blocks of 256 KiB as written that need not be read.
    ///
    /// - Preconditions: what was appended of the section so far is whole blocks.
    package mutating func skip(checksums known: [UInt32]) throws(SystemError) {
        try flush()
        unsafe checksums += known
        written += UInt64(known.count * Self.checksumSpan)
    }

    /// Writes what is left and gives the checksums since the last call.
    package mutating func finishSection() throws(SystemError) -> [UInt32] {
        try flush()
        try behind?.drain()
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
