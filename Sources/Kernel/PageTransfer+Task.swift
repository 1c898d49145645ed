internal import CKernel
internal import Glibc

/// Pages of a task.
///
/// `process_vm_readv` is the fastest way, but it pins what it reads, and since Linux 5.19 pinning gives the task a copy of
/// its own of every page that it shares copy-on-write with another process. So it is used only for pages that no other task
/// has; the others are read through `/proc/PID/mem`, which leaves them as they are.
///
/// - Source: mm/gup.c, `gup_must_unshare`.
extension PageWriter {
    /// Bytes of the task, and where in the buffer they go, counted from what is filled.
    private struct Piece {
        var start: UInt64
        var place: Int
        var count: Int
    }

    /// What is read at once.
    private struct Batch {
        var own: [Piece] = []
        var shared: [Piece] = []
        var byteCount = 0
        /// process_vm_readv(2) takes no more than 1024 (UIO_MAXIOV).
        var isFull: Bool { own.count == 1024 || shared.count == 1024 }

        mutating func append(_ start: UInt64, _ count: Int, isOwn: Bool) {
            let piece = Piece(start: start, place: byteCount, count: count)
            if isOwn { own.append(piece) } else { shared.append(piece) }
            byteCount += count
        }

        mutating func clear() {
            own.removeAll(keepingCapacity: true)
            shared.removeAll(keepingCapacity: true)
            byteCount = 0
        }
    }

    /// Appends runs of a task's memory. Memory that the task itself may not read (PROT_NONE) is read, too. No page that
    /// the task shares with another one is parted.
    ///
    /// - Preconditions: the task is stopped, and stays so.
    package mutating func append(_ runs: some Sequence<(start: UInt64, length: UInt64)>, of task: Int32)
        throws(SystemError)
    {
        let memory = try Descriptor.open("/proc/\(task)/mem", O_RDONLY)
        var pages = try OwnPages(of: task)
        var batch = Batch()
        for run in runs {
            var start = run.start
            let end = run.start + run.length
            while start < end {
                let stretch = try pages.stretch(from: start, to: end)
                let part = min(stretch.end - start, UInt64(buffer.count - filled - batch.byteCount))
                batch.append(start, Int(part), isOwn: stretch.isOwn)
                start += part
                if batch.isFull || filled + batch.byteCount == buffer.count { try take(&batch, task, memory) }
            }
        }
        try take(&batch, task, memory)
    }

    /// Reads the listed pieces to the end of what is in the buffer.
    private mutating func take(_ batch: inout Batch, _ task: Int32, _ memory: borrowing Descriptor) throws(SystemError) {
        guard batch.byteCount > 0 else { return }
        try FaultPoint.readPages.pass("process_vm_readv")
        var done = try readOwn(batch.own, of: task)
        for piece in batch.own {
            // What is not readable for its owner (PROT_NONE) has ended the call above.
            if done < piece.count { try read(piece, of: task, memory) }
            done = max(0, done - piece.count)
        }
        for piece in batch.shared { try read(piece, of: task, memory) }
        filled += batch.byteCount
        batch.clear()
        if filled == buffer.count { try flush() }
    }

    /// - Returns: how many bytes were read, of the first pieces.
    @inline(never)
    private func readOwn(_ pieces: [Piece], of task: Int32) throws(SystemError) -> Int {
        guard !pieces.isEmpty, let base = unsafe buffer.baseAddress else { return 0 }
        var remote: [iovec] = unsafe []
        var local: [iovec] = unsafe []
        unsafe remote.reserveCapacity(pieces.count)
        unsafe local.reserveCapacity(pieces.count)
        for piece in pieces {
            unsafe remote.append(iovec(iov_base: UnsafeMutableRawPointer(bitPattern: UInt(piece.start)), iov_len: piece.count))
            // In bounds: the pieces of a batch end where the buffer ends at the latest.
            unsafe local.append(iovec(iov_base: base + filled + piece.place, iov_len: piece.count))
        }
        let done = unsafe process_vm_readv(pid_t(task), local, UInt(local.count), remote, UInt(remote.count), 0)
        if done >= 0 { return done }
        if errno != EFAULT { throw SystemError(errno, in: "process_vm_readv") }
        return 0
    }

    @inline(never)
    private func read(_ piece: Piece, of task: Int32, _ memory: borrowing Descriptor) throws(SystemError) {
        guard let base = unsafe buffer.baseAddress else { return }
        var offset = 0
        while offset < piece.count {
            let result = ckernel_syscall(
                Int(SYS_pread64), Int(memory.number), Int(bitPattern: base) + filled + piece.place + offset,
                piece.count - offset, Int(bitPattern: UInt(piece.start)) + offset, 0, 0)
            let got = try SystemError.check(result, "read /proc/\(task)/mem")
            if got == 0 { throw SystemError(EIO, in: "read /proc/\(task)/mem") }
            offset += got
        }
    }
}
