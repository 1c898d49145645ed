internal import CKernel
internal import Glibc
internal import LinuxABI

/// A System V semaphore set of our ipc namespace.
///
/// - Source: proc(5), `/proc/sysvipc/sem`; semctl(2).
package struct SemaphoreSetState: Equatable, Sendable {
    /// As semget(2) gave it.
    package var number: Int32
    package var key: UInt32
    package var mode: UInt32
    package var owner: UInt32
    package var group: UInt32
    package var creator: UInt32 = 0
    package var creatorGroup: UInt32 = 0
    package var count: Int
    /// Of each semaphore; empty until `readValues`.
    package var values: [UInt32] = []
    /// The process that changed each of them last, by its pid in this pid namespace; 0: none that has one here.
    package var changers: [Int32] = []
}

extension SemaphoreSetState {
    /// All sets, without their values.
    package static func all() throws(SystemError) -> [SemaphoreSetState] {
        try parse(try readKernelText("/proc/sysvipc/sem"))
    }

    static func parse(_ text: [UInt8]) throws(SystemError) -> [SemaphoreSetState] {
        var sets: [SemaphoreSetState] = []
        var cursor = ByteCursor(text)
        cursor.skipLine()
        while !cursor.isAtEnd {
            // key semid perms nsems uid gid cuid cgid ...
            guard let key = cursor.signed(), let number = cursor.decimal(), let mode = cursor.octal(),
                let count = cursor.decimal(), let owner = cursor.decimal(), let group = cursor.decimal(),
                let creator = cursor.decimal(), let creatorGroup = cursor.decimal()
            else { throw malformed("/proc/sysvipc/sem") }
            sets.append(
                SemaphoreSetState(
                    number: Int32(truncatingIfNeeded: number), key: UInt32(truncatingIfNeeded: key),
                    mode: UInt32(mode) & 0o777, owner: UInt32(truncatingIfNeeded: owner),
                    group: UInt32(truncatingIfNeeded: group), creator: UInt32(truncatingIfNeeded: creator),
                    creatorGroup: UInt32(truncatingIfNeeded: creatorGroup), count: Int(count)))
            cursor.skipLine()
        }
        return sets
    }

    /// Asks for the values and for the processes that changed them.
    ///
    /// - Throws: `EACCES` without the right to read the set, `EINVAL` where it is gone.
    @inline(never)
    package mutating func readValues() throws(SystemError) {
        try FaultPoint.semaphoreValues.pass("semctl(GETALL)")
        var buffer = [UInt16](repeating: 0, count: count)
        let number = self.number
        // In bounds: the kernel writes one number for each of the set's semaphores, whose count never changes.
        let result = unsafe buffer.withUnsafeMutableBufferPointer { pointer in
            ckernel_syscall(Int(SYS_semctl), Int(number), 0, Int(IPC.GETALL), Int(bitPattern: pointer.baseAddress), 0, 0)
        }
        _ = try SystemError.check(result, "semctl(GETALL)")
        values = buffer.map { UInt32($0) }
        changers = []
        for index in 0..<count {
            let pid = ckernel_syscall(Int(SYS_semctl), Int(number), index, Int(IPC.GETPID), 0, 0, 0)
            changers.append(Int32(try SystemError.check(pid, "semctl(GETPID)")))
        }
    }
}

/// Makes, changes and removes semaphore sets.
package enum SemaphoreSets {
    private static let nextNumber = "/proc/sys/kernel/sem_next_id"

    /// Whether a set's number can be chosen (CONFIG_CHECKPOINT_RESTORE and CAP_SYS_ADMIN or
    /// CAP_CHECKPOINT_RESTORE).
    package static func mayChooseNumber() -> Bool { (try? Descriptor.open(nextNumber, O_WRONLY)) != nil }

    /// Makes a set with this number.
    ///
    /// - Throws: `EEXIST` where the key or the number is taken.
    package static func make(number: Int32, key: UInt32, count: Int, mode: UInt32) throws(SystemError) {
        try FaultPoint.semaphoreMake.pass("semget")
        try Descriptor.open(nextNumber, O_WRONLY).write(Array("\(number)".utf8))
        let flags = IPC.IPC_CREAT | IPC.IPC_EXCL | UInt64(mode)
        let made = try SystemError.check(
            ckernel_syscall(
                Int(SYS_semget), Int(Int32(bitPattern: key)), count, Int(flags), 0, 0, 0), "semget")
        if made != Int(number) {
            remove(Int32(made))
            throw SystemError(EEXIST, in: "semget: its number is taken")
        }
    }

    /// Sets owner and permissions.
    @inline(never)
    package static func setOwner(of number: Int32, owner: UInt32, group: UInt32, mode: UInt32) throws(SystemError) {
        try FaultPoint.semaphoreOwner.pass("semctl(IPC_SET)")
        var description = semid_ds()
        description.sem_perm.uid = owner
        description.sem_perm.gid = group
        description.sem_perm.mode = numericCast(mode)
        let result = unsafe withUnsafeMutablePointer(to: &description) { pointer in
            ckernel_syscall(Int(SYS_semctl), Int(number), 0, Int(IPC.IPC_SET), Int(bitPattern: pointer), 0, 0)
        }
        _ = try SystemError.check(result, "semctl(IPC_SET)")
    }

    package static func setValue(of number: Int32, _ index: Int, to value: UInt32) throws(SystemError) {
        try FaultPoint.semaphoreValue.pass("semctl(SETVAL)")
        _ = try SystemError.check(
            ckernel_syscall(Int(SYS_semctl), Int(number), index, Int(IPC.SETVAL), Int(value), 0, 0), "semctl(SETVAL)")
    }

    package static func remove(_ number: Int32) {
        _ = ckernel_syscall(Int(SYS_semctl), Int(number), 0, Int(IPC.IPC_RMID), 0, 0, 0)
    }
}
