internal import CKernel
internal import Glibc
internal import LinuxABI

/// A System V shared memory segment of our ipc namespace.
///
/// - Source: proc(5), `/proc/sysvipc/shm`; shmctl(2), shmop(2).
package struct SharedSegmentState: Equatable, Sendable {
    /// As shmget(2) gave it. The kernel shows it as the inode number of its mappings.
    package var number: Int32
    package var key: UInt32
    /// Permission bits.
    package var mode: UInt32
    /// SHM_DEST: it goes with its last attachment.
    package var isRemoved: Bool
    /// SHM_LOCK
    package var isLocked: Bool
    /// Bytes.
    package var size: UInt64
    /// The process that made it, by its pid in this pid namespace; 0: none that has one here.
    package var creator: Int32
    /// Mappings of it in all processes.
    package var attached: UInt64
    package var owner: UInt32
    package var group: UInt32
    package var creatorUser: UInt32
    package var creatorGroup: UInt32
}

extension SharedSegmentState {
    package static func all() throws(SystemError) -> [SharedSegmentState] { try parse(try readKernelText("/proc/sysvipc/shm")) }

    static func parse(_ text: [UInt8]) throws(SystemError) -> [SharedSegmentState] {
        var segments: [SharedSegmentState] = []
        var cursor = ByteCursor(text)
        cursor.skipLine()
        while !cursor.isAtEnd {
            // key shmid perms size cpid lpid nattch uid gid cuid cgid ...
            guard let key = cursor.signed(), let number = cursor.decimal(), let mode = cursor.octal(), let size = cursor.decimal(),
                let creator = cursor.decimal(), cursor.decimal() != nil, let attached = cursor.decimal(), let owner = cursor.decimal(),
                let group = cursor.decimal(), let creatorUser = cursor.decimal(), let creatorGroup = cursor.decimal()
            else { throw malformed("/proc/sysvipc/shm") }
            segments.append(
                SharedSegmentState(
                    number: Int32(truncatingIfNeeded: number), key: UInt32(truncatingIfNeeded: key), mode: UInt32(mode) & 0o777,
                    isRemoved: mode & IPC.SHM_DEST != 0, isLocked: mode & IPC.SHM_LOCKED != 0, size: size,
                    creator: Int32(truncatingIfNeeded: creator), attached: attached, owner: UInt32(truncatingIfNeeded: owner),
                    group: UInt32(truncatingIfNeeded: group), creatorUser: UInt32(truncatingIfNeeded: creatorUser),
                    creatorGroup: UInt32(truncatingIfNeeded: creatorGroup)))
            cursor.skipLine()
        }
        return segments
    }
}

/// Makes, opens and removes System V shared memory segments.
package enum SharedSegments {
    private static let nextNumber = "/proc/sys/kernel/shm_next_id"
    /// `struct shmid64_ds` in words of 64 bits: key and uid, gid and cuid, cgid and mode.
    private static let words = 14

    /// Whether a segment's number can be chosen (CONFIG_CHECKPOINT_RESTORE and CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE).
    package static func mayChooseNumber() -> Bool { (try? Descriptor.open(nextNumber, O_WRONLY)) != nil }

    /// Makes a segment of zeros with this number.
    ///
    /// - Throws: `EEXIST` where the key or the number is taken.
    package static func make(number: Int32, key: UInt32, size: UInt64, mode: UInt32) throws(SystemError) {
        try FaultPoint.segmentMake.pass("shmget")
        try Descriptor.open(nextNumber, O_WRONLY).write(Array("\(number)".utf8))
        let flags = IPC.IPC_CREAT | IPC.IPC_EXCL | UInt64(mode)
        let made = try SystemError.check(
            ckernel_syscall(Int(SYS_shmget), Int(Int32(bitPattern: key)), Int(size), Int(flags), 0, 0, 0), "shmget")
        if made != Int(number) {
            remove(Int32(made))
            throw SystemError(EEXIST, in: "shmget: its number is taken")
        }
    }

    /// Sets owner and permissions.
    @inline(never)
    package static func setOwner(of number: Int32, owner: UInt32, group: UInt32, mode: UInt32) throws(SystemError) {
        var buffer = [UInt64](repeating: 0, count: words)
        // In bounds: the kernel writes and reads one structure.
        let asked = unsafe buffer.withUnsafeMutableBytes { bytes in
            ckernel_syscall(Int(SYS_shmctl), Int(number), Int(IPC.IPC_STAT), Int(bitPattern: bytes.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(asked, "shmctl(IPC_STAT)")
        buffer[0] = buffer[0] & 0xffff_ffff | UInt64(owner) << 32
        buffer[1] = buffer[1] & ~0xffff_ffff | UInt64(group)
        buffer[2] = buffer[2] & 0xffff_ffff | UInt64(mode) << 32
        let set = unsafe buffer.withUnsafeMutableBytes { bytes in
            ckernel_syscall(Int(SYS_shmctl), Int(number), Int(IPC.IPC_SET), Int(bitPattern: bytes.baseAddress), 0, 0, 0)
        }
        _ = try SystemError.check(set, "shmctl(IPC_SET)")
    }

    package static func lock(_ number: Int32) throws(SystemError) {
        _ = try SystemError.check(ckernel_syscall(Int(SYS_shmctl), Int(number), Int(IPC.SHM_LOCK), 0, 0, 0, 0), "shmctl(SHM_LOCK)")
    }

    /// Opens the memory of a segment as a file. It is attached for a moment: only a mapping leads to that file.
    ///
    /// - Parameter size: of the segment, in bytes.
    /// - Source: proc(5), `/proc/pid/map_files`.
    package static func open(_ number: Int32, size: UInt64) throws(SystemError) -> Descriptor {
        let address = try SystemError.check(ckernel_syscall(Int(SYS_shmat), Int(number), 0, 0, 0, 0, 0), "shmat")
        defer { _ = ckernel_syscall(Int(SYS_shmdt), address, 0, 0, 0, 0, 0) }
        let start = UInt64(UInt(bitPattern: address))
        let end = start + (size + pageSize - 1) / pageSize * pageSize
        return try Descriptor.open(
            "/proc/self/map_files/\(String(start, radix: 16))-\(String(end, radix: 16))", O_RDWR)
    }

    /// Makes all of it zeros.
    ///
    /// - Source: fallocate(2), FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE.
    package static func clear(_ file: borrowing Descriptor, size: UInt64) throws(SystemError) {
        _ = try SystemError.check(ckernel_syscall(Int(SYS_fallocate), Int(file.number), 3, 0, Int(size), 0, 0), "fallocate")
    }

    /// It goes now, or with its last attachment.
    package static func remove(_ number: Int32) {
        _ = ckernel_syscall(Int(SYS_shmctl), Int(number), Int(IPC.IPC_RMID), 0, 0, 0, 0)
    }
}
