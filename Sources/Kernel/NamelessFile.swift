internal import CKernel
internal import Glibc
internal import LinuxABI

/// Files that have no name: memfd, and files that have been unlinked.
package enum NamelessFile {
    /// memfd_create(2).
    ///
    /// - Parameters:
    ///   - name: of any bytes; with the `/memfd:` that the kernel shows before it, or without.
    ///   - canBeSealed: MFD_ALLOW_SEALING.
    ///   - hugePageShift: of huge pages from the pool, of 2 to the power of this bytes (MFD_HUGETLB); 0: of ordinary ones.
    @inline(never)
    package static func memory(named name: [UInt8], canBeSealed: Bool = false, hugePageShift: UInt32 = 0) throws(SystemError) -> Descriptor {
        try FaultPoint.makeMemfd.pass("memfd_create")
        let prefix = Array("/memfd:".utf8)
        let pool = hugePageShift == 0 ? 0 : Memfd.MFD_HUGETLB | UInt64(hugePageShift) << Mmap.MAP_HUGE_SHIFT
        let flags = Memfd.MFD_CLOEXEC | (canBeSealed ? Memfd.MFD_ALLOW_SEALING : 0) | pool
        // Without MFD_EXEC (since 6.3) the host's vm.memfd_noexec decides whether it can ever be executed.
        for flags in [flags | Memfd.MFD_EXEC, flags] {
            let result = withPath(name.starts(with: prefix) ? Array(name.dropFirst(prefix.count)) : name) { pointer in
                ckernel_syscall(Int(SYS_memfd_create), pointer, Int(flags), 0, 0, 0, 0)
            }
            if result < 0 && flags & Memfd.MFD_EXEC != 0 { continue }
            return Descriptor(owning: Int32(try SystemError.check(result, "memfd_create")))
        }
        throw SystemError(EINVAL, in: "memfd_create")
    }

    /// Bytes of a page of a file in the pool of huge pages (hugetlbfs), such as that of a memfd with MFD_HUGETLB; nil: it lies elsewhere.
    @inline(never)
    package static func hugePageSize(_ link: String) -> UInt64? {
        // struct statfs has 120 bytes; its first word is the type, the second one the size of a block.
        var system = [UInt64](repeating: 0, count: 32)
        let result = withPath(Array(link.utf8)) { path in
            unsafe system.withUnsafeMutableBytes { buffer in
                ckernel_syscall(Int(SYS_statfs), path, Int(bitPattern: buffer.baseAddress), 0, 0, 0, 0)
            }
        }
        return result == 0 && UInt32(truncatingIfNeeded: system[0]) == FileSystemMagic.HUGETLBFS_MAGIC ? system[1] : nil
    }

    /// F_GET_SEALS of fcntl(2); 0 for a file that cannot have any.
    package static func seals(of file: borrowing Descriptor) -> UInt32 {
        UInt32(max(0, ckernel_syscall(Int(SYS_fcntl), Int(file.number), Int(Fcntl.F_GET_SEALS), 0, 0, 0, 0)))
    }

    /// F_ADD_SEALS of fcntl(2).
    ///
    /// - Errors: `EBUSY`: `F_SEAL_WRITE`, and it is mapped shared and writable.
    package static func seal(_ number: Int32, _ seals: UInt32) throws(SystemError) {
        _ = try SystemError.check(
            ckernel_syscall(Int(SYS_fcntl), Int(number), Int(Fcntl.F_ADD_SEALS), Int(seals), 0, 0, 0), "fcntl F_ADD_SEALS")
    }

    package static func memory(named name: String) throws(SystemError) -> Descriptor { try memory(named: Array(name.utf8)) }

    /// A file in the file system where the old one was: in its directory, or in the next one above that exists and may be
    /// written; where there is none, in memory. It never has a name, and no link is followed: the directory's owner can have
    /// changed what leads there.
    package static func unlinked(like path: [UInt8], mode: UInt32) throws(SystemError) -> Descriptor {
        try FaultPoint.makeUnlinkedFile.pass("open \(printable(path))")
        let slash = UInt8(ascii: "/")
        var directory = path[...]
        while let end = directory.lastIndex(of: slash) {
            directory = directory[..<end]
            let place = directory.isEmpty ? [slash] : Array(directory)
            if let file = try? Descriptor.openWithoutLinks(place, OpenFlag.O_RDWR | OpenFlag.O_TMPFILE, mode: mode) { return file }
        }
        // The kernel takes names of up to 249 bytes.
        return try memory(named: Array(path.suffix(from: path.lastIndex(of: slash).map { $0 + 1 } ?? 0).suffix(200)))
    }

    package static func unlinked(like path: String, mode: UInt32) throws(SystemError) -> Descriptor {
        try unlinked(like: Array(path.utf8), mode: mode)
    }

    package static func prepare(
        _ file: borrowing Descriptor, size: UInt64, mode: UInt32, owner: UInt32, group: UInt32
    ) throws(SystemError) {
        try setSize(file.number, size)
        _ = fchown(file.number, owner, group)
        _ = fchmod(file.number, mode)
    }

    package static func setSize(_ number: Int32, _ size: UInt64) throws(SystemError) {
        try FaultPoint.setFileSize.pass("ftruncate")
        _ = try SystemError.check(ckernel_syscall(Int(SYS_ftruncate), Int(number), Int(size), 0, 0, 0, 0), "ftruncate")
    }

    /// Sets when it was last read and changed, in nanoseconds since 1970.
    ///
    /// - Source: utimensat(2).
    @inline(never)
    package static func setTimes(_ number: Int32, accessed: Int64, modified: Int64) throws(SystemError) {
        let second: Int64 = 1_000_000_000
        // Two `struct timespec`.
        let times = [accessed, modified].flatMap { time in
            let rest = (time % second + second) % second
            return [(time - rest) / second, rest]
        }
        let result = unsafe times.withUnsafeBytes { times in
            ckernel_syscall(Int(SYS_utimensat), Int(number), 0, Int(bitPattern: times.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(result, "utimensat")
    }

    /// The same file, open for reading: the kernel starts no program from a file that is open for writing.
    package static func forReading(_ number: Int32) throws(SystemError) -> Descriptor {
        try Descriptor.open("/proc/self/fd/\(number)", O_RDONLY)
    }

    /// Writes into a file from the pool of huge pages, which cannot be written to but through a mapping. Zeros are left out: they are there.
    ///
    /// - Parameter pageSize: of the pool.
    /// - Errors: `ENOMEM`: the pool has not enough pages.
    @inline(never)
    package static func write(_ bytes: [UInt8], toPool number: Int32, at offset: UInt64, pageSize: UInt64) throws(SystemError) {
        try FaultPoint.writeFilePages.pass("mmap")
        let isZero = unsafe bytes.withUnsafeBytes { all in
            unsafe all.isEmpty || all[0] == 0 && memcmp(all.baseAddress!, all.baseAddress! + 1, all.count - 1) == 0
        }
        if isZero { return }
        let start = offset & ~(pageSize - 1)
        let length = Int((offset - start + UInt64(bytes.count) + pageSize - 1) & ~(pageSize - 1))
        let protection = Int(Protection.PROT_READ | Protection.PROT_WRITE)
        let address = try SystemError.check(
            ckernel_syscall(Int(SYS_mmap), 0, length, protection, Int(Mmap.MAP_SHARED), Int(number), Int(start)), "mmap")
        defer { _ = ckernel_syscall(Int(SYS_munmap), address, length, 0, 0, 0, 0) }
        // In bounds: the mapping goes from a page's start before the bytes to one behind them.
        unsafe bytes.withUnsafeBytes { all in
            guard let target = unsafe UnsafeMutableRawPointer(bitPattern: address + Int(offset - start)), let source = all.baseAddress else { return }
            unsafe target.copyMemory(from: source, byteCount: all.count)
        }
    }

    @inline(never)
    package static func write(_ bytes: [UInt8], to number: Int32, at offset: UInt64) throws(SystemError) {
        try FaultPoint.writeFilePages.pass("pwrite")
        var done = 0
        while done < bytes.count {
            let result = unsafe bytes.withUnsafeBytes { buffer in
                ckernel_syscall(
                    Int(SYS_pwrite64), Int(number), Int(bitPattern: buffer.baseAddress) + done, bytes.count - done,
                    Int(bitPattern: UInt(offset)) + done, 0, 0)
            }
            if result == -Int(EINTR) { continue }
            done += try SystemError.check(result, "pwrite")
        }
    }
}

extension Processes {
    package static var secureBits: UInt32 { UInt32(max(0, ckernel_prctl(Int(Prctl.PR_GET_SECUREBITS), 0, 0, 0, 0))) }
}

/// Descriptors moved to fixed numbers.
package enum DescriptorTable {
    /// Duplicates a descriptor at a number that is free (dup3(2), close-on-exec).
    ///
    /// - Errors: `EEXIST`: something is open there. It stays: two things that are to have one number are a defect of the plan.
    package static func place(_ from: Int32, at number: UInt32) throws(SystemError) {
        try FaultPoint.duplicate.pass("dup3")
        if number > UInt32(Int32.max) || isOpen(Int32(number)) { throw SystemError(EEXIST, in: "dup3 to \(number)") }
        _ = try SystemError.check(
            ckernel_syscall(Int(SYS_dup3), Int(from), Int(number), Int(O_CLOEXEC), 0, 0, 0), "dup3 to \(number)")
    }

    package static func isOpen(_ number: Int32) -> Bool {
        ckernel_syscall(Int(SYS_fcntl), Int(number), Int(F_GETFD), 0, 0, 0, 0) >= 0
    }

    /// What it is open for, and its status flags (F_GETFL).
    package static func flags(of number: Int32) throws(SystemError) -> UInt32 {
        UInt32(truncatingIfNeeded: try SystemError.check(ckernel_syscall(Int(SYS_fcntl), Int(number), Int(F_GETFL), 0, 0, 0, 0), "fcntl(F_GETFL)"))
    }

    /// Its status flags (F_SETFL).
    package static func set(_ number: Int32, statusFlags: UInt32) throws(SystemError) {
        _ = try SystemError.check(
            ckernel_syscall(Int(SYS_fcntl), Int(number), Int(F_SETFL), Int(statusFlags), 0, 0, 0), "fcntl(F_SETFL)")
    }

    package static func close(_ number: Int32) { _ = ckernel_syscall(Int(SYS_close), Int(number), 0, 0, 0, 0, 0) }

    /// Closes all numbers from `first` on.
    package static func closeAll(from first: UInt32) { close(first ... .max) }

    /// Closes all numbers from `first` on that are none of `kept`.
    package static func closeAll(from first: UInt32, but kept: Set<UInt32>) {
        var next = first
        for number in kept.sorted() where number >= next {
            if number > next { close(next...number - 1) }
            next = number + 1
        }
        closeAll(from: next)
    }

    private static func close(_ range: ClosedRange<UInt32>) {
        _ = ckernel_syscall(Int(SYS_close_range), Int(range.lowerBound), Int(range.upperBound), 0, 0, 0, 0)
    }

    /// The descriptor of this process that a path leads to; nil: none. A shell passes such paths for `<(...)`.
    package static func number(inPath path: String) -> UInt32? {
        for folder in ["/dev/fd/", "/proc/self/fd/", "/proc/thread-self/fd/"] where path.hasPrefix(folder) {
            return UInt32(path.dropFirst(folder.count).prefix { $0 != "/" })
        }
        return nil
    }

    /// The highest limit of descriptors that this kernel knows (fs.nr_open); its own default where it does not tell.
    package static var mostNumbers: UInt64 {
        let text = (try? readFile("/proc/sys/fs/nr_open")) ?? []
        var cursor = ByteCursor(text)
        return cursor.decimal() ?? 1 << 20
    }

    /// A pipe, close-on-exec.
    @inline(never)
    package static func pipe() throws(SystemError) -> (read: Int32, write: Int32) {
        try FaultPoint.makePipe.pass("pipe2")
        var ends: [Int32] = [0, 0]
        guard unsafe pipe2(&ends, Int32(O_CLOEXEC)) == 0 else { throw SystemError(errno, in: "pipe2") }
        return (ends[0], ends[1])
    }
}
